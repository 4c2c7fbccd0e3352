"""Run one job in a fresh process, so that nothing of one engine touches the next, and a crash is a result.

The parent only waits: it must not take part in what is measured. A worker that dies of a signal, hangs or answers
nonsense becomes a `StageError` with the reason.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from src.common.errors import StageError
from src.common.root import ROOT
from src.machine.abilities import kill_group
from src.machine.answers import error_of

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)
WINDOWS = {
    0xC0000005: "an access violation",
    0xC000001D: "an illegal instruction",
    0xC00000FD: "a stack overflow",
    0xC0000017: "a lack of memory",
    0xC0000135: "a missing DLL",
}  # what the system there ends a process with
MAIN = "src.benchmark.worker"
QUIET = ("-W", "ignore::RuntimeWarning:runpy")  # its package imports the worker too, which is no news on a death


def run_job(
    job: Mapping[str, Any], *, target: str, threads: int, timeout_s: float, stage: str = "benchmark", module: str = MAIN
) -> dict[str, Any]:
    """Run `python -m <module> job.json result.json` and return what it answers.

    Args:
        job: plain data for the worker.
        target: what it works on, for messages.
        threads: threads that numeric libraries may use in it; it is bound to as many cores.
        timeout_s: it is killed, with all its children, after so long.

    Raises:
        StageError: it failed, crashed or hung.
        Unavailable: it says that an engine can't be had.
        UserError: it says that a file or value is wrong.
    """
    with tempfile.TemporaryDirectory(prefix="detsweep-job-") as folder:
        source, result, log = (Path(folder) / name for name in ("job.json", "result.json", "stderr.txt"))
        source.write_text(json.dumps(dict(job)), encoding="utf-8")
        command = [sys.executable, *QUIET, "-m", module, str(source), str(result)]
        code = _wait(command, _environment(threads, folder), log, timeout_s)
        if code is None:
            raise StageError(stage, target, f"no answer within {timeout_s:.0f} s; the process was killed")
        return _answer(result, code, log, target, stage)


def _environment(threads: int, folder: str) -> dict[str, str]:
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
    environment["PYTHONPATH"] = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH", "")) if p)
    environment.setdefault("YOLO_CONFIG_DIR", folder)
    environment.setdefault("PYTHONHASHSEED", "0")
    return environment


def _wait(command: list[str], environment: dict[str, str], log: Path, timeout_s: float) -> int | None:
    """Exit status of the command, or None when its time is up. No process of it outlives this call."""
    with open(log, "wb") as stream:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # it ends when this process dies; see `src.machine.parent_process`
            stdout=stream,
            stderr=stream,
            env=environment,
            start_new_session=os.name == "posix",
        )
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        finally:  # also when the user interrupts
            _kill_group(process)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    kill_group(process)
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _answer(result: Path, code: int, log: Path, target: str, stage: str) -> dict[str, Any]:
    """Read the worker's answer, and turn its failure into the error it stands for."""
    try:
        answer = json.loads(result.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise StageError(stage, target, _death(code, log)) from None
    if answer.get("ok"):
        value: dict[str, Any] = answer["value"]
        return value
    raise error_of(answer, stage, target)


def _death(code: int, log: Path) -> str:
    tail = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
    how = f"the process exited with status {code}"
    if code >= 1 << 31:
        how = f"the process died of {WINDOWS.get(code, 'an exception')} ({code:#x})"
    if code < 0:
        try:
            how = f"the process died of {signal.Signals(-code).name}"
        except ValueError:
            how = f"the process died of signal {-code}"
        if -code == getattr(signal, "SIGKILL", 9):
            how += " (often: out of memory)"
    return ": ".join([how, *([" / ".join(tail)] if tail else [])])
