"""`python run.py` on the device: the same protocol as `python -m src.benchmark`, and `results.json` to carry home.

Every candidate runs over the pictures of the accuracy check first; its detections are kept, and judged where the bundle
was made. Then come the interleaved rounds. Every block and every pass is kept as soon as it is whole: after an
interruption the same command goes on. Nothing is installed, and nothing is written outside the bundle's folder
(or the one of --into).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from src.benchmark.bundle.device_run import Run
from src.common.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, UserError, is_disk_full


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="run.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--plan", action="store_true", help="say what would be done and how long it takes, and stop")
    made.add_argument("--into", metavar="DIR", help="folder for work/ and results.json (default: the bundle's)")
    made.add_argument("--pictures", metavar="DIR", help="where the pictures lie, for a bundle that only refers to them")
    made.add_argument("--threads", type=int, metavar="N", help="threads of the engines (default: all cores)")
    made.add_argument("--device", help="cpu, cuda or cuda:N (default: as the bundle was made for)")
    made.add_argument("--fresh", action="store_true", help="forget what an earlier run did")
    made.add_argument("--with-parent", action="store_true", help="stop when standard input is closed")
    return made


def main(folder: Path, words: Sequence[str]) -> int:
    """Run the bundle in a folder; returns the exit code."""
    options = parser().parse_args(list(words))
    if options.with_parent:
        from src.machine.parent_process import leave_with_parent

        leave_with_parent(gently=True)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return Run(folder, options).work_through()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        print("\ninterrupted: what was finished is kept; the same command goes on from there", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        print("nobody reads what this says: stopped; the same command goes on from what is finished", file=sys.stderr)
        return EXIT_FAILED
    except Exception as error:
        if os.environ.get("DETSWEEP_TRACEBACK") == "1":
            traceback.print_exc()
        print(f"error: {_reason(error)}", file=sys.stderr)
        return EXIT_FAILED


def _reason(error: Exception) -> str:
    if is_disk_full(error):
        return f"the disk is full: {error}\n  with some room, the same command goes on"
    what = f"{type(error).__name__}: {error}\n  DETSWEEP_TRACEBACK=1 shows where"
    return f"{what}; what was finished is kept, and the same command goes on"


def _drop_output() -> None:
    """Python would complain once more when it flushes the rest at its end: that goes nowhere."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
