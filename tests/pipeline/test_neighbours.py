"""Others that hold the cores while something trains: told once, with what helps. All counters are played."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from src.benchmark.disturbance import Reading
from src.pipeline import local_workers, trial
from src.pipeline.neighbours import FIRST_S, THEN_S, Neighbours, said


@pytest.mark.parametrize(
    ("others", "cores", "threads", "workers", "remedy"),
    [
        (1.0, 2, 2, 1, "with threads=1"),
        (1.0, 2, 2, 2, "with threads=1 study.workers=1"),
        (0.9, 2, 2, 1, "with threads=1"),
        (2.0, 8, 8, 4, "with threads=6 study.workers=4"),
        (1.0, 1, 1, 1, "train when they have ended"),
        (1.9, 2, 1, 1, "train when they have ended"),
        (1.0, 2, 16, 1, "with threads=1"),  # more threads than cores
    ],
)
def test_the_remedy_leaves_others_their_cores(
    others: float, cores: int, threads: int, workers: int, remedy: str
) -> None:
    text = said(others / cores, cores, threads, workers)
    assert f"other processes hold {others:.1f} of the {cores} cores" in text
    assert "many times slower" in text
    assert text.endswith(remedy)


@pytest.mark.parametrize(
    ("others", "cores", "threads"),
    [
        (0.0, 2, 2),
        (0.3, 2, 2),  # as quiet as machines are
        (1.0, 2, 1),  # there is room for both
        (4.0, 64, 60),
        (5.0, 64, 64),  # a tenth is not much
    ],
)
def test_where_there_is_room_for_all_nothing_is_said(others: float, cores: int, threads: int) -> None:
    assert said(others / cores, cores, threads) == ""


def played(*busy: float, each_s: float = 10.0) -> Iterator[Reading | None]:
    """Readings of two cores, `each_s` apart: what others used in each, as a share of the cores."""
    wall = load = own = 0.0
    yield Reading(wall, 0, 0, 0, 0)
    while True:
        for share in busy:
            wall, own = wall + each_s, own + each_s * 0.5
            load += each_s * 0.5 + share * 2 * each_s
            yield Reading(wall, 2 * wall, load, 0, own)


class Pauses:
    """Stands for the clock: so many looks, then the training ends."""

    def __init__(self, looks: int) -> None:
        self.left, self.asked = looks, [0.0]

    def __call__(self, over: threading.Event, seconds: float) -> bool:
        self.asked.append(seconds)
        self.left -= 1
        return self.left <= 0


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "src.pipeline.neighbours"]


def test_it_is_said_once_whatever_trains_after(caplog: pytest.LogCaptureFixture) -> None:
    readings, pauses = played(0.05, 0.5, 0.5), Pauses(10)
    neighbours = Neighbours(lambda: next(readings), 2, pauses)
    with neighbours.watched(2):
        pass
    assert pauses.asked[1:] == [FIRST_S, THEN_S], "and no more looks once it was said"
    with neighbours.watched(2):
        pass
    assert told(caplog) == [said(0.5, 2, 2)]


def test_a_quiet_machine_and_one_that_tells_nothing_are_left_in_peace(caplog: pytest.LogCaptureFixture) -> None:
    quiet, none = played(0.05), iter([None] * 9)
    for readings in (quiet, none):
        with Neighbours(lambda own=readings: next(own), 2, Pauses(4)).watched(2):  # type: ignore[misc]
            pass
    assert told(caplog) == []


def test_what_starts_for_a_moment_beside_a_short_training_is_no_neighbour(caplog: pytest.LogCaptureFixture) -> None:
    readings = played(1.0, each_s=1.0)
    with Neighbours(lambda: next(readings), 2, Pauses(1)).watched(2):
        pass
    assert told(caplog) == []


def test_a_training_is_watched_where_it_is_no_worker_and_on_a_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's neighbours are the other workers of its sweep: the process that started all of them tells."""
    seen: list[int] = []
    monkeypatch.setattr(trial, "NEIGHBOURS", SimpleNamespace(watched=lambda threads: seen.append(threads)))
    context: Any = SimpleNamespace(threads=3)
    monkeypatch.delenv("DETSWEEP_WORKER", raising=False)
    trial._watching(SimpleNamespace(device="cpu"), context)  # type: ignore[arg-type]
    trial._watching(SimpleNamespace(device="cuda:0"), context)  # type: ignore[arg-type]
    monkeypatch.setenv("DETSWEEP_WORKER", "1")
    trial._watching(SimpleNamespace(device="cpu"), context)  # type: ignore[arg-type]
    assert seen == [3]


def test_of_workers_the_process_that_started_them_tells(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def watched(threads: int, workers: int) -> Any:
        seen.append((threads, workers))
        return contextlib.nullcontext()

    monkeypatch.setattr(local_workers, "NEIGHBOURS", SimpleNamespace(watched=watched))
    monkeypatch.setattr(local_workers, "_watch", lambda *_: None)
    monkeypatch.setattr(local_workers, "_start", lambda *_: None)
    monkeypatch.setattr(local_workers, "_stop", lambda workers: None)
    context: Any = SimpleNamespace(threads=4, folder=tmp_path)
    for device in ("cpu", "cuda:0"):
        request: Any = SimpleNamespace(base=SimpleNamespace(device=device))
        local_workers.run_workers(request, None, context, 2)  # type: ignore[arg-type]
    assert seen == [(4, 2)]
