"""What stages of work took: seconds, and joules where this machine counts them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from src.energy import metered


@dataclass
class Spent:
    """Seconds per stage, and joules per counter over all of them."""

    gpu: bool = False  # whether the work runs on a GPU, whose energy then counts
    seconds: dict[str, float] = field(default_factory=dict)
    joules: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Measure a stage, also one that fails."""
        begun = time.perf_counter()
        try:
            with metered(gpu=self.gpu, into=self.joules):
                yield
        finally:
            self.seconds[stage] = round(self.seconds.get(stage, 0.0) + time.perf_counter() - begun, 3)
