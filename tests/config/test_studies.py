"""Every study in `sweeps/` says what it is for, and composes into a search that can be run."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.config.checks import check
from src.config.schema import AppConfig
from src.models.base import family
from src.sweeper.goals import check_seeds, parse_goals
from src.sweeper.sampler import make_sampler
from src.sweeper.space import check_space, parse_space
from tests import configurations
from tests.conftest import ROOT

STUDIES = sorted((ROOT / "sweeps").rglob("*.y*ml"))
NAMES = {"architectures", "edge_budget", "families", "imgsz_lr_seed", "pruned_lr", "quantisation", "sizes"}


def typed(study: str, *words: str) -> AppConfig:
    cfg = configurations.typed(f"sweeps={study}", *words)
    cfg.model = family(cfg.model.family).scaled(cfg.model)
    check(cfg)
    return cfg


def test_the_studies_are_counted() -> None:
    assert {path.stem for path in STUDIES} == NAMES
    assert len(STUDIES) == len(NAMES), "none lies in a folder of its own, where sweeps=NAME would not find it"


@pytest.mark.parametrize("path", STUDIES, ids=lambda p: p.stem)
def test_a_study_is_a_search_that_can_be_run(path: Path) -> None:
    sweeper = configurations.composed(f"sweeps={path.stem}", hydra=True).hydra.sweeper
    params = {str(key): str(value) for key, value in sweeper.params.items()}
    space = parse_space(params, [], n_trials=sweeper.n_trials)
    base = check_space(space, lambda words: typed(path.stem, *words))
    parse_goals(base.study)
    check_seeds(base.study, len(space.seeds) or 1)
    make_sampler({str(key): sweeper.sampler[key] for key in sweeper.sampler}, space)
    assert space.params


@pytest.mark.parametrize("path", STUDIES, ids=lambda p: p.stem)
def test_a_study_opens_with_its_question_its_cost_and_its_command(path: Path) -> None:
    package, *lines = path.read_text(encoding="utf-8").splitlines()
    opening = lines[: next(i for i, line in enumerate(lines) if not line.startswith("#"))]
    assert package == "# @package _global_"
    assert "?" in opening[0]
    assert any(line.startswith("# Cost on two cores") for line in opening)
    assert any(line.startswith("# Run: make sweep") for line in opening)


def test_what_the_studies_set_reaches_the_configuration() -> None:
    edge = typed("edge_budget")
    assert (edge.decision.name, edge.study.constraints) == ("edge", ["latency_p95_ms <= 30", "size_mb <= 15"])
    assert typed("quantisation").export.targets == ["onnx/fp32", "onnx/int8", "openvino/int8"]
    race = typed("families", "model=dfine_s")
    assert (race.training.minutes, race.model.weights) == (3, "scratch")
    assert (typed("pruned_lr").study.pruner.value, typed("pruned_lr").epochs) == ("asha", 27)
