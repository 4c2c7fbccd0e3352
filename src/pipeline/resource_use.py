"""What stages of work took: seconds, and joules where this machine counts them.

A trial that is killed loses at most what the epoch under way took.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from src.common.whole_files import write_text
from src.machine.energy import metered

FILE = "spent.json"  # in the folder of a trial, until its record is saved


@dataclass
class ResourceUse:
    """Seconds per stage, and joules per counter over all of them."""

    gpu: bool = False  # whether the work runs on a GPU, whose energy then counts
    seconds: dict[str, float] = field(default_factory=dict)
    joules: dict[str, float] = field(default_factory=dict)
    file: Path | None = None  # where `keep` leaves the figures for a process that goes on

    @classmethod
    def so_far(cls, folder: Path, *, gpu: bool) -> ResourceUse:
        """Go on counting where a killed process left its figures in a folder, or from nothing."""
        file = folder / FILE
        left = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"seconds": {}, "joules": {}}
        return cls(gpu, left["seconds"], left["joules"], file)

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Measure a stage, also one that fails. Stages don't overlap."""
        self._begin(stage)
        try:
            yield
        finally:
            self._end()

    def keep(self) -> None:
        """Save what was spent so far, within a stage."""
        self._end()
        self.save()
        self._begin(self._stage)

    def save(self) -> None:
        """Save what was spent so far, between stages."""
        if self.file is not None:
            write_text(self.file, json.dumps({"seconds": self.seconds, "joules": self.joules}))

    def _begin(self, stage: str) -> None:
        self._stage, self._begun, self._meter = stage, time.perf_counter(), ExitStack()
        self._meter.enter_context(metered(gpu=self.gpu, into=self.joules))

    def _end(self) -> None:
        self._meter.close()
        self.seconds[self._stage] = round(self.seconds.get(self._stage, 0.0) + time.perf_counter() - self._begun, 3)


def forget(folder: Path) -> None:
    """Remove what `keep` left in the folder of a trial: its record is saved."""
    (folder / FILE).unlink(missing_ok=True)
