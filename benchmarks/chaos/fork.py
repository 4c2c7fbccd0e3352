"""Starts the command as a fork of the harness, which has everything imported: a start costs no seconds of imports.

The child opens everything itself; the harness holds no connection and no thread that it could inherit.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

LOADED = (
    "alembic.command", "matplotlib.figure", "mlflow", "PIL.Image", "sqlalchemy",
    "src.benchmark.worker", "src.pipeline.sweep", "src.report", "src.run",
)  # fmt: skip


class Forked:
    """A child, with the part of `subprocess.Popen` that is needed."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Exit status, negative for a signal; None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float = 60.0) -> int:
        """Wait for its end.

        Raises:
            subprocess.TimeoutExpired: it takes longer.
        """
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("the command", timeout)
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def preload() -> None:
    """Import what the command will import, and look at the machine once."""
    for name in LOADED:
        importlib.import_module(name)
    from src.machine.environment import environment

    environment()


def start(words: Sequence[str], env: Mapping[str, str], output: Path) -> Forked:
    """Start the driver with these words in a session of its own, its output appended to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    if pid := os.fork():
        return Forked(pid)
    code = 1
    try:
        _become(words, env, output)
        from benchmarks.chaos.driver import main

        main()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _become(words: Sequence[str], env: Mapping[str, str], output: Path) -> None:
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    stream = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for source, target in ((nothing, 0), (stream, 1), (stream, 2)):
        os.dup2(source, target)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["src.run", *words]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
