"""Live streams: the oldest frame is dropped, a lost stream is opened again with growing waits, and errors are told."""

from __future__ import annotations

import threading
import time
from itertools import islice
from typing import Any

import numpy as np
import pytest

from src.errors import UserError
from src.predict.stream import DropOldest, Stream, open_capture


class Camera:
    """Stands for cv2.VideoCapture: gives `frames` frames, then fails."""

    def __init__(self, frames: int, opened: bool = True, pause_s: float = 0.0) -> None:
        self.left, self.opened, self.pause_s = frames, opened, pause_s

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self.opened

    def read(self) -> tuple[bool, Any]:
        time.sleep(self.pause_s)
        if self.left == 0:
            return False, None
        self.left -= 1
        return True, np.zeros((4, 4, 3), np.uint8)

    def release(self) -> None:
        self.opened = False


def test_a_full_queue_drops_the_oldest_and_counts_it() -> None:
    queue: DropOldest[int] = DropOldest(2)
    for i in range(5):
        queue.put(i)
    queue.close()
    assert list(queue) == [3, 4]
    assert queue.dropped == 3


def test_a_slow_reader_sees_fresh_frames() -> None:
    stream = Stream("0", queue=2, attempts=0, backoff_s=0, opener=lambda _: Camera(200, pause_s=0.001))
    seen = []
    for frame in stream.frames():
        seen.append(frame.number)
        time.sleep(0.02)
    assert seen == sorted(seen)
    assert stream.dropped > 100
    assert len(seen) + stream.dropped == stream.stats.read == 200


def test_a_lost_stream_is_opened_again_and_given_up_after_growing_waits() -> None:
    cameras = [Camera(2), Camera(0, opened=False), Camera(3), *[Camera(0, opened=False) for _ in range(3)]]
    stream = Stream("rtsp://x", queue=100, attempts=3, backoff_s=0.01, opener=lambda _: cameras.pop(0))
    assert len(list(stream.frames())) == 5
    assert stream.stats.reconnects == 1
    assert stream.stats.waited_s == pytest.approx(0.01 + 0.02 + 0.01 + 0.02 + 0.04)
    assert "3 attempts" in stream.stats.ended


def test_a_stream_that_can_not_be_opened_is_an_error_without_its_password() -> None:
    with pytest.raises(UserError) as caught:
        Stream("rtsp://me:hidden@host/x", queue=1, attempts=9, backoff_s=9, opener=lambda _: Camera(0, opened=False))
    assert "hidden" not in str(caught.value)
    assert "can't be opened" in caught.value.what


def test_no_webcam_is_an_error_at_once() -> None:
    with pytest.raises(UserError, match="can't be opened"):
        Stream("97", queue=1, attempts=9, backoff_s=9, opener=open_capture)


def test_stopping_ends_the_thread() -> None:
    stream = Stream("0", queue=2, attempts=9, backoff_s=9, opener=lambda _: Camera(10**9))
    frames = stream.frames()
    assert len(list(islice(frames, 3))) == 3
    frames.close()  # type: ignore[attr-defined]
    assert not any(t is stream._thread and t.is_alive() for t in threading.enumerate())
