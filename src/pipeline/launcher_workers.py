"""Workers that a Hydra launcher starts: joblib's processes, Ray's tasks, Slurm's jobs.

The launcher runs in a thread of its own, so that this one can show how far the sweep is and can be interrupted. Jobs
are told to stop by a file in the sweep's folder. A launcher that lost a job gives up on all of them, although the
others go on: they are left to finish, and only when nobody is at work any more are jobs started again.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path

from src.cli.progress import Watch
from src.common.errors import UserError
from src.common.redaction import redact_text
from src.common.whole_files import text_of
from src.machine.environment import module
from src.pipeline.context import Context
from src.pipeline.launcher_job import BEAT_S, GRACE_S, WorkerJob
from src.pipeline.local_workers import show
from src.pipeline.request import SweepRequest
from src.pipeline.study_trials import all_records
from src.sweeper.launchers import JobLauncher
from src.sweeper.study import Study

POLL_S = 0.5
QUIET_S = 15.0  # without a trial at work, after which the jobs of a launcher that gave up count as gone
GONE_S = 90.0  # without a sign of life, after which jobs that a launcher still waits for do: a shared folder may lag
MOST_FRUITLESS = 3  # rounds of jobs in a row that ended without a finished trial
LEAVE_S = GRACE_S + 2.0


@dataclass
class Round:
    """One call of the launcher, in the background."""

    launcher: JobLauncher
    job: WorkerJob
    count: int
    share: int
    error: BaseException | None = None
    codes: list[int] = field(default_factory=list)
    at_work: float = field(default_factory=time.monotonic)  # when a worker, or work, was last seen
    _beats: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        context = copy_context()  # Hydra keeps in it what may be instantiated
        self.thread = threading.Thread(target=lambda: context.run(self._run), name="launcher", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.codes = self.launcher.launch(self.job, self.count, self.share, Path(self.job.logs))
        except BaseException as error:  # told in the main thread
            self.error = error
        self.at_work = time.monotonic()

    def over(self, study: Study) -> bool:
        """Whether the jobs have ended, as far as can be told when the launcher gave up on them, or lost sight of them.

        Submitit waits for ever for a job that was killed where Slurm keeps no accounts: nobody knows how it ended.
        """
        waits, unfinished = self.thread.is_alive(), study.unfinished()
        if not waits and (self.error is None or not unfinished):
            return True
        if unfinished and (study.held() if not waits else self._lives(study)):
            self.at_work = time.monotonic()
        return time.monotonic() - self.at_work > (GONE_S if waits and unfinished else QUIET_S)

    def _lives(self, study: Study) -> bool:
        """Whether a job waits in the queue, or has given a sign of life since the last look."""
        before, self._beats = self._beats, [text_of(self.job.beat_file(n)) for n in range(self.count)]
        quiet = time.monotonic() - self.at_work
        return "" in self._beats or before != self._beats or (quiet > 2 * BEAT_S and study.held() > 0)

    def stop(self) -> None:
        """Tell the jobs to leave, those too that wait in a queue; wait for those that run."""
        Path(self.job.stop).touch()
        self.thread.join(LEAVE_S)
        if self.codes:  # all have ended
            for path in (Path(self.job.stop), *(self.job.beat_file(n) for n in range(self.count))):
                path.unlink(missing_ok=True)

    def reason(self) -> str:
        """Why the round ended without finishing the study."""
        if self.error is not None:
            return redact_text(f"{type(self.error).__name__}: {self.error}".strip()[:500])
        return f"its workers ended in {', '.join(map(str, self.codes)) or 'nothing'}"


def run_launched(request: SweepRequest, study: Study, context: Context, launcher: JobLauncher) -> None:
    """Have the launcher run the study's workers until it is finished.

    Raises:
        UserError: the launcher could not start a single job.
        RuntimeError: jobs end again and again with work left.
        KeyboardInterrupt: passed on after the workers have left.
    """
    count = max(request.base.study.workers, 1)
    seen = {r.trial for r in all_records(context.folder)}  # of an earlier start
    fruitless = 0
    try:
        with Watch(request.trials(), request.base.epochs, minutes=request.base.training.minutes) as watch:
            for _ in seen:
                watch.skip()
            watch.say(f"sweep {context.name}: {request.trials()} trials, {count} workers of {launcher.name}")
            while study.unfinished():
                before = len(seen)
                ended = _round(request, study, context, launcher, watch, seen)
                fruitless = 0 if len(seen) > before else fruitless + 1
                _judge(ended, study, fruitless)
    finally:
        launcher.close()


def _round(
    request: SweepRequest, study: Study, context: Context, launcher: JobLauncher, watch: Watch, seen: set[int]
) -> Round:
    count = max(request.base.study.workers, 1)
    share = max(context.threads // count, 1)
    logs = (context.folder / "workers").absolute()
    logs.mkdir(exist_ok=True)
    job = WorkerJob(
        module=module() or "src.run",
        words=(*_own_words(sys.argv[1:]), f"sweep={request.name()}"),
        cwd=str(Path.cwd()),
        logs=str(logs),
        stop=str(logs / f"stop-{time.time_ns():x}"),
        threads=share if launcher.here else 0,
        gpus=tuple(request.base.study.gpus),
    )
    current = Round(launcher, job, count, share)
    try:
        while not current.over(study):
            keep_handler()
            show(watch, context, seen)
            time.sleep(POLL_S)
        show(watch, context, seen)
    finally:
        current.stop()
    return current


def keep_handler() -> None:
    """Take SIGTERM back from Ray, whose core makes the process abort at it: it must end as an interruption."""
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))


def _own_words(words: list[str]) -> list[str]:
    """The sweep's words without those about the launcher: a machine that runs a worker need not have its package."""
    return [w for w in words if not w.lstrip("+~").startswith(("hydra/launcher=", "hydra.launcher."))]


def _judge(ended: Round, study: Study, fruitless: int) -> None:
    """Say whether another round can help.

    Raises:
        UserError: the launcher could not start a single job.
        RuntimeError: this is hopeless.
    """
    if not study.unfinished():
        return
    logs = Path(ended.job.logs)
    if ended.error is not None and not any(logs.glob("*.log")):
        raise UserError(
            f"hydra/launcher={ended.launcher.name} could not start its jobs", value=ended.reason()
        ) from ended.error
    if fruitless >= MOST_FRUITLESS:
        raise RuntimeError(f"jobs end again and again with work left ({ended.reason()}); see {logs}/*.log")
