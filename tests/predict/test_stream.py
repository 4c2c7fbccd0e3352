"""Live streams: the oldest frame is dropped, a lost stream is opened again with growing waits, and errors are told."""

from __future__ import annotations

import functools
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from src.common.errors import UserError
from src.predict.stream import DropOldest, Stream, open_capture
from tests.predict import rtsp


class SilentHandler(SimpleHTTPRequestHandler):
    """Serves a folder without saying so."""

    def log_message(self, *args: object) -> None:
        """Say nothing."""


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

    def get(self, what: int) -> float:
        return -1.0  # a live stream has no number of frames

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


def test_a_source_that_opens_and_gives_nothing_is_given_up() -> None:
    cameras = [Camera(1), Camera(0), Camera(0), Camera(0)]
    stream = Stream("rtsp://x", queue=9, attempts=3, backoff_s=0.01, opener=lambda _: cameras.pop(0))
    assert len(list(stream.frames())) == 1
    assert stream.stats.reconnects == 0
    assert stream.stats.waited_s == pytest.approx(0.01 + 0.02 + 0.04)


def test_a_real_stream_is_read_and_taken_up_again_where_it_was_lost() -> None:
    with rtsp.Camera(frames=8, connections=2) as camera:
        stream = Stream(camera.address, queue=100, attempts=2, backoff_s=0.05)
        seen = [rtsp.number_of(frame.image) for frame in stream.frames()]
    assert seen == list(range(16))
    assert stream.stats.reconnects == 1
    assert stream.stats.waited_s == pytest.approx(0.05 + 0.05 + 0.1)
    assert camera.refused == 2


def test_a_slow_reader_of_a_real_stream_sees_what_is_shown_now() -> None:
    with rtsp.Camera(frames=60, pause_s=0.01) as camera:
        stream = Stream(camera.address, queue=2, attempts=0, backoff_s=0)
        late = []
        for frame in stream.frames():
            late.append(camera.sent - rtsp.number_of(frame.image))
            time.sleep(0.1)
    assert len(late) + stream.dropped == stream.stats.read == 60
    assert stream.dropped > 30
    assert max(late[1:]) <= 20, "a queue of all frames would be late by 50 in the end"


def test_a_real_address_that_answers_no_stream_is_an_error() -> None:
    with rtsp.Camera(frames=1, connections=0) as camera, pytest.raises(UserError, match="can't be opened"):
        Stream(camera.address, queue=1, attempts=9, backoff_s=9)


def test_a_file_at_an_address_ends(tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, rtsp.SIZE)
    for i in range(6):
        writer.write(rtsp.picture(i))
    writer.release()
    serve = functools.partial(SilentHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/clip.avi"
        stream = Stream(address, queue=100, attempts=9, backoff_s=0)
        assert len(list(stream.frames())) == 6
        assert (stream.stats.ended, stream.stats.reconnects) == ("at its end", 0)
        server.shutdown()


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
