"""Live frames: a thread reads as fast as the camera gives, a short queue drops the oldest when prediction is slower.

What is shown is therefore never older than the queue is long. A stream that breaks is opened again, with waits that
double from attempt to attempt.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from src.common.errors import UserError
from src.common.redaction import redact_text
from src.predict.sources import Frame

T = TypeVar("T")
LONGEST_WAIT_S = 30.0
TIMEOUT_MS = 8000  # of opening and reading

Opener = Callable[[str], Any]  # source -> something like cv2.VideoCapture


class DropOldest(Generic[T]):
    """A queue between two threads that never blocks the writer: when full, the oldest item goes."""

    def __init__(self, size: int) -> None:
        self._items: deque[T] = deque()
        self._size = size
        self._ready = threading.Condition()
        self._closed = False
        self.dropped = 0

    def put(self, item: T) -> None:
        """Add an item."""
        with self._ready:
            if len(self._items) >= self._size:
                self._items.popleft()
                self.dropped += 1
            self._items.append(item)
            self._ready.notify()

    def close(self) -> None:
        """Nothing more will come."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Items, oldest first, until the queue is closed and empty."""
        while True:
            with self._ready:
                while not self._items and not self._closed:
                    self._ready.wait()
                if not self._items:
                    return
                item = self._items.popleft()
            yield item


@dataclass
class StreamStats:
    """What happened on the way."""

    read: int = 0
    reconnects: int = 0
    waited_s: float = 0.0
    ended: str = ""  # why the stream is over


class Stream:
    """Frames of a webcam or an address.

    Args:
        source: a webcam's number or an address.
        queue: frames that may wait.
        attempts: openings in a row that may fail before the stream counts as over.
        backoff_s: first wait; it doubles with every attempt.
        opener: opens the source; for tests.

    Raises:
        UserError: the source can't be opened at all.
    """

    def __init__(
        self, source: str, *, queue: int, attempts: int, backoff_s: float, opener: Opener | None = None
    ) -> None:
        self.source = source
        self.stats = StreamStats()
        self._attempts, self._backoff_s = attempts, backoff_s
        self._open = opener or open_capture
        self._queue: DropOldest[Frame] = DropOldest(queue)
        self._stop = threading.Event()
        self._capture = self._open(source)
        if not self._capture.isOpened():
            self._capture.release()
            raise UserError(
                "the stream can't be opened",
                value=redact_text(source),
                remedy="check the address, the camera and the network; a webcam is given by its number, e.g. source=0",
            )
        self._thread = threading.Thread(target=self._read, daemon=True)

    @property
    def dropped(self) -> int:
        """Frames that were read and never predicted."""
        return self._queue.dropped

    def frames(self) -> Iterator[Frame]:
        """The newest frames, until the stream is over or `stop` is called."""
        self._thread.start()
        try:
            yield from self._queue
        finally:
            self.stop()
            self._thread.join(timeout=TIMEOUT_MS / 1000)

    def stop(self) -> None:
        """End reading."""
        self._stop.set()
        self._queue.close()

    def _read(self) -> None:
        begun, tries = time.monotonic(), 0  # openings since the last frame
        try:
            while not self._stop.is_set():
                ok, image = self._capture.read()
                if ok:
                    self._queue.put(Frame("stream", image, self.stats.read, time.monotonic() - begun))
                    self.stats.read += 1
                    self.stats.reconnects += tries > 0
                    tries = 0
                elif has_end(self._capture):
                    self.stats.ended = "at its end"
                    break
                elif (tries := self._reopen(tries)) == 0:
                    break
        finally:
            self._capture.release()
            self._queue.close()

    def _reopen(self, tries: int) -> int:
        """Try again with growing waits; openings since the last frame, 0 when it is no use."""
        for attempt in range(tries, self._attempts):
            self._capture.release()
            wait = min(self._backoff_s * 2**attempt, LONGEST_WAIT_S)
            self.stats.waited_s += wait
            if self._stop.wait(wait):
                return 0
            self._capture = self._open(self.source)
            if self._capture.isOpened():
                return attempt + 1
        self.stats.ended = f"lost, and not there again after {self._attempts} attempts"
        return 0


def has_end(capture: Any) -> bool:
    """Whether an opened source is a file at an address, whose last frame is no loss."""
    import cv2

    return float(capture.get(cv2.CAP_PROP_FRAME_COUNT)) > 0


def open_capture(source: str) -> Any:
    """OpenCV's decoder on a webcam or an address, with limits on how long it may wait."""
    import cv2

    if source.isdigit():
        return cv2.VideoCapture(int(source))
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, TIMEOUT_MS]
    return cv2.VideoCapture(source, cv2.CAP_FFMPEG, limits)
