"""A sweep on a real Slurm: jobs cancelled, requeued and killed, the controller lost; nothing lost, nothing twice.

The daemons run on loopback, without an accounting database: what a job came to can't be asked afterwards, as on many
small clusters. Trainings only wait (see `toy`).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.test_scale import Sweep, gone, need
from tests.slurm import Slurm

pytestmark = pytest.mark.slow
WORDS = ["hydra/launcher=submitit_slurm", "study.workers=2", "tracking=none", "hydra.launcher.cpus_per_task=1"]


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    need("slurm", "hydra_plugins.hydra_submitit_launcher")
    cluster = Slurm()
    try:
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture
def sweep(slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sweep]:
    """A sweep of two jobs, both at work."""
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    started = Sweep(tmp_path, *WORDS, "hydra.launcher.timeout_min=20", epoch_s=0.4)
    try:
        deadline = time.monotonic() + 120
        while len({n["DETSWEEP_WORKER"] for n in started.notes()}) < 2:
            assert started.process.poll() is None, started.printed()
            assert time.monotonic() < deadline, started.printed()
            time.sleep(0.1)
        yield started
    finally:
        started.process.kill()
        for job in slurm.jobs():
            slurm.run("scancel", job)


def finishes(sweep: Sweep) -> None:
    """It ends by itself with every trial trained once, and leaves no worker behind."""
    assert sweep.wait(240) == 0, sweep.printed()
    sweep.check()
    assert {n["SUBMITIT_EXECUTOR"] for n in sweep.notes()} == {"slurm"}
    assert {n["threads"] for n in sweep.notes()} == {1}, "what Slurm granted"
    gone(sweep.notes())


def test_a_job_that_is_cancelled_costs_its_epoch_alone(sweep: Sweep, slurm: Slurm) -> None:
    slurm.run("scancel", slurm.jobs()[0])
    finishes(sweep)


def test_a_job_that_is_requeued_is_a_worker_again(sweep: Sweep, slurm: Slurm) -> None:
    first = slurm.jobs()[0]
    slurm.run("scontrol", "requeue", first)
    finishes(sweep)


def test_a_job_that_is_killed_in_mid_epoch_is_taken_over(sweep: Sweep) -> None:
    os.kill(sweep.notes()[-1]["ppid"], signal.SIGKILL)  # the job, not its worker
    finishes(sweep)


def test_both_jobs_are_cancelled_and_the_sweep_submits_others(sweep: Sweep, slurm: Slurm) -> None:
    for job in slurm.jobs():
        slurm.run("scancel", job)
    finishes(sweep)


def test_both_jobs_are_cancelled_and_the_same_command_goes_on(sweep: Sweep, slurm: Slurm, tmp_path: Path) -> None:
    for job in slurm.jobs():
        slurm.run("scancel", job)
    sweep.process.send_signal(signal.SIGTERM)
    assert sweep.wait() == 130, sweep.printed()
    finishes(Sweep(tmp_path, *WORDS, epoch_s=0.05))


def test_the_controller_is_lost_and_comes_back(sweep: Sweep, slurm: Slurm) -> None:
    slurm.kill_controller()
    time.sleep(3)
    slurm.start_controller()
    finishes(sweep)


def test_the_controller_comes_back_without_its_jobs_and_the_sweep_submits_others(sweep: Sweep, slurm: Slurm) -> None:
    """Nobody tells what became of them: submitit waits for ever."""
    slurm.kill_controller()
    for pid in {note["ppid"] for note in sweep.notes()}:
        os.kill(pid, signal.SIGKILL)
    slurm.forget()
    slurm.start_controller()
    finishes(sweep)
