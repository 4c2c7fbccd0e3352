"""The sweep's side of a launcher: rounds of jobs, what is told of failures, how they are stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from src.common.errors import UserError
from src.pipeline import launcher_workers
from src.pipeline.context import Context
from src.pipeline.launcher_job import WorkerJob
from src.pipeline.request import SweepRequest
from src.sweeper.launchers import JobLauncher
from src.sweeper.loop import Outcome, work
from src.sweeper.space import parse_space
from src.sweeper.storage import open_storage
from src.sweeper.study import Study
from src.track import NullTracker


class Fake:
    """A launcher whose jobs are calls in its thread."""

    name, here = "fake", True

    def __init__(self, *rounds: Callable[[WorkerJob], list[int]]) -> None:
        self.rounds, self.jobs, self.closed = list(rounds), cast(list[WorkerJob], []), False

    def launch(self, task: WorkerJob, count: int, threads: int, folder: Path) -> list[int]:
        self.jobs.append(task)
        assert (count, threads) == (2, 3)
        return self.rounds.pop(0)(task)

    def close(self) -> None:
        self.closed = True


class Setting:
    """A study of six cells, and what `run_launched` is given."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        space = parse_space({}, ["imgsz=range(1,7)"], n_trials=None)
        self.study = Study(open_storage(None, folder / "s.log"), space, {}, None)
        self.study.lay_out()
        study, training = SimpleNamespace(workers=2, gpus=[]), SimpleNamespace(minutes=None)
        base = SimpleNamespace(study=study, epochs=1, training=training)
        self.request = cast(SweepRequest, SimpleNamespace(base=base, trials=lambda: 6, name=lambda: "toy"))
        self.context = Context("toy", folder, folder, NullTracker(), "", threads=7)
        self.finished: set[int] = set()

        def show(watch: Any, context: Any, seen: set[int]) -> int:
            seen |= self.finished
            return 0

        monkeypatch.setattr(launcher_workers, "show", show)
        monkeypatch.setattr(launcher_workers, "POLL_S", 0.02)
        monkeypatch.setattr(launcher_workers, "QUIET_S", 0.3)

    def work(self, most: int = 6) -> Callable[[WorkerJob], list[int]]:
        """A round that works on the study and ends with its workers dead after `most` cells."""

        def run(job: WorkerJob) -> list[int]:
            Path(job.logs, "0.log").touch()
            for _ in range(most):
                cell = self.study.claim()
                assert cell is not None
                self.study.tell(cell, [1.0])
                self.finished.add(cell.index)
            return [0, 0] if most == 6 else [1, 1]

        return run

    def run(self, launcher: Fake) -> None:
        launcher_workers.run_launched(self.request, self.study, self.context, cast(JobLauncher, launcher))


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
    return Setting(tmp_path, monkeypatch)


def lost(job: WorkerJob) -> list[int]:
    Path(job.logs, "0.log").touch()
    raise RuntimeError("node failed")


def test_the_jobs_are_workers_of_this_sweep(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["x", "-m", "lr=1,2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"])
    launcher = Fake(setting.work())
    setting.run(launcher)
    (job,) = launcher.jobs
    assert job.words == ("-m", "lr=1,2", "sweep=toy"), "the launcher is no business of its jobs"
    assert job.threads == 3
    assert launcher.closed
    assert not Path(job.stop).exists()


def test_jobs_that_die_are_started_again(setting: Setting) -> None:
    launcher = Fake(setting.work(2), lost, setting.work(4))
    setting.run(launcher)
    assert setting.study.unfinished() == 0
    assert len({job.stop for job in launcher.jobs}) == 3, "a stop meant for old jobs must not reach new ones"
    assert Path(launcher.jobs[1].stop).exists(), "lost jobs may still sit in a queue"


def test_jobs_that_end_again_and_again_end_the_sweep(setting: Setting) -> None:
    launcher = Fake(lost, lost, lost)
    with pytest.raises(RuntimeError, match="node failed"):
        setting.run(launcher)
    assert launcher.closed


def test_a_launcher_that_starts_nothing_is_a_users_error(setting: Setting) -> None:
    def missing(job: WorkerJob) -> list[int]:
        raise FileNotFoundError("sbatch")

    with pytest.raises(UserError, match="could not start its jobs") as told:
        setting.run(Fake(missing))
    assert "sbatch" in str(told.value)


def test_workers_that_outlive_the_launcher_are_left_to_finish(setting: Setting) -> None:
    """Submitit gives up on all jobs when one is lost."""
    others: list[threading.Thread] = []
    taken = threading.Event()

    def run(cell: Any) -> Outcome:
        taken.set()
        time.sleep(0.1)
        return Outcome([1.0])

    def one_lost(job: WorkerJob) -> list[int]:
        others.append(threading.Thread(target=lambda: work(setting.study, run, idle=lambda s: None)))
        others[0].start()
        taken.wait(10)
        return lost(job)

    launcher = Fake(one_lost)
    setting.run(launcher)
    others[0].join()
    assert len(launcher.jobs) == 1
    assert setting.study.unfinished() == 0


def test_a_launcher_that_waits_for_a_lost_job_does_not_hold_up_a_finished_study(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Submitit never learns of the end of a job that was killed where Slurm keeps no accounts."""
    monkeypatch.setattr(launcher_workers, "LEAVE_S", 0.1)
    released = threading.Event()

    def blind(job: WorkerJob) -> list[int]:
        setting.work()(job)
        released.wait(60)
        return [0, 0]

    launcher = Fake(blind)
    begun = time.monotonic()
    try:
        setting.run(launcher)
    finally:
        released.set()
    assert time.monotonic() - begun < 30
    assert launcher.closed
    assert Path(launcher.jobs[0].stop).exists(), "the job may still be there"


def test_jobs_that_all_die_unseen_are_started_again(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Submitit waits for them for ever where Slurm keeps no accounts, as after the loss of its controller."""
    monkeypatch.setattr(launcher_workers, "LEAVE_S", 0.1)
    monkeypatch.setattr(launcher_workers, "GONE_S", 0.3)
    released = threading.Event()

    def killed(job: WorkerJob) -> list[int]:
        setting.work(2)(job)
        for number in range(2):
            job.beat_file(number).write_text("1")
        released.wait(60)
        return [0, 0]

    launcher = Fake(killed, setting.work(4))
    try:
        setting.run(launcher)
    finally:
        released.set()
    assert setting.study.unfinished() == 0
    assert Path(launcher.jobs[0].stop).exists(), "should they be there after all, they leave"


def test_a_job_that_waits_in_a_queue_is_waited_for(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher_workers, "GONE_S", 0.1)

    def late(job: WorkerJob) -> list[int]:
        job.beat_file(0).write_text("1")  # this one was killed; the other has not started yet
        time.sleep(0.6)
        return setting.work()(job)

    launcher = Fake(late)
    setting.run(launcher)
    assert len(launcher.jobs) == 1
    assert not list(Path(launcher.jobs[0].logs).glob("beat-*")), "nothing is left of them"


def test_an_interruption_tells_the_jobs_to_stop(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def until_stopped(job: WorkerJob) -> list[int]:
        while not Path(job.stop).exists():
            time.sleep(0.01)
        ended.set()
        return [130, 130]

    def interrupt(*args: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(launcher_workers, "show", interrupt)
    launcher = Fake(until_stopped)
    with pytest.raises(KeyboardInterrupt):
        setting.run(launcher)
    assert ended.is_set()
    assert launcher.closed
