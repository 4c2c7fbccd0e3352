"""Frames of files, several at a time: each call of the network computes on a thread of its own.

One call spread over all threads waits for the slowest of them after every layer, and the threads idle while a frame is
read, prepared, suppressed and written. As many calls at once, each on one thread, keep them all busy; a single frame
takes longer, so live streams are predicted in turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from src.common import backends
from src.predict.engine import Predictor
from src.predict.run import Done, call
from src.predict.sources import Frame

MOST = 8  # calls at once: each holds the activations of a batch
SPARE = 2  # batches that are read before a worker is free for them


def workers_for(engine: str, device: str, threads: int, batches: int) -> int:
    """How many calls at once serve best: one where the engine can't, or where there is but one batch.

    Args:
        engine: name of the runtime.
        device: cpu, cuda or cuda:N.
        threads: that may compute.
        batches: to come; 0 = not known.
    """
    if not backends.engine_facts(engine).concurrent or device != "cpu":
        return 1
    return min(threads, MOST, batches or MOST)


def at_once(frames: Iterable[Frame], predictor: Predictor, *, batch: int, workers: int) -> Generator[Done, None, None]:
    """Predict in threads; the results come in the order of the frames, `workers + SPARE` batches are held at most.

    Frames are read in the caller's thread.

    Raises:
        Exception: whatever reading or a worker raised, after the batches before it.
    """

    def work(group: list[Frame]) -> Done:
        return call(predictor, [(f, predictor.prepare(f.image)) for f in group])

    pool = ThreadPoolExecutor(workers, thread_name_prefix="predict")
    waiting: deque[Future[Done]] = deque()
    broken: Exception | None = None
    try:
        for group in groups(frames, batch):
            if isinstance(group, Exception):
                broken = group  # raised again once the batches before it are through
                break
            waiting.append(pool.submit(work, group))
            if len(waiting) == workers + SPARE:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
        if broken is not None:
            raise broken
    finally:
        pool.shutdown(cancel_futures=True)  # an interruption waits for the calls that are running, and for no other


def groups(frames: Iterable[Frame], batch: int) -> Iterator[list[Frame] | Exception]:
    """Frames in batches; an error of reading comes last, as an item."""
    source = iter(frames)
    try:
        while group := list(islice(source, batch)):
            yield group
    except Exception as error:
        yield error
