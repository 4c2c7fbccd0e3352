"""The process that files are exported in, with toys for converters and kill points at every file that it renames."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.chaos.kill_points import VARIABLE, KillPoints, around
from src.common import backends
from src.export import worker
from src.machine.answers import work

if __name__ == "__main__":
    kill_points = KillPoints(Path(os.environ[VARIABLE]))
    backends.FORMATS.update(dict.fromkeys(backends.FORMATS, "benchmarks.chaos.formats"))
    around(Path, "replace", kill_points, lambda self, target: f"write {Path(target).name}")
    work(worker.make)
