"""Local workers: the same command, started several times, each with its share of the cores or a GPU of its own.

A worker is a warm process that takes one slot of the study after the other. This process starts them, shows how far
they are, and starts one again that died while there is work left.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from src.cli.progress import Watch
from src.common.errors import stop_if_full
from src.common.redaction import redact_text
from src.machine.abilities import kill_group
from src.machine.environment import SECRET_WORDS, cores, module
from src.pipeline.context import Context
from src.pipeline.launcher_job import environment_of
from src.pipeline.neighbours import NEIGHBOURS
from src.pipeline.request import OBJECTIVE, SweepRequest
from src.pipeline.study_trials import all_records, outcome, running
from src.records.sweep_folder import SweepFolder
from src.sweeper.study import Study
from src.track import preload

POLL_S = 0.5
AWAIT_S = 0.05
MOST_RESTARTS = 20  # of all workers, without a trial finished between
GRACE_S = 8.0  # for workers to save and leave after an interruption


@dataclass
class Worker:
    """A running worker process."""

    number: int
    process: subprocess.Popen[bytes]


@contextmanager
def started_early(request: SweepRequest, count: int, threads: int) -> Iterator[list[Worker]]:
    """Workers of a new sweep that load their libraries while it is being opened; none where it was begun before.

    Args:
        request: the sweep; its configuration was found right.
        count: of workers.
        threads: of the processor, for all of them together.
    """
    if count < 2 or os.path.lexists(SweepFolder(request.folder).record):
        yield []
        return
    workers: list[Worker] = []
    try:
        logs = _logs(request.folder)
        # One by one, so that those that are there are stopped when another can't be started.
        early = min(count, max(cores() - 1, 1))  # a core is left to this process, which all of them wait for
        workers.extend(_start(number, request, max(threads // count, 1), logs) for number in range(early))
        yield workers
    finally:
        _stop(workers)


def await_sweep(request: SweepRequest) -> None:
    """In a worker that was started early: load what takes time, and wait until the sweep is open."""
    record = SweepFolder(request.folder).record
    if request.base.tracking.enabled and not os.path.lexists(record):
        preload()
    while not os.path.lexists(record):  # when the starter gives up, it ends this process
        time.sleep(AWAIT_S)


def _logs(folder: Path) -> Path:
    (folder / "workers").mkdir(parents=True, exist_ok=True)
    return folder / "workers"


def run_workers(
    request: SweepRequest, study: Study, context: Context, count: int, early: Sequence[Worker] = ()
) -> None:
    """Run `count` workers until the study is finished.

    Args:
        request: the sweep.
        study: of it.
        context: of it.
        count: of workers.
        early: those that were started already.

    Raises:
        RuntimeError: workers die again and again.
        KeyboardInterrupt: passed on after the workers have left.
    """
    share = max(context.threads // count, 1)
    logs = _logs(context.folder)
    workers = [*early, *(_start(i, request, share, logs) for i in range(len(early), count))]
    try:
        with NEIGHBOURS.watched(share * count, count) if request.base.device == "cpu" else nullcontext():
            _watch(workers, request, study, context, share, logs)
    finally:
        _stop(workers)


def _start(number: int, request: SweepRequest, share: int, logs: Path) -> Worker:
    # Everybody on the machine can read a command line: words that hold a secret go by the environment.
    shown = [word for word in sys.argv[1:] if redact_text(word) == word]
    hidden = [word for word in sys.argv[1:] if word not in shown]
    command = [sys.executable, "-m", module() or "src.run", *shown, f"threads={share}", f"sweep={request.name()}"]
    with open(logs / f"{number}.log", "ab") as stream:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            env={**environment_of(number, share, request.base.study.gpus), SECRET_WORDS: json.dumps(hidden)},
            start_new_session=True,  # Ctrl-C reaches this process, which stops them in order
        )
    return Worker(number, process)


def _watch(
    workers: list[Worker], request: SweepRequest, study: Study, context: Context, share: int, logs: Path
) -> None:
    seen = {r.trial for r in all_records(context.folder)}  # of an earlier start
    restarts = 0
    with Watch(request.trials(), request.base.epochs, minutes=request.base.training.minutes) as watch:
        for _ in seen:
            watch.skip()
        watch.say(f"sweep {context.name}: {request.trials()} trials, {len(workers)} workers of {share} threads")
        while True:
            restarts = 0 if show(watch, context, seen) else restarts
            for worker in workers:
                if worker.process.poll() not in (None, 0) and study.unfinished():
                    restarts += 1
                    _clear(worker)
                    stop_if_full(context.folder)
                    if restarts > MOST_RESTARTS:
                        raise RuntimeError(f"workers die again and again; see {logs}/{worker.number}.log")
                    worker.process = _start(worker.number, request, share, logs).process
            if all(w.process.poll() is not None for w in workers):
                break
            time.sleep(POLL_S)
        show(watch, context, seen)
    codes = [w.process.returncode for w in workers if w.process.returncode]
    if codes and study.unfinished():
        raise RuntimeError(f"the workers ended with work left; see {logs}/*.log")


def _clear(worker: Worker) -> None:
    """End what a dead worker has left running: its own children."""
    kill_group(worker.process)


def show(watch: Watch, context: Context, seen: set[int]) -> int:
    """Tell of the trials that run or ended since the last look; returns how many ended."""
    new = all_records(context.folder, seen)
    for record in new:
        seen.add(record.trial)
        curve = [row.get(OBJECTIVE, 0.0) for row in record.history]
        watch.show(record.trial, " ".join(record.overrides), curve, record.state)
        watch.say(outcome(record))
    for number, progress in running(context.folder):
        if number not in seen:
            watch.show(number, progress.label, progress.curve, progress.state)
    return len(new)


def _stop(workers: list[Worker]) -> None:
    """Ask the workers to leave, and make those leave that don't."""
    for worker in workers:
        if worker.process.poll() is None:
            worker.process.terminate()
    deadline = time.monotonic() + GRACE_S
    for worker in workers:
        try:
            worker.process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()
