"""Hydra's launchers as the sweep knows them."""

from __future__ import annotations

import importlib.util
from typing import cast

import pytest
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from src.cli.command import remedy_of
from src.common.errors import UserError
from src.sweeper.launchers import JobLauncher, complete
from tests.conftest import Command


def launcher(name: str) -> JobLauncher:
    return JobLauncher(name, DictConfig({}), cast(HydraContext, None))


@pytest.mark.parametrize(("name", "extra"), [("joblib", "joblib"), ("ray", "ray"), ("submitit_slurm", "slurm")])
def test_every_launcher_names_its_extra(name: str, extra: str) -> None:
    assert remedy_of(f"hydra/launcher/{name}") == f"make setup EXTRAS={extra}"


def test_nothing_is_promised_for_what_is_unknown() -> None:
    assert remedy_of("hydra/launcher/pigeon") == remedy_of("model/joblib") == remedy_of("") == ""


@pytest.mark.skipif(importlib.util.find_spec("hydra_plugins.hydra_joblib_launcher") is not None, reason="it is here")
def test_a_launcher_whose_package_is_missing_ends_in_2_with_the_remedy(command: Command) -> None:
    done = command("src.run", "-m", "imgsz=32,64", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert done.returncode == 2
    assert "make setup EXTRAS=joblib" in done.stderr


def test_numbers_of_gpus_are_for_this_machine_alone() -> None:
    launcher("joblib").check([0, 1])
    launcher("ray").check([])
    for name, key in (("ray", "num_gpus=1"), ("submitit_slurm", "gpus_per_node=1")):
        with pytest.raises(UserError) as told:
            launcher(name).check([0, 1])
        assert key in told.value.remedy


def test_what_was_left_open_follows_from_the_study() -> None:
    joblib = OmegaConf.create({"n_jobs": -1})
    complete(joblib, "joblib", 4, 2)
    assert joblib.n_jobs == 4
    ray = OmegaConf.create({"ray": {"init": {"address": None}, "remote": {}}})
    complete(ray, "ray", 4, 2)
    assert ray.ray.remote.num_cpus == 2
    assert ray.ray.init.include_dashboard is False


def test_what_was_configured_stays() -> None:
    joblib = OmegaConf.create({"n_jobs": 3})
    complete(joblib, "joblib", 4, 2)
    assert joblib.n_jobs == 3
    ray = OmegaConf.create({"ray": {"init": {"address": "auto"}, "remote": {"num_cpus": 8}}})
    complete(ray, "ray", 4, 2)
    assert ray.ray.remote.num_cpus == 8
    assert dict(ray.ray.init) == {"address": "auto"}
