"""The network, one call at a time: pictures wait in a queue, and a thread runs them one by one or a few together.

Where nothing waits, the thread that brings a picture may run it, since every change of threads costs.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from src.inference import Detections, Prepared
from src.inference.types import Float
from src.predict.engine import Predictor
from src.serve.refusals import busy, not_ready


@dataclass
class Job:
    """What waits for the network: a prepared picture, or a raw input [n, 3, h, w]."""

    item: Prepared | Float
    future: Future[Any] = field(default_factory=Future)
    since: float = field(default_factory=time.perf_counter)


@dataclass(frozen=True)
class Answer:
    """The boxes of one picture, and how long it waited and ran."""

    found: Detections
    wait_ms: float
    run_ms: float
    batch: int  # pictures in the call


class Engine:
    """A predictor and its queue.

    Args:
        predictor: the loaded model; never called twice at once.
        batch: most pictures in one call.
        wait_s: longest wait for further ones.
        waiting: most jobs in the queue.
        on_call: told of each call's number of pictures and seconds.
        anywhere: the predictor may be called from any thread; otherwise the engine's own alone calls it.
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        batch: int = 1,
        wait_s: float = 0.002,
        waiting: int = 64,
        on_call: Callable[[int, float], None] | None = None,
        anywhere: bool = False,
    ) -> None:
        self.predictor, self.batch, self.wait_s = predictor, batch, wait_s
        self._anywhere = anywhere and batch == 1  # a batch is worth waiting for
        self._busy = threading.Lock()  # held by who calls the predictor
        self._jobs: queue.Queue[Job | None] = queue.Queue(waiting)
        self._on_call = on_call
        self._closed = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    @property
    def depth(self) -> int:
        """Jobs that wait."""
        return self._jobs.qsize()

    def submit(self, item: Prepared | Float, future: Future[Any] | None = None, *, here: bool = False) -> Future[Any]:
        """Put a picture (answered with an `Answer`) or a raw input (with the outputs) into the queue.

        Args:
            item: the picture or input.
            future: who is told; None = a new one, which is returned.
            here: this thread may run it, where nothing waits.

        Raises:
            Refusal: the queue is full, or the engine is closed.
        """
        job = Job(item, future or Future())
        if here and self._ran_here(job):
            return job.future
        with self._lock:
            if self._closed:
                raise not_ready()
            try:
                self._jobs.put_nowait(job)
            except queue.Full:
                raise busy() from None
        return job.future

    def _ran_here(self, job: Job) -> bool:
        """Run a job in the thread that brings it, where nothing waits and nothing runs."""
        if not self._anywhere or not self._jobs.empty() or not self._busy.acquire(blocking=False):
            return False
        try:
            with self._lock:
                if self._closed:
                    raise not_ready()
            if job.future.set_running_or_notify_cancel():
                self._run([job])
            return True
        finally:
            self._busy.release()

    def close(self) -> None:
        """Take nothing further; what waits is answered before the thread ends."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._jobs.put(None)

    def join(self, timeout: float | None = None) -> None:
        """Wait until all that was taken is answered."""
        self._thread.join(timeout)
        if self._busy.acquire(timeout=-1 if timeout is None else timeout):
            self._busy.release()

    def _work(self) -> None:
        while (first := self._jobs.get()) is not None:
            jobs, ended = self._gather(first)
            wanted = [
                job for job in jobs if job.future.set_running_or_notify_cancel()
            ]  # a client that left waits no more
            if wanted:
                with self._busy:
                    self._run(wanted)
            if ended:
                return

    def _gather(self, first: Job) -> tuple[list[Job], bool]:
        """The jobs of one call, and whether the queue ended."""
        jobs, deadline = [first], time.perf_counter() + self.wait_s
        while len(jobs) < self.batch and isinstance(first.item, Prepared):
            try:
                job = self._jobs.get(timeout=max(deadline - time.perf_counter(), 0))
            except queue.Empty:
                break
            if job is None:
                return jobs, True
            jobs.append(job)
            if not isinstance(job.item, Prepared):
                break
        return jobs, False

    def _run(self, jobs: list[Job]) -> None:
        pictures = [job for job in jobs if isinstance(job.item, Prepared)]
        if pictures:
            self._answer(pictures, lambda: self._predict(pictures))
        for job in jobs:
            if not isinstance(job.item, Prepared):
                x = job.item
                self._answer([job], lambda x=x: [self.predictor.raw(x)])  # type: ignore[misc]

    def _answer(self, jobs: list[Job], work: Callable[[], list[Any]]) -> None:
        """Hand each job its result, or what went wrong: an engine's failure ends no service."""
        try:
            results = work()
        except Exception as error:
            for job in jobs:
                settle(job.future.set_exception, error)
        else:
            for job, result in zip(jobs, results, strict=True):
                settle(job.future.set_result, result)

    def _predict(self, jobs: list[Job]) -> list[Answer]:
        begun = time.perf_counter()
        found = self.predictor([job.item for job in jobs if isinstance(job.item, Prepared)])
        seconds = time.perf_counter() - begun
        if self._on_call is not None:
            self._on_call(len(jobs), seconds)
        return [
            Answer(one, (begun - job.since) * 1000, seconds * 1000, len(jobs))
            for job, one in zip(jobs, found, strict=True)
        ]


def settle(call: Callable[[Any], None], value: Any) -> None:
    """Tell a future, if anybody waits for it."""
    with contextlib.suppress(Exception):  # nobody waits any more
        call(value)
