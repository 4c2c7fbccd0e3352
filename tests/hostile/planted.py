"""A command with a defect of each kind, to show that the harness sees them."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path


def refuse(lines: int = 1) -> None:
    """Refuse as one should."""
    for _ in range(lines):
        print("error: no", file=sys.stderr)
    sys.exit(2)


def put(path: str) -> Callable[[Path], None]:
    """Write a file below the case's folder, then refuse."""

    def work(home: Path) -> None:
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text("x")
        refuse()

    return work


def burst(home: Path) -> None:
    raise RuntimeError("not caught")


DEFECTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "traceback": (burst, "traceback"),
    "hang": (lambda home: time.sleep(60), "no end within"),
    "crash": (lambda home: os.kill(os.getpid(), signal.SIGKILL), "died of SIGKILL"),
    "memory": (lambda home: bytearray(64 << 30), "traceback"),
    "silent": (lambda home: sys.exit(2), "refused without a word"),
    "failed": (lambda home: sys.exit(1), "failed (exit 1)"),
    "strange": (lambda home: sys.exit(7), "exit 7"),
    "taken": (lambda home: print("fine"), "taken, though it is broken"),
    "long": (lambda home: refuse(50), "refused in 50 lines"),
    "runs-code": (put("MARKER"), "ran code"),
    "escapes": (put("escaped"), "wrote outside"),
    "litters": (put("cwd/x.log"), "wrote into the working folder"),
    "half-written": (put("reports/x/decision.md"), "half-written"),
    "half-a-sweep": (put("outputs/sweeps/x/sweep.json"), "half-written"),
    "torn": (put("outputs/.x.json.1.tmp"), "left a torn file"),
    "changes-the-input": (put("in/file"), "changed the input"),
    "nameless": (lambda home: refuse(), "does not name"),
    "sound": (lambda home: refuse(), ""),
}


def main() -> None:
    """Do what the first word says."""
    DEFECTS[sys.argv[1]][0](Path(sys.argv[2]))
