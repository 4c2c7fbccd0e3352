"""Defects planted on purpose: the harness has to find each of them, or its silence means nothing.

`DETSWEEP_CHAOS_PLANT` names one. Each of them is a mistake that this kind of program is known for.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.chaos.kill_points import Fault, KillPoints

PLANT = "DETSWEEP_CHAOS_PLANT"


def planted(name: str) -> bool:
    """Whether this defect was asked for."""
    return os.environ.get(PLANT) == name


def torn_write(kill_points: KillPoints) -> None:
    """Records are written in place, in two halves."""
    import src.pipeline.finish
    import src.pipeline.sweep
    import src.pipeline.trial
    import src.records.store

    def write_text(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text[: len(text) // 2])
            stream.flush()
            kill_points.reached(f"write {path.name} · before")
            stream.write(text[len(text) // 2 :])
        kill_points.reached(f"write {path.name} · after")

    src.records.store.write_text = write_text  # type: ignore[assignment, attr-defined]


def double_tell(kill_points: KillPoints) -> None:
    """A cell that was told is laid out again, as if its worker had died."""
    from src.sweeper.requeue import AFTER, SLOT
    from src.sweeper.study import Study

    tell = Study.tell

    def twice(self: Study, cell: Any, values: Any, **named: Any) -> None:
        tell(self, cell, values, **named)
        if cell.index == 1 and cell.number < 12:
            self._study.enqueue_trial(cell.params, user_attrs={SLOT: cell.index, AFTER: cell.number, "fixed": True})

    Study.tell = twice  # type: ignore[method-assign, assignment]


def lost_slot(kill_points: KillPoints) -> None:
    """A slot whose worker died is not laid out again."""
    from src.sweeper.requeue import Requeue

    def drop(self: Requeue, frozen: Any, deaths: int, **rest: Any) -> None:
        self.end(frozen, "died")

    Requeue.lay_out_again = drop  # type: ignore[method-assign, assignment]


def open_run(kill_points: KillPoints) -> None:
    """Runs of trials that were interrupted are not closed when they end."""
    from src.track import MlflowRun

    end = MlflowRun.end

    def leave(self: MlflowRun, status: str = "FINISHED") -> None:
        if not self.last_epoch:
            end(self, status)

    MlflowRun.end = leave  # type: ignore[method-assign]


def eternal_lease(kill_points: KillPoints) -> None:
    """A lease never runs out, whatever became of its worker."""
    from src.sweeper.lease import Lease

    Lease.process_lives = lambda self: True  # type: ignore[method-assign]


def epoch_twice(kill_points: KillPoints) -> None:
    """A resumed trial logs the epochs again that it had logged before."""
    from src.track import MlflowTracker

    resume = MlflowTracker.resume

    def forgetful(self: MlflowTracker, run_id: str, *, monitor: bool = False) -> Any:
        run = resume(self, run_id, monitor=monitor)
        run.last_epoch = 0
        return run

    MlflowTracker.resume = forgetful  # type: ignore[method-assign]


def orphan(kill_points: KillPoints) -> None:
    """Workers are left behind when the command is interrupted, and don't notice."""
    import signal

    from benchmarks.chaos import toys
    from src.pipeline import local_workers

    local_workers._stop = lambda *rest: None
    if os.environ.get("DETSWEEP_WORKER"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal = lambda *rest: signal.SIG_IGN  # type: ignore
        toys.EPOCH_S = 1.0  # as a real training, which does not happen to be over before anybody looks


def stale_artifact(kill_points: KillPoints) -> None:
    """An exported file is written again after its hash was taken."""
    from src.pipeline import finalist

    save: Callable[[Path, Any], None] = finalist.save  # type: ignore[attr-defined]

    def spoil(path: Path, record: Any) -> None:
        save(path, record)
        for artifact in getattr(record, "artifacts", []):
            if artifact.format == "onnx":
                Path(artifact.path).write_bytes(b"another")

    finalist.save = spoil  # type: ignore[attr-defined]


def nothing(kill_points: KillPoints) -> None:
    """Built into the toys."""


@dataclass(frozen=True)
class Plant:
    """A planted defect, the kills that bring it out, and the row of the table that must show it."""

    plant: Callable[[KillPoints], None]
    what: str
    row: str
    kills: tuple[tuple[str, str, str, int, str], ...] = ()  # phase, moment, signal, nth, scope
    workers: int = 1

    def faults(self) -> list[Fault]:
        """The kills, as the harness takes them."""
        return [
            Fault(i, phase, moment, nth, 0.3, signal, scope)
            for i, (phase, moment, signal, nth, scope) in enumerate(self.kills, 1)
        ]


KILLED = ("trials", "epoch · told, not kept", "SIGKILL", 2, "all")
PLANTS = {
    "torn-write": Plant(
        torn_write, "a record in place", "torn, or not matching its hash",
        (("trials", "write record.json · before", "SIGKILL", 1, "all"),),
    ),
    "double-tell": Plant(double_tell, "a cell told twice", "twice (trials, slots, runs)"),
    "lost-slot": Plant(lost_slot, "a dead worker's slot dropped", "trials lost", (KILLED,)),
    "open-run": Plant(open_run, "a run left open", "runs or trials left running", (KILLED,)),
    "eternal-lease": Plant(eternal_lease, "a lease that never runs out", "commands that hung", (KILLED,)),
    "epoch-twice": Plant(epoch_twice, "an epoch logged twice", "epochs logged twice", (KILLED,)),
    "no-resume": Plant(nothing, "trainings that begin again", "epochs repeated beyond one a kill", (KILLED,)),
    "drift": Plant(nothing, "results that depend on the process", "tables or metrics that differ", (KILLED,)),
    "orphan": Plant(
        orphan, "workers left behind", "processes left behind",
        (("trials", "epoch · middle", "SIGTERM", 1, "main"),), 3,
    ),
    "stale-artifact": Plant(
        stale_artifact, "a file changed after its hash was taken", "torn, or not matching its hash"
    ),
}  # fmt: skip


def plant(kill_points: KillPoints) -> None:
    """Plant the defect that was asked for."""
    if name := os.environ.get(PLANT):
        PLANTS[name].plant(kill_points)
