"""Several calls at once: the order is kept, what waits is bounded, and errors and interruptions end the threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from src.common.errors import UserError
from src.predict.engine import Predictor, Wanted
from src.predict.parallel import MOST, SPARE, at_once, workers_for
from src.predict.run import Done, ahead, in_turn, keep
from src.predict.sources import Frame
from src.records.schema import Artifact
from src.runtime.protocol import Float

FRAMES = 24


class Session:
    """Finds one box in each picture, as wide as the picture is bright; bright pictures take less time."""

    name, version, device = "fake", "1", "cpu"

    def __init__(self, fails_at: int = -1) -> None:
        self.providers = ["fake"]
        self.calls = 0
        self._fails_at = fails_at

    def run(self, x: Float) -> list[Float]:
        self.calls += 1
        levels = [round(float(image.mean()) * 255) for image in x]
        time.sleep(0.001 * max(0, 20 - levels[0]))
        if self._fails_at in levels:
            raise RuntimeError("the engine fell over")
        return [np.array([[[16], [16], [level + 1], [8], [0.9]] for level in levels], np.float32)]


class Meeting(Session):
    """Answers only while two calls are under way."""

    def __init__(self) -> None:
        super().__init__()
        self._both = threading.Barrier(2, timeout=10)

    def run(self, x: Float) -> list[Float]:
        self._both.wait()
        return super().run(x)


class Slow(Session):
    """Answers its first call at once, and others when told to go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def run(self, x: Float) -> list[Float]:
        found = super().run(x)
        if self.calls > 1:
            assert self.go.wait(10)
        return found


def predictor(session: Session) -> Predictor:
    artifact = Artifact("onnx", "fp32", "x", "", 0, [-1, 3, 32, 32], 0.0, "")
    return Predictor(session, artifact, Wanted(0.25, 0.7, 300, "class", None))


def pictures(count: int = FRAMES, broken_after: int = -1) -> Iterator[Frame]:
    for i in range(count):
        if i == broken_after:
            raise OSError("torn")
        yield Frame("clip", np.full((32, 32, 3), i, np.uint8), i)


def facts(batches: Iterator[Done]) -> list[tuple[int, list[list[float]]]]:
    return [
        (f.number, found.boxes.tolist()) for done in batches for f, found in zip(done.frames, done.found, strict=True)
    ]


def note(seen: list[int], batches: Iterator[Done]) -> None:
    for done in batches:
        seen += [f.number for f in done.frames]


def threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("predict")]


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("workers", [2, 5])
def test_the_order_and_the_boxes_are_those_of_one_after_the_other(batch: int, workers: int) -> None:
    own = facts(at_once(pictures(), predictor(Session()), batch=batch, workers=workers))
    serial = facts(in_turn(ahead(pictures(), predictor(Session()), batch=batch), predictor(Session())))
    assert own == serial
    assert [number for number, _ in own] == list(range(FRAMES))
    assert own[3][1] != own[9][1], "the pictures differ in what is found"


def test_calls_are_made_at_the_same_time() -> None:
    assert len(facts(at_once(pictures(), predictor(Meeting()), batch=1, workers=2))) == FRAMES


def test_an_error_of_the_engine_surfaces_after_the_frames_before_it() -> None:
    seen: list[int] = []
    with pytest.raises(RuntimeError, match="fell over"):
        note(seen, at_once(pictures(), predictor(Session(fails_at=7)), batch=1, workers=3))
    assert seen == list(range(7))
    assert not threads()


def test_an_error_of_reading_surfaces_after_the_frames_before_it() -> None:
    seen: list[int] = []
    with pytest.raises(OSError, match="torn"):
        note(seen, at_once(pictures(broken_after=7), predictor(Session()), batch=1, workers=3))
    assert seen == list(range(7))
    assert not threads()


@pytest.mark.parametrize("batch", [1, 3])
def test_reading_stops_where_enough_is_waiting(batch: int) -> None:
    read: list[int] = []

    def counted() -> Iterator[Frame]:
        for frame in pictures(200):
            read.append(frame.number)
            yield frame

    with closing(at_once(counted(), predictor(Session()), batch=batch, workers=2)) as batches:
        for number, _ in enumerate(batches):
            time.sleep(0.002)
            assert len(read) <= (number + 2 + SPARE) * batch
            if number == 30:
                break


def test_an_interruption_ends_the_threads_and_starts_no_more_calls() -> None:
    session = Slow()

    def interrupt(done: int) -> None:
        threading.Timer(0.1, session.go.set).start()
        raise KeyboardInterrupt

    batches = at_once(pictures(10**6), predictor(session), batch=1, workers=1)
    with pytest.raises(KeyboardInterrupt), closing(batches):
        keep(batches, [], interrupt)
    assert not threads()
    assert session.calls <= 2, "the one under way is waited for"


@pytest.mark.parametrize(
    ("engine", "device", "threads", "batches", "workers"),
    [
        ("onnxruntime", "cpu", 2, 300, 2),
        ("onnxruntime", "cpu", 2, 0, 2),
        ("onnxruntime", "cpu", 1, 300, 1),
        ("onnxruntime", "cpu", 4, 1, 1),
        ("onnxruntime", "cpu", 4, 3, 3),
        ("onnxruntime", "cpu", 64, 300, MOST),
        ("onnxruntime", "cuda:0", 4, 300, 1),
        ("openvino", "cpu", 4, 300, 1),
        ("pytorch", "cpu", 4, 300, 1),
    ],
)
def test_calls_at_once_are_made_where_they_help(
    engine: str, device: str, threads: int, batches: int, workers: int
) -> None:
    assert workers_for(engine, device, threads, batches) == workers


class Greedy(Session):
    """Wants more memory than there is."""

    def run(self, x: Float) -> list[Float]:
        raise RuntimeError(
            "[ONNXRuntimeError] : 6 : Failed to allocate memory for requested buffer of size 824633720832"
        )


@pytest.mark.parametrize(("batch", "remedy"), [(64, "a smaller batch"), (1, "a smaller imgsz")])
def test_a_call_that_takes_more_memory_than_there_is_is_not_blamed_on_the_model(batch: int, remedy: str) -> None:
    with pytest.raises(UserError, match=f"{batch} pictures of 32x32 px in a call take more memory") as told:
        predictor(Greedy()).try_out("m.onnx", batch=batch)
    assert told.value.value == f"batch={batch}"
    assert remedy in told.value.remedy
