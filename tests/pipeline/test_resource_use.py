"""Time and energy of a trial are those of all its attempts, also of one that was killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from src.pipeline import resource_use
from src.pipeline.resource_use import ResourceUse


class Clock:
    """A clock and an energy counter that the test moves."""

    now = 0.0

    def perf_counter(self) -> float:
        """Seconds."""
        return self.now

    @contextmanager
    def metered(self, *, gpu: bool, into: dict[str, float]) -> Iterator[None]:
        """Ten joules a second."""
        begun = self.now
        yield
        into["package-0"] = into.get("package-0", 0.0) + 10 * (self.now - begun)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(resource_use, "time", clock)
    monkeypatch.setattr(resource_use, "metered", clock.metered)
    return clock


def test_an_attempt_that_was_killed_counts_up_to_its_last_epoch(clock: Clock, tmp_path: Path) -> None:
    first = ResourceUse.so_far(tmp_path, gpu=False)
    killed = first.of("train")
    killed.__enter__()
    for _ in range(2):
        clock.now += 3
        first.keep()
    clock.now += 100  # the epoch under way is lost
    second = ResourceUse.so_far(tmp_path, gpu=False)
    with second.of("train"):
        clock.now += 4
        second.keep()
        clock.now += 1
    with second.of("evaluate"):
        clock.now += 2
    assert second.seconds == {"train": 11, "evaluate": 2}
    assert second.joules == {"package-0": 130}
    resource_use.forget(tmp_path)
    assert ResourceUse.so_far(tmp_path, gpu=False).seconds == {}
