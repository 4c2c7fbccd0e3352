"""The entrypoint: one trial, a grid or a study from one configuration.

python -m src.run                                      one trial
python -m src.run -m model=v8n,v11n imgsz=320,416      a grid
python -m src.run -m sweeps=imgsz_lr_seed              an Optuna study described by a file
"""

from __future__ import annotations

import sys

from hydra.core.plugins import Plugins

from src import sweep_plugin
from src.cli import command
from src.common.errors import UserError
from src.config.idle_keys import Idle, refuse_idle
from src.config.schema import AppConfig
from src.models.base import family

OF_SWEEPS = (
    "sweep store study.workers study.gpus study.storage study.pruner study.pruner_warmup study.pruner_threshold "
    "study.pruner_p study.objectives study.constraints study.lower_bound study.cost_artifact study.cost_runtime "
    "study.retries study.max_failures study.report study.decide study.until study.max_trainings study.max_hours "
    "decision.confirm_seeds decision.reopen report.language"
)
IDLE: list[Idle[AppConfig]] = [
    Idle(OF_SWEEPS, lambda _: False, "is for sweeps, and without -m one trial is run", "-m, or leave it out")
]


def run_single(cfg: AppConfig) -> int:
    """Run one trial with all its stages, or replay a recorded one.

    Raises:
        UserError: the configuration is wrong, or says what only a sweep heeds.
    """
    study = next((word.partition("=")[2] for word in sys.argv[1:] if word.startswith("sweeps=")), "null")
    if study != "null":  # a choice of Hydra's, which the composed configuration doesn't hold
        what = "sweeps names a study, and without -m one trial is run"
        raise UserError(what, value=f"sweeps={study}", remedy=f"python -m src.run -m sweeps={study}")
    refuse_idle(cfg, IDLE)
    cfg.model = family(cfg.model.family).scaled(cfg.model)
    if cfg.replay:
        from src.pipeline.replay import replay

        return replay(cfg)
    from src.pipeline.single import run_single as work

    return work(cfg)


def main() -> None:
    """Compose, check, delegate."""
    sweep_plugin.register()
    Plugins.instance().register(sweep_plugin.DetsweepSweeper)
    command.main(run_single)


if __name__ == "__main__":
    main()
