"""From the bytes of a picture to its answer: a reader's thread decodes it, and the engine runs the network.

The event loop does neither, and hears of a picture once, when it is answered: every change of threads costs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from string import hexdigits
from typing import Any, TypeVar
from uuid import uuid4

from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException

from src.monitor.plan import CHALLENGER, CHAMPION
from src.predict.engine import Image
from src.serve.engine import Answer, settle
from src.serve.held import Held
from src.serve.live import Live
from src.serve.metrics import Metrics
from src.serve.options import ServeArgs
from src.serve.pictures import CHANNELS, picture
from src.serve.refusals import Refusal, busy, too_late
from src.serve.state import Current, State, Watch

READERS = 2  # threads that read and fit pictures while the network runs
ID_LENGTH = 32  # characters of an answer's name
log = logging.getLogger(__name__)
LOOK_S = 0.05  # between two looks for an answer that another process records
Found = TypeVar("Found")


@dataclass
class Asked:
    """A picture on its way."""

    content: bytes
    keep: bool  # whether the picture is looked at again after the answer
    future: Future[Any] = field(default_factory=Future)  # of an `Answer`
    image: Image | None = None
    size: tuple[int, int] = (0, 0)  # height and width, px


class Service:
    """Answers requests with what `State` serves.

    Args:
        args: of the service.
        watch: makes the observer of a model, where there is one.
    """

    def __init__(self, args: ServeArgs, watch: Watch | None = None) -> None:
        self.args, self.metrics = args, Metrics()
        self.held = Held(max(args.max_held, args.max_bytes + CHANNELS * args.max_pixels))  # one request always fits
        self.live = Live(args, self.metrics) if args.live.challenger else None
        self.state = State(self.live.champion_args if self.live else args, self.metrics, watch)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
        # A thread of its own: a challenger that is slow in the shadow keeps no picture of the champion's waiting.
        self._noter = ThreadPoolExecutor(1, thread_name_prefix="noter")
        self._unnoted = 0  # answers that wait to be noted; the event loop alone counts them
        self._noting: dict[str, Future[None]] = {}  # answers that are being recorded for a live comparison, by id
        self._under_way = 0  # pictures; the event loop alone counts them

    async def predict(self, request: Request) -> JSONResponse:
        """Detections in one picture."""
        begun = time.perf_counter()
        current, arm = self._who(request)
        noted = self.live is not None or current.observer is not None
        asked = Asked(await content_of(request), keep=noted)
        answer = await self._asked(current, asked)
        ms = (time.perf_counter() - begun) * 1000
        self.metrics.found.observe(len(answer.found.scores))
        self.metrics.waiting.set(current.engine.depth)
        body = body_of(answer, current, asked.size, ms)
        if self.live is not None:
            body["id"] = new_id()
        if noted:
            source = request.query_params.get("source", "")[:100]
            image_id = body.get("id", "")
            self._note_later(image_id, lambda: self._note(asked, answer, current, ms, source, arm, image_id))
        return JSONResponse(body)

    def _note_later(self, image_id: str, note: Callable[[], None]) -> None:
        """Note an answer once there is time; where as many wait already as may, it stays unnoted, and is counted."""
        if self._unnoted >= self.args.queue + READERS:
            self.metrics.counted("unnoted", 1)
            return
        self._unnoted += 1
        loop, noting = asyncio.get_running_loop(), self._noter.submit(note)
        if image_id:
            self._noting[image_id] = noting

        def ended() -> None:
            self._unnoted -= 1
            self._noting.pop(image_id, None)

        def done(future: Future[None]) -> None:
            if (error := future.exception()) is not None:
                log.error("an answer could not be noted (%s: %s)", type(error).__name__, error)
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(ended)

        noting.add_done_callback(done)

    async def noted(self, image_id: str) -> None:
        """Wait until an answer is recorded: labels that come right after it would find nothing to belong to."""
        live = self.live
        if (noting := self._noting.get(image_id)) is not None:
            await asyncio.wait([asyncio.wrap_future(noting)], timeout=self.args.timeout_s)
            return
        deadline = issued(image_id) + self.args.timeout_s
        while live is not None and 0 < deadline - time.time() <= self.args.timeout_s:  # another process's answer
            if await self.aside(lambda: live.experiment.recorded(image_id)):
                return
            await asyncio.sleep(LOOK_S)

    def _who(self, request: Request) -> tuple[Current, str]:
        """The model that answers, and its arm in a live comparison."""
        champion = self.state.current
        if self.live is None:
            return champion, CHAMPION
        host = request.client.host if request.client else ""
        arm = self.live.arm(request.headers.get("x-key") or host)
        return (self.live.challenger.current if arm == CHALLENGER else champion), arm

    async def _asked(self, current: Current, asked: Asked) -> Answer:
        """What the engine says of a picture.

        Raises:
            Refusal: as many as may are under way, or this one is not answered in time.
        """
        if self._under_way >= self.args.queue + self.args.batch + READERS:
            raise busy()
        self._under_way += 1
        try:
            self._readers.submit(self._read, current, asked)
            answer: Answer = await self.wait(asked.future)
            return answer
        finally:
            self._under_way -= 1

    def _read(self, current: Current, asked: Asked) -> None:
        """Read a picture, fit it, put it into the queue: the engine answers whoever waits."""
        if asked.future.cancelled():
            return
        try:
            image = picture(asked.content, self.args.max_pixels, self.held)
            asked.size = image.shape[:2]
            asked.image = image if asked.keep else None
            self._submit(current, image, asked.future)
        except BaseException as error:  # told to whoever waits: this thread has others to read for
            settle(asked.future.set_exception, error)

    def _submit(self, current: Current, image: Image, future: Future[Any]) -> None:
        """Put a picture into the queue; of the model that took over where one did meanwhile."""
        try:
            current.engine.submit(current.served.predictor.prepare(image), future, here=True)
        except Refusal:
            newer = self.state.current
            if newer is current:
                raise
            newer.engine.submit(newer.served.predictor.prepare(image), future, here=True)

    def _note(
        self, asked: Asked, answer: Answer, current: Current, ms: float, source: str, arm: str, image_id: str
    ) -> None:
        """What is done with an answer after it was given."""
        assert asked.image is not None
        if current.observer is not None:
            current.observer.observe(asked.image, answer.found, ms, source)
        if self.live is not None:
            self.live.note(image_id, arm, asked.image, answer.found, ms)

    @property
    def states(self) -> list[State]:
        """The champion, and the challenger where there is one."""
        return [self.state, *([self.live.challenger] if self.live else [])]

    async def aside(self, work: Callable[[], Found]) -> Found:
        """Do something in a reader's thread that would hold the event loop up."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    async def wait(self, future: Future[Any]) -> Any:
        """What the engine answers.

        Raises:
            Refusal: not in time.
        """
        try:
            async with asyncio.timeout(self.args.timeout_s):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise too_late() from None

    def close(self) -> None:
        """Answer what waits, and end."""
        self.state.draining = True
        self._readers.shutdown(wait=True)
        wait([self._noter.submit(lambda: None)], self.args.drain_s)  # it comes after all that waits
        if self.live is not None:
            self.live.ending = True
        self._noter.shutdown(wait=True)
        for state in self.states:
            state.stop()


