"""What is refused before data are made and weights are fetched."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.common.errors import UserError
from src.config.schema import AppConfig
from src.pipeline.context import prepare
from src.pipeline.request import SweepRequest
from src.pipeline.sweep import distinct_of
from src.sweeper.space import parse_space
from tests.configurations import typed


@pytest.mark.parametrize(
    ("limit", "proposed"),
    [
        ("permissive", "model=frcnn_mobilenet is BSD"),
        ("[Apache-2.0,MIT]", "model=rtdetrv2_s is Apache"),
        ("[MIT]", None),
    ],
)
def test_a_sweep_that_may_not_ship_is_told_what_may(limit: str, proposed: str | None) -> None:
    """The remedy is within the limit itself."""
    cfgs = [typed(f"model={name}", f"decision.licence={limit}", "tracking=none") for name in ("v8n", "v11n")]
    with pytest.raises(UserError, match=r"v8n is AGPL-3\.0, v11n is AGPL-3\.0") as refused:
        prepare(cfgs)
    assert str(refused.value.remedy).endswith("decision.licence=any")
    assert str(refused.value.remedy).startswith(proposed or "decision.licence=any")


def test_families_check_every_cell_of_a_sweep_and_not_its_models_alone(tmp_path: Path) -> None:
    """lr=500 is beyond Ultralytics' bound, and the first cell is not."""

    def compose(words: list[str]) -> AppConfig:
        return typed(*words, "tracking=none", f"outputs={tmp_path}/o")

    space = parse_space({}, ["lr=0.01,500"], n_trials=None)
    distinct, trainings = distinct_of(SweepRequest(compose(["lr=0.01"]), space, {}, None, None, compose))
    assert ([cfg.lr for cfg in distinct], [t.lr for t in trainings]) == ([0.01], [0.01, 500])
    with pytest.raises(UserError, match="lr must be above 0 and at most 1"):
        prepare(distinct, trainings)
    assert not (tmp_path / "o").exists(), "before data are made and weights are fetched"
