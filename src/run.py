"""The entrypoint: one trial, a grid or a study from one configuration.

python -m src.run                                      one trial
python -m src.run -m model=v8n,v11n imgsz=320,416      a grid
python -m src.run -m sweeps=imgsz_lr_seed              an Optuna study described by a file
"""

from __future__ import annotations

from hydra.core.plugins import Plugins

from src import sweep_plugin
from src.cli import command
from src.common.errors import UserError
from src.config.schema import AppConfig
from src.models.base import family


def run_single(cfg: AppConfig) -> int:
    """Run one trial with all its stages, or replay a recorded one."""
    if cfg.store is not None:
        raise UserError("store is for sweeps", value=cfg.store, remedy="-m, or leave it out")
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
