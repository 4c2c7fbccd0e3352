"""Joins frames, network and writers: reading and letterboxing run ahead in a thread, so that the network never waits.

Frames of files are all predicted, in order, and several at a time where the engine can (`parallel`); a live stream
drops what it can't keep up with.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from src.inference import Detections, Prepared
from src.predict.engine import Predictor
from src.predict.sources import Frame
from src.predict.writers import Writer

AHEAD = 8  # batches that may wait
Tick = Callable[[int], None]
Pair = tuple[Frame, Prepared]


@dataclass(frozen=True)
class Done:
    """A predicted batch."""

    frames: list[Frame]
    found: list[Detections]  # of each frame
    ms: float  # network and suppression


@dataclass
class Stats:
    """What a run did."""

    frames: int = 0
    boxes: int = 0
    seconds: float = 0.0  # from the first frame asked for to the last one written
    call_ms: list[float] = field(default_factory=list)  # network and suppression, per batch
    per_class: dict[int, int] = field(default_factory=dict)

    @property
    def fps(self) -> float:
        """Frames per second, everything included."""
        return self.frames / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """Milliseconds of a batch."""
        return float(np.percentile(self.call_ms, share)) if self.call_ms else 0.0


def ahead(frames: Iterable[Frame], predictor: Predictor, *, batch: int, depth: int = AHEAD) -> Iterator[list[Pair]]:
    """Batches of frames, read and prepared in a thread of their own.

    Raises:
        Exception: whatever reading raised, after the frames before it.
    """
    waiting: queue.Queue[Any] = queue.Queue(depth)
    stop = threading.Event()

    def offer(item: Any) -> None:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def work() -> None:
        try:
            pairs = ((frame, predictor.prepare(frame.image)) for frame in frames)
            while not stop.is_set() and (group := list(islice(pairs, batch))):
                offer(group)
            offer(None)
        except BaseException as error:  # it is raised again where the frames are wanted
            offer(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()


def call(predictor: Predictor, pairs: Sequence[Pair]) -> Done:
    """Predict a batch, and time it."""
    start = time.perf_counter()
    found = predictor([item for _, item in pairs], [frame.image for frame, _ in pairs])
    return Done([frame for frame, _ in pairs], found, (time.perf_counter() - start) * 1000)


def in_turn(batches: Iterable[list[Pair]], predictor: Predictor) -> Generator[Done, None, None]:
    """Predict one batch from `ahead` after the other: the soonest answer to each."""
    for pairs in batches:
        yield call(predictor, pairs)


def keep(batches: Iterable[Done], writers: Iterable[Writer], tick: Tick | None = None) -> Stats:
    """Hand every predicted frame to the writers.

    Args:
        batches: from `in_turn` or `parallel.at_once`.
        writers: keep what was found.
        tick: told of the number of frames done.
    """
    stats, begun, writers = Stats(), time.perf_counter(), list(writers)
    for batch in batches:
        stats.call_ms.append(batch.ms)
        for frame, detections in zip(batch.frames, batch.found, strict=True):
            _count(stats, detections)
            for writer in writers:
                writer.add(frame, detections)
        stats.seconds = time.perf_counter() - begun
        if tick is not None:
            tick(len(batch.frames))
    return stats


def _count(stats: Stats, found: Detections) -> None:
    stats.frames += 1
    stats.boxes += len(found.scores)
    for class_id in found.classes.tolist():
        stats.per_class[class_id] = stats.per_class.get(class_id, 0) + 1
