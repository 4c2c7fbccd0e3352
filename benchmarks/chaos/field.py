"""One sweep under fire: starts the command, lets a fault strike, waits for the end, and starts it again until done."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.chaos.fork import Forked, start
from benchmarks.chaos.kill_points import VARIABLE, Fault
from benchmarks.chaos.planted_defects import PLANT

NAME = "toy"
REACH_S = 60.0  # for a moment to be reached
LEAVE_S = 30.0  # for a command to end after a signal; workers are given eight seconds
ORPHAN_S = 6.0  # for what a killed command started to notice
AT_ONCE_S = 2.0  # for a command that ended by itself: it waits for what it started
DONE_S = 90.0  # for a sweep to be finished when nothing strikes any more

WORDS = [
    "-m", "data.n_train=8", "data.n_val=4", "data.n_test=4", "data.size=64", "epochs=4", "imgsz=32",
    "model.weights=scratch", "runtime.engines=[pytorch,onnxruntime]", "benchmark=quick", "benchmark.rounds=1",
    "decision.finalists=1", "tracking.system_metrics=false", "seed=1,2", f"sweep={NAME}",
]  # fmt: skip
STUDY = ["lr=tag(log,interval(0.001,0.01))", "hydra.sweeper.n_trials=8", "hydra.sweeper.sampler.seed=7"]
GRID = ["lr=0.001,0.002,0.003,0.004", "study.workers=3"]


@dataclass
class Damage:
    """What went wrong while the sweep was under fire, whatever it left."""

    kills: list[Fault] = field(default_factory=list)
    missed: int = 0  # faults whose moment never came
    hangs: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    endings: list[str] = field(default_factory=list)  # wrong exit codes
    left_open: list[str] = field(default_factory=list)  # runs still running after a clean interruption
    trainings_killed: int = 0  # each may repeat one epoch
    commands: int = 0


class Field:
    """A folder with its own outputs, reports and control folder."""

    def __init__(self, home: Path, workers: int, plant: str, template: Path | None) -> None:
        self.home, self.workers, self.plant = home, workers, plant
        self.control = home / "control"
        self.control.mkdir(parents=True)
        self.damage = Damage()
        self.process: Forked | None = None
        self._before: set[str] = set()
        if template is not None:
            shutil.copytree(template, home / "outputs", symlinks=True)

    @property
    def database(self) -> Path:
        """The MLflow store."""
        return self.home / "outputs" / "mlflow.db"

    def attack(self, faults: Iterable[Fault]) -> None:
        """Let the faults strike one after the other, then let the sweep finish."""
        try:
            for fault in faults:
                if not self._strike(fault):
                    break
            (self.control / "fault.json").unlink(missing_ok=True)
            self._finish()
        finally:
            self._sweep_up()

    def _start(self) -> Forked:
        if self.process is not None and self.process.poll() is None:
            return self.process
        shape = GRID if self.workers > 1 else STUDY
        places = [f"outputs={self.home}/outputs", f"reports={self.home}/reports"]
        env = {**os.environ, VARIABLE: str(self.control), "DETSWEEP_OFFLINE": "1", "COLUMNS": "160"}
        env |= {PLANT: self.plant} if self.plant else {}
        self._before = self.running()
        self.damage.commands += 1
        self.process = start([*WORDS, *shape, *places], env, self.control / "output.txt")
        return self.process

    def _strike(self, fault: Fault) -> bool:
        """Returns False when the sweep can't be gone on with."""
        fault.save(self.control)
        log = self.control / "moments.log"
        offset = log.stat().st_size if log.is_file() else 0
        process = self._start()
        fired = self._await(process, fault, offset)
        if not fired:
            return self._missed(process)
        if fault.moment:
            fault = replace(fault, moment=self._fired(fault)[1])
        self._deliver(process, fault)
        self.damage.kills.append(fault)
        alone = fault.scope == "self" and self._is_worker(fault)
        self.damage.trainings_killed += 1 if alone else self.workers
        return alone or self._ended(process, fault)

    def _missed(self, process: Forked) -> bool:
        self.damage.missed += 1
        if process.poll() is not None:
            if process.returncode != 0:
                self.damage.endings.append(f"status {process.returncode} without a fault")
            return False
        self.damage.hangs.append("nothing reached for a minute")
        return False

    def _await(self, process: Forked, fault: Fault, offset: int) -> bool:
        """Wait until the fault's time has come; False when the command ended or time ran out before."""
        deadline, due = time.monotonic() + REACH_S, 0.0
        while time.monotonic() < deadline and process.poll() is None:
            if fault.moment:
                if (self.control / f"fired-{fault.number}").exists():
                    return True
            elif due and time.monotonic() >= due:
                return True
            elif not due and self._phase_begun(fault.phase, offset):
                due = time.monotonic() + fault.delay_s
            time.sleep(0.01)
        return bool(fault.moment) and (self.control / f"fired-{fault.number}").exists()

    def _phase_begun(self, phase: str, offset: int) -> bool:
        log = self.control / "moments.log"
        if not log.is_file():
            return False
        with open(log, "rb") as stream:
            stream.seek(offset)
            return f"phase {phase} · before".encode() in stream.read() or (self.workers > 1 and phase == "trials")

    def _is_worker(self, fault: Fault) -> bool:
        """Whether the process that struck itself is not the command."""
        assert self.process is not None
        return self._fired(fault)[0] != str(self.process.pid)

    def _fired(self, fault: Fault) -> tuple[str, str]:
        """Process that struck, and the moment at which it did."""
        pid, _, name = (self.control / f"fired-{fault.number}").read_text(encoding="utf-8").partition("\t")
        return pid, name

    def _deliver(self, process: Forked, fault: Fault) -> None:
        if fault.scope == "self":
            return
        number = getattr(signal, fault.signal.rstrip("2"))
        # Ctrl-C goes to the terminal's process group, which holds the command alone; other signals may go to all.
        everyone = self.alive() if fault.scope == "all" and number != signal.SIGINT else [process.pid]
        for pid in everyone:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if fault.signal.endswith("2"):
            time.sleep(random.Random(fault.number).uniform(0.01, 0.5))
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
        (self.control / f"struck-{fault.number}").touch()

    def _ended(self, process: Forked, fault: Fault) -> bool:
        """Wait for the end of a command that was struck, and look at how it ended."""
        what = f"{fault.signal} to {fault.scope} at {fault.moment or fault.phase}"
        try:
            code = process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            self.damage.hangs.append(what)
            self._sweep_up()
            return True
        # Python dies of a second Ctrl-C while it is leaving already: a shell says 130 to that too.
        expected = {"SIGKILL": (-signal.SIGKILL,), "SIGINT2": (130, 0, -signal.SIGINT)}.get(fault.signal, (130, 0))
        if code not in expected:
            self.damage.endings.append(f"status {code} after {what}")
        # A second Ctrl-C cuts the waiting short.
        self._no_orphans(what, ORPHAN_S if code < 0 or fault.signal == "SIGINT2" else AT_ONCE_S)
        if code == 130 and fault.signal != "SIGINT2" and (left := self.running() - self._before):
            self.damage.left_open.append(f"{len(left)} after {what}")
        return True

    def _no_orphans(self, what: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := self.alive()) and time.monotonic() < deadline:
            time.sleep(0.05)
        if left:
            self.damage.orphans.append(f"{len(left)} after {what}")
            self._sweep_up()

    def _finish(self) -> None:
        for _ in range(3):
            process = self._start()
            try:
                code = process.wait(DONE_S)
            except subprocess.TimeoutExpired:
                self.damage.hangs.append("the last run did not end")
                self._sweep_up()
                return
            if code == 0:
                self._no_orphans("the end", AT_ONCE_S)
                return
            self.damage.endings.append(f"status {code} in the last run")

    def _sweep_up(self) -> None:
        for pid in self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def alive(self) -> list[int]:
        """Processes that carry this field's mark in their environment."""
        mark = f"{VARIABLE}={self.control}\0".encode()
        found = [self.process.pid] if self.process is not None and self.process.poll() is None else []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                if mark in (folder / "environ").read_bytes() and b") Z" not in (folder / "stat").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
        return found

    def running(self) -> set[str]:
        """MLflow runs that count as running."""
        try:
            with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=20)) as db:
                return {run for (run,) in db.execute("SELECT run_uuid FROM runs WHERE status = 'RUNNING'")}
        except sqlite3.OperationalError:
            return set()
