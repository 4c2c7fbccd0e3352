"""A record of an earlier version is replayed as what it was, and a single run is of the size that is asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from src.common.errors import UserError
from src.config.schema import AppConfig, plain_config
from src.pipeline import single
from src.pipeline.replay import config_of
from src.run import run_single
from tests.config.test_config import composed
from tests.report.factory import trial


def test_the_older_name_of_an_architecture_is_read() -> None:
    cfg = composed("model=v11n", "lr=0.003")
    plain = plain_config(cfg)
    model = {k: v for k, v in plain["model"].items() if k not in ("architecture", "family")}
    old = replace(trial(0), config={**plain, "model": {**model, "yaml": "yolo11n.yaml"}})
    again = config_of(old, composed())
    assert again.model == cfg.model
    assert again.lr == 0.003
    assert config_of(replace(old, config=plain), composed()) == again


def test_what_ended_by_the_clock_is_not_replayed() -> None:
    plain = plain_config(composed("study.budget=minutes", "study.minutes=2"))
    with pytest.raises(UserError, match="minutes were used"):
        config_of(replace(trial(0), config=plain), composed())


def test_a_single_run_is_of_the_size_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[AppConfig] = []

    def run(cfg: AppConfig) -> int:
        seen.append(cfg)
        return 0

    monkeypatch.setattr(single, "run_single", run)
    cfg = composed()
    cfg.model = replace(cfg.model, scale="s")
    assert run_single(cfg) == 0
    assert (seen[0].model.name, seen[0].model.architecture) == ("v8s", "yolov8s.yaml")
