"""What is refused before data are made and weights are fetched."""

from __future__ import annotations

import pytest

from src.common.errors import UserError
from src.pipeline.context import prepare
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
