"""Configurations as the command composes them from `conf/`."""

from __future__ import annotations

from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from src import sweep_plugin
from src.config.schema import AppConfig, register, to_typed
from tests.conftest import ROOT


def composed(*words: str, conf: Path = ROOT / "conf", hydra: bool = False) -> DictConfig:
    """What Hydra makes of words; with its own settings where `hydra` is true."""
    register()
    sweep_plugin.register()
    with initialize_config_dir(str(conf)):
        return compose("config", overrides=list(words), return_hydra_config=hydra)


def typed(*words: str, conf: Path = ROOT / "conf") -> AppConfig:
    """The same as the program sees it."""
    return to_typed(composed(*words, conf=conf))
