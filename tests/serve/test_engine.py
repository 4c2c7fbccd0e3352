"""The queue before the network: batches, limits, failures and the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest

from src.inference import Detections, LetterboxTransform, Prepared
from src.predict.engine import Predictor
from src.serve.engine import Engine
from src.serve.refusals import Refusal


class Counting:
    """Answers with the value of each picture as its score, and keeps the sizes of its calls."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, prepared: Sequence[Prepared]) -> list[Detections]:
        assert self.gate.wait(10)
        self.calls.append(len(prepared))
        scores = [np.array([item.x[0, 0, 0]], np.float32) for item in prepared]
        if any(score[0] < 0 for score in scores):
            raise ValueError("negative")
        return [Detections(np.zeros((1, 4), np.float32), score, np.zeros(1, np.int64)) for score in scores]

    def raw(self, x: Any) -> list[Any]:
        return [x + 1]


def item(value: float) -> Prepared:
    return Prepared(np.full((3, 1, 1), value, np.float32), LetterboxTransform((1, 1), (0, 0), (1, 1)))


def engine_of(counting: Counting, **others: Any) -> Engine:
    return Engine(cast(Predictor, counting), **others)


def test_each_picture_gets_its_own_answer_whatever_the_batches() -> None:
    counting = Counting()
    counting.gate.clear()
    engine = engine_of(counting, batch=4, wait_s=0.5)
    futures = [engine.submit(item(value)) for value in range(9)]
    counting.gate.set()
    answers = [future.result(10) for future in futures]
    assert [float(a.found.scores[0]) for a in answers] == list(range(9))
    assert sum(counting.calls) == 9
    assert max(counting.calls) == 4
    assert [a.batch for a in answers][:4] == [counting.calls[0]] * counting.calls[0] + [4] * (4 - counting.calls[0])


def test_a_picture_alone_waits_no_longer_than_it_may() -> None:
    counting = Counting()
    engine = engine_of(counting, batch=8, wait_s=0.01)
    assert engine.submit(item(1)).result(10).batch == 1


def test_who_brings_a_picture_runs_it_where_nothing_waits() -> None:
    threads: list[str] = []

    class Noting(Counting):
        def __call__(self, prepared: Sequence[Prepared]) -> list[Detections]:
            threads.append(threading.current_thread().name)
            return super().__call__(prepared)

    counting, own = Noting(), threading.current_thread().name
    engine = engine_of(counting, anywhere=True)
    assert engine.submit(item(1), here=True).done()
    engine.submit(item(2)).result(10)
    assert threads == [own, "engine"]
    counting.gate.clear()
    first, second = engine.submit(item(3)), engine.submit(item(4), here=True)
    assert not second.done(), "one call at a time: it waits behind the first"
    counting.gate.set()
    assert [float(f.result(10).found.scores[0]) for f in (first, second)] == [3, 4]
    engine.close()
    with pytest.raises(Refusal):
        engine.submit(item(5), here=True)
    for others in ({"anywhere": False}, {"anywhere": True, "batch": 2}):
        engine_of(counting, **others).submit(item(6), here=True).result(10)
    assert threads[-2:] == ["engine", "engine"]


def test_raw_inputs_go_by_themselves() -> None:
    counting = Counting()
    counting.gate.clear()
    engine = engine_of(counting, batch=4, wait_s=0.2)
    futures = [engine.submit(item(1)), engine.submit(np.zeros((2, 3, 1, 1), np.float32)), engine.submit(item(2))]
    counting.gate.set()
    assert float(futures[0].result(10).found.scores[0]) == 1
    assert (futures[1].result(10)[0] == 1).all()
    assert float(futures[2].result(10).found.scores[0]) == 2


def test_a_full_queue_turns_away() -> None:
    counting = Counting()
    counting.gate.clear()
    engine = engine_of(counting, waiting=2)
    taken = [engine.submit(item(0))]
    while engine.depth:  # until the first is under way
        time.sleep(0.01)
    taken += [engine.submit(item(value)) for value in (1, 2)]
    with pytest.raises(Refusal) as told:
        engine.submit(item(3))
    assert told.value.status == 429
    counting.gate.set()
    assert all(future.result(10) for future in taken)


def test_a_failure_reaches_those_of_its_call_alone() -> None:
    engine = engine_of(Counting())
    with pytest.raises(ValueError, match="negative"):
        engine.submit(item(-1)).result(10)
    assert engine.submit(item(3)).result(10)


def test_what_was_taken_is_answered_before_the_end() -> None:
    counting = Counting()
    counting.gate.clear()
    engine = engine_of(counting)
    futures = [engine.submit(item(value)) for value in range(5)]
    engine.close()
    with pytest.raises(Refusal) as told:
        engine.submit(item(9))
    assert told.value.status == 503
    counting.gate.set()
    engine.join(10)
    assert [float(f.result(0).found.scores[0]) for f in futures] == list(range(5))


def test_a_client_that_left_costs_no_call() -> None:
    counting = Counting()
    counting.gate.clear()
    engine = engine_of(counting)
    futures = [engine.submit(item(value)) for value in range(4)]
    futures[2].cancel()
    counting.gate.set()
    engine.close()
    engine.join(10)
    assert sum(counting.calls) == 3
