"""A training ends after its epochs, or when its minutes are used; what was used is kept."""

from __future__ import annotations

import pytest

from src.common.history import USED
from src.models.budget import MOST_EPOCHS, Budget


class Clock:
    """A clock that is set by hand, in seconds."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("src.models.budget.time.process_time", made)
    monkeypatch.setattr("src.models.budget.time.perf_counter", Clock())
    return made


def train(budget: Budget, clock: Clock, seconds: float, history: list[dict[str, float]], most: int = 99) -> None:
    budget.begin(history)
    while not budget.is_used(history) and most:
        clock.now += seconds
        history.append({"epoch": len(history) + 1.0, **budget.used()})
        most -= 1


def test_epochs_are_counted_and_leave_no_entry(clock: Clock) -> None:
    history: list[dict[str, float]] = []
    budget = Budget(3, None)
    train(budget, clock, 50, history)
    assert history == [{"epoch": 1}, {"epoch": 2}, {"epoch": 3}]
    assert budget.done(history[:1]) == 1


@pytest.mark.parametrize(("seconds", "epochs"), [(10, 12), (50, 2), (45, 3), (500, 1)])
def test_minutes_end_it_at_the_epoch_nearest_to_them(clock: Clock, seconds: float, epochs: int) -> None:
    history: list[dict[str, float]] = []
    budget = Budget(10, 2.0)
    train(budget, clock, seconds, history)
    assert len(history) == epochs
    assert history[-1][USED] == pytest.approx(epochs * seconds / 60)
    assert budget.done(history) == pytest.approx(min(10.0, epochs * seconds / 120 * 10))


def test_the_minutes_of_a_killed_process_count(clock: Clock) -> None:
    history: list[dict[str, float]] = []
    train(Budget(10, 2.0), clock, 20, history, most=4)
    clock.now = 7.0  # another process
    train(Budget(10, 2.0), clock, 20, history)
    assert len(history) == 6
    assert history[-1][USED] == pytest.approx(2.0)


def test_what_is_not_begun_is_not_counted(clock: Clock) -> None:
    budget = Budget(10, 2.0)
    clock.now += 600
    budget.begin([])
    clock.now += 30
    assert budget.used() == {USED: 0.5}
    assert budget.total([]) == MOST_EPOCHS
    assert budget.total([budget.used()]) == 4


def test_on_a_gpu_the_clock_is_read(clock: Clock) -> None:
    budget = Budget(10, 2.0, gpu=True)
    budget.begin([])
    clock.now += 600
    assert budget.used() == {USED: 0.0}
