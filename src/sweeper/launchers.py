"""Hydra's launchers as ways to start the workers of a study: joblib here, Ray and Slurm (submitit) elsewhere.

A launcher is asked once for as many jobs as there are workers, each the same worker of the same study. How many trials
a job runs is no business of the launcher: the study hands them out.
"""

from __future__ import annotations

import copy
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict, read_write

from src.common.errors import UserError

BASIC = "basic"
HERE = ("joblib", "submitit_local")  # all workers on this machine: its threads and GPUs are divided among them
GPU_KEYS = {"ray": "hydra.launcher.ray.remote.num_gpus=1", "submitit_slurm": "hydra.launcher.gpus_per_node=1"}


@dataclass(frozen=True)
class JobLauncher:
    """The configured launcher."""

    name: str  # option of the group hydra/launcher
    config: DictConfig  # the whole configuration, with the node `hydra`
    context: HydraContext

    @property
    def here(self) -> bool:
        """Whether all its jobs run on this machine."""
        return self.name in HERE

    def check(self, gpus: list[int]) -> None:
        """Refuse numbers of GPUs where a scheduler hands them out.

        Raises:
            UserError: `study.gpus` with a launcher that starts jobs on other machines.
        """
        if gpus and not self.here:
            raise UserError(
                f"study.gpus numbers the GPUs of this machine, and hydra/launcher={self.name} starts jobs on others",
                value=gpus,
                remedy=f"leave it out and ask the scheduler: {GPU_KEYS.get(self.name, 'see the keys of the launcher')}",
            )

    def launch(self, task: TaskFunction, count: int, threads: int, folder: Path) -> list[int]:
        """Start `count` jobs, wait for all of them, and return their exit codes.

        Args:
            task: what every job calls; it must be picklable.
            count: of jobs.
            threads: each job's share of this machine's, asked of Ray where the configuration asks for nothing.
            folder: for the launcher's own files; every machine must see it.

        Raises:
            Exception: whatever the launcher raises when its jobs can't be started, or are lost.
        """
        config, filled = self._configs(count, threads, folder)
        logging.getLogger("hydra_plugins").setLevel(logging.WARNING)  # the sweep shows its own lines
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=self.context, task_function=task, config=filled
        )
        launcher.setup(hydra_context=self.context, task_function=task, config=config)
        return [int(job.return_value) for job in launcher.launch([[]] * count, 0)]

    def _configs(self, count: int, threads: int, folder: Path) -> tuple[DictConfig, DictConfig]:
        """The configuration for the jobs, and the one to make the launcher of: Hydra wants the jobs' as typed."""
        config = copy.deepcopy(self.config)
        with read_write(config.hydra), open_dict(config.hydra):
            config.hydra.sweep.dir = str(folder)
            config.hydra.hydra_logging = config.hydra.job_logging  # a launcher sets logging up anew
        filled = copy.deepcopy(config)
        with read_write(filled.hydra), open_dict(filled.hydra):
            complete(filled.hydra.launcher, self.name, count, threads)
        return config, filled

    def close(self) -> None:
        """End the processes that a launcher keeps for later: what is measured after the training must be alone."""
        if (ray := sys.modules.get("ray")) is not None and ray.is_initialized():
            ray.shutdown()
        if self.name == "joblib" and (loky := sys.modules.get("joblib.externals.loky")) is not None:
            loky.get_reusable_executor().shutdown(wait=True)


def complete(node: Any, name: str, count: int, threads: int) -> None:
    """Fill in what follows from the study and was left open in the launcher's configuration."""
    if name == "joblib" and node.n_jobs == -1:
        node.n_jobs = count
    if name == "ray":
        node.ray.remote.setdefault("num_cpus", threads)
        if node.ray.init.get("address") is None:
            node.ray.init.setdefault("include_dashboard", False)
