"""A worker of the sweep as a job of a launcher: what runs where joblib, Ray or Slurm puts it.

The worker is a process of its own there as it is on this machine, because its threads and its GPU must be settled
before torch is imported. The job starts it, waits for it, and takes it down when the sweep says so in its folder, which
all machines share: that way stopping needs nothing of the launcher, and reaches jobs that have yet to start.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from src.common.errors import EXIT_INTERRUPTED
from src.machine.environment import cores

POLL_S = 0.3
BEAT_S = 10.0  # between a job's signs of life
GRACE_S = 7.0  # for the worker to save and leave
PARENT = "DETSWEEP_PARENT"
PR_SET_PDEATHSIG = 1


def environment_of(number: int, threads: int, gpus: Sequence[int]) -> dict[str, str]:
    """Environment of a worker: its number, its share of the threads, its GPU."""
    env = {**os.environ, "DETSWEEP_WORKER": str(number), "OMP_NUM_THREADS": str(threads), PARENT: str(os.getpid())}
    if gpus:
        env["CUDA_VISIBLE_DEVICES"] = str(gpus[number % len(gpus)])
    return env


@dataclass(frozen=True)
class WorkerJob:
    """A worker to start; called by the launcher, on whichever machine, with a configuration that it has no use for."""

    module: str  # that `python -m` runs
    words: tuple[str, ...]  # of the sweep's command
    cwd: str
    logs: str  # folder of the workers' output
    stop: str  # file that tells the jobs to leave
    threads: int  # of each worker; 0 = what its scheduler granted
    gpus: tuple[int, ...] = ()  # handed out one per worker; () = as the scheduler says

    def __call__(self, cfg: Any = None) -> int:
        """Run the worker to its end.

        Returns:
            Its exit code; 130 when it was stopped.
        """
        if Path(self.stop).exists():
            return EXIT_INTERRUPTED
        number = int(HydraConfig.get().job.num)
        self._beat(number)
        threads = self.threads or granted()
        command = [sys.executable, "-m", self.module, *self.words, f"threads={threads}"]
        with open(Path(self.logs) / f"{number}.log", "ab") as stream:
            process = subprocess.Popen(
                command,
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env=environment_of(number, threads, self.gpus),
                start_new_session=True,  # Ctrl-C in a terminal must not reach it twice
            )
        return self._wait(process, number)

    def beat_file(self, number: int) -> Path:
        """Where a job leaves its signs of life, for schedulers that don't tell what became of it."""
        stop = Path(self.stop)
        return stop.with_name(f"{stop.name.replace('stop', 'beat', 1)}-{number}")

    def _beat(self, number: int) -> None:
        with contextlib.suppress(OSError):  # no reason to end a training
            self.beat_file(number).write_text(str(time.time_ns()), encoding="ascii")

    def _wait(self, process: subprocess.Popen[bytes], number: int) -> int:
        beaten = time.monotonic()
        try:
            while process.poll() is None and not Path(self.stop).exists():
                time.sleep(POLL_S)
                if time.monotonic() - beaten > BEAT_S:
                    self._beat(number)
                    beaten = time.monotonic()
        finally:
            stopped = process.poll() is None
            if stopped:
                process.terminate()
                try:
                    process.wait(GRACE_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        return EXIT_INTERRUPTED if stopped else process.returncode


def granted() -> int:
    """Threads that Ray or Slurm gave to this job, never more than the cores that it may use."""
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        wanted = int(ray.get_runtime_context().get_assigned_resources().get("CPU", 1))
    else:
        wanted = int(os.environ.get("SLURM_CPUS_PER_TASK", "0"))
    return max(1, min(wanted or cores(), cores()))


def leave_with_parent() -> None:
    """Make the kernel end this worker (SIGTERM: it saves and leaves) when the job that started it is gone.

    A scheduler kills jobs, not what they started; without this, workers would outlive a lost Ray node or joblib pool.
    """
    parent = os.environ.get(PARENT, "")
    if not parent.isdigit() or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(parent):  # it died before the kernel was told
        raise KeyboardInterrupt
