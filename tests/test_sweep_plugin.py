"""A sweep's configurations are composed quickly, and are those that Hydra composes."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src import sweep_plugin
from src.common.errors import UserError
from src.config.schema import register
from src.sweep_plugin import DetsweepSweeper
from tests.conftest import ROOT

WORDS = [
    [],
    ["lr=0.003", "imgsz=96", "seed=4"],
    ["model=v11n", "lr=0.003", "data=digits"],
    ["model=frcnn_mobilenet", "train=finetune", "model.scale=s", "train.warmup_epochs=1"],
    ["lr=0.1", "train=qat", "epochs=3", "lr=0.2"],  # the last one counts
    ["imgsz=[96,128]", "data.classes=[a, 'b c']", "decision.devices={pi: {max_latency_ms: 80}}"],
    ["sweep='a b'", "decision.margin=null", "epochs=${batch}", "tracking.experiment=x=y"],
    ["decision={max_latency_ms: 5}", "study.workers=3"],
    ["+train.nothing=1"],
    ["~data"],
    ["lr=abc"],
    ["nokey=1"],
    ["imgsz=-3"],
    ["model=nobody"],
    ["hydra.job.name=x", "lr=0.3"],
]


@pytest.fixture(scope="module")
def sweeper() -> Iterator[DetsweepSweeper]:
    register()
    sweep_plugin.register()
    with initialize_config_dir(str(ROOT / "conf")):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        made = DetsweepSweeper({}, None, None)
        words = ["outputs=o", "reports=r"]
        master = hydra.compose_config(
            "config", words, run_mode=RunMode.MULTIRUN, from_shell=False, with_log_configuration=False
        )
        context: Any = SimpleNamespace(config_loader=hydra.config_loader)
        made.setup(hydra_context=context, task_function=lambda cfg: None, config=master)
        yield made


def told(compose: Any, words: list[str]) -> object:
    """What is composed, or what is said of it."""
    try:
        return compose(words)
    except (UserError, HydraException, OmegaConfBaseException) as error:
        return type(error), str(error)


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_a_configuration_is_the_one_that_hydra_composes(sweeper: DetsweepSweeper, words: list[str]) -> None:
    quick = sweeper._updated(words)
    if quick is not None:
        assert OmegaConf.to_container(quick) == OmegaConf.to_container(sweeper._loaded(words))
    with pytest.MonkeyPatch.context() as patch:
        found = told(sweeper._compose, words)
        patch.setattr(sweeper, "_updated", lambda words: None)
        assert found == told(sweeper._compose, words)


def test_the_values_of_a_grid_need_hydra_once(sweeper: DetsweepSweeper, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[list[str]] = []
    original = sweeper._loaded
    sweeper.bases.clear()

    def listening(words: list[str]) -> DictConfig:
        loaded.append(words)
        return original(words)

    monkeypatch.setattr(sweeper, "_loaded", listening)
    for lr in range(1, 20):
        for seed in (1, 2):
            assert sweeper.compose(["model=v8n", f"lr=0.{lr:03d}", f"seed={seed}"]).lr == lr / 1000
    assert loaded == [["model=v8n"]]