def new_id() -> str:
    """A name for an answer; it tells when it was given, so that another process can wait for what it doesn't know."""
    return f"{int(time.time() * 1000):012x}{uuid4().hex[:20]}"


def issued(image_id: str) -> float:
    """When an answer was given, in seconds of `time.time`; 0 where the name is none of `new_id`'s."""
    if len(image_id) != ID_LENGTH or not set(image_id) <= set(hexdigits):
        return 0.0
    return int(image_id[:12], 16) / 1000


def body_of(answer: Answer, current: Current, size: tuple[int, int], ms: float) -> dict[str, Any]:
    """An answer as JSON; floats are the very float32 values."""
    found, served = answer.found, current.served
    height, width = size
    classes = [int(c) for c in found.classes]
    return {
        "boxes": found.boxes.tolist(),
        "scores": found.scores.tolist(),
        "classes": classes,
        "names": [served.name_of(c) for c in classes],
        "image": {"width": width, "height": height},
        "model": served.facts | {"confidence": served.confidence},
        "ms": {"wait": round(answer.wait_ms, 3), "network": round(answer.run_ms, 3), "total": round(ms, 3)},
    }


async def content_of(request: Request) -> bytes:
    """The bytes of the image that a request holds.

    Raises:
        Refusal: there is none.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return await request.body()
    try:
        async with request.form(max_files=1, max_fields=8) as form:
            sent = form.get("image")
            if not isinstance(sent, UploadFile):
                raise Refusal(400, "no_image", "the form has no file in the field `image`", "curl -F image=@FILE …")
            return await sent.read()
    except MultiPartException as error:
        raise Refusal(400, "bad_form", f"the form can't be read ({error.message})") from None
