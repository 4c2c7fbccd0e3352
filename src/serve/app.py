"""The service's application: `/predict`, health, metrics, a page to try it with, and the Open Inference Protocol."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from src.common.errors import UserError
from src.monitor.plan import CHALLENGER, CHAMPION
from src.predict.engine import Image
from src.serve import v2
from src.serve.engine import Answer
from src.serve.guard import Guard
from src.serve.live import Live
from src.serve.metrics import Metrics
from src.serve.options import ServeArgs
from src.serve.pictures import picture
from src.serve.refusals import Refusal, internal, too_late
from src.serve.state import Current, State, Watch

PAGE = Path(__file__).with_name("page.html")
READERS = 2  # threads that read and fit pictures while the network runs
log = logging.getLogger(__name__)

SCHEMA: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {"image": {"type": "string", "format": "binary"}},
                }
            },
        },
    },
    "responses": {
        "200": {
            "description": "boxes in px of the image (x1, y1, x2, y2), best score first",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "boxes": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
                            "scores": {"type": "array", "items": {"type": "number"}},
                            "classes": {"type": "array", "items": {"type": "integer"}},
                            "names": {"type": "array", "items": {"type": "string"}},
                            "image": {"type": "object"},
                            "model": {"type": "object"},
                            "ms": {"type": "object"},
                        },
                    }
                }
            },
        }
    },
}


class Service:
    """Answers requests with what `State` serves.

    Args:
        args: of the service.
        watch: makes the observer of a model, where there is one.
    """

    def __init__(self, args: ServeArgs, watch: Watch | None = None) -> None:
        self.args, self.metrics = args, Metrics()
        self.live = Live(args, self.metrics) if args.live.challenger else None
        self.state = State(self.live.champion_args if self.live else args, self.metrics, watch)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="reader")

    async def predict(self, request: Request) -> JSONResponse:
        """Detections in one picture."""
        begun = time.perf_counter()
        current, arm = self._who(request)
        content = await content_of(request)
        loop = asyncio.get_running_loop()
        image, future = await loop.run_in_executor(self._readers, self._submit, current, content)
        answer: Answer = await self.wait(future)
        ms = (time.perf_counter() - begun) * 1000
        self.metrics.found.observe(len(answer.found.scores))
        self.metrics.waiting.set(current.engine.depth)
        if current.observer is not None:
            source = request.query_params.get("source", "")[:100]
            self._readers.submit(current.observer.observe, image, answer.found, ms, source)
        body = body_of(answer, current, image, ms)
        if self.live is not None:
            body["id"] = uuid4().hex
            self._readers.submit(self.live.note, body["id"], arm, image, answer.found, ms)
        return JSONResponse(body)

    def _who(self, request: Request) -> tuple[Current, str]:
        """The model that answers, and its arm in a live comparison."""
        champion = self.state.current
        if self.live is None:
            return champion, CHAMPION
        host = request.client.host if request.client else ""
        arm = self.live.arm(request.headers.get("x-key") or host)
        return (self.live.challenger.current if arm == CHALLENGER else champion), arm

    def _submit(self, current: Current, content: bytes) -> tuple[Image, Future[Any]]:
        """Read a picture, fit it, put it into the queue; of the model that took over where one did meanwhile."""
        image = picture(content, self.args.max_pixels)
        try:
            return image, current.engine.submit(current.served.predictor.prepare(image))
        except Refusal:
            newer = self.state.current
            if newer is current:
                raise
            return image, newer.engine.submit(newer.served.predictor.prepare(image))

    @property
    def states(self) -> list[State]:
        """The champion, and the challenger where there is one."""
        return [self.state, *([self.live.challenger] if self.live else [])]

    async def wait(self, future: Future[Any]) -> Any:
        """What the engine answers.

        Raises:
            Refusal: not in time.
        """
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self.args.timeout_s)
        except TimeoutError:
            raise too_late() from None

    def close(self) -> None:
        """Answer what waits, and end."""
        self.state.draining = True
        self._readers.shutdown(wait=True)
        for state in self.states:
            state.stop()


def body_of(answer: Answer, current: Current, image: Image, ms: float) -> dict[str, Any]:
    """An answer as JSON; floats are the very float32 values."""
    found, served = answer.found, current.served
    height, width = image.shape[:2]
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
    except HTTPException as error:
        raise Refusal(400, "bad_form", f"the form can't be read ({error.detail})") from None


def add_live_routes(app: FastAPI, live: Live) -> None:
    """Add the addresses of a live comparison."""

    @app.post("/feedback")
    async def feedback(request: Request) -> dict[str, Any]:
        try:
            told = await request.json()
        except (ValueError, RecursionError):
            raise Refusal(400, "bad_feedback", "the body is no JSON") from None
        return await asyncio.get_running_loop().run_in_executor(None, live.feedback, told)

    @app.get("/live")
    async def verdict() -> dict[str, Any]:
        return await asyncio.get_running_loop().run_in_executor(None, live.verdict)


def build(args: ServeArgs, watch: Watch | None = None) -> Guard:
    """The whole application, to be run by an ASGI server.

    Args:
        args: of the service, checked.
        watch: makes the observer of a model, where there is one.
    """
    service = Service(args, watch)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            for state in service.states:
                await asyncio.get_running_loop().run_in_executor(None, state.start)
        except UserError as error:
            log.error("%s", error)
            raise
        yield
        await asyncio.get_running_loop().run_in_executor(None, service.close)

    app = FastAPI(title="detsweep", docs_url=None, redoc_url=None, lifespan=lifespan)
    page = PAGE.read_text(encoding="utf-8")

    @app.exception_handler(Refusal)
    async def refused(_: Request, refusal: Refusal) -> JSONResponse:
        return JSONResponse(refusal.body, refusal.status, refusal.headers)

    @app.exception_handler(HTTPException)
    async def no_such_page(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": str(error.detail), "kind": "http"}, error.status_code)

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> JSONResponse:
        refusal = internal()
        return JSONResponse(refusal.body, refusal.status)

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def index() -> HTMLResponse:
        return HTMLResponse(page)

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        text, kind = service.metrics.text()
        return Response(text, media_type=kind)

    if service.live is not None:
        add_live_routes(app, service.live)
    app.add_api_route("/predict", service.predict, methods=["POST"], response_model=None, openapi_extra=SCHEMA)
    v2.add_routes(app, service)
    return Guard(app, args, service.metrics)
