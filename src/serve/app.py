"""The service's application: `/predict`, health, metrics, a page to try it with, and the Open Inference Protocol.

FastAPI's own work on a request is a good part of what HTTP costs, so that `/predict` goes past it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from src.common.errors import UserError
from src.serve import v2
from src.serve.guard import DIRECT, App, Guard, Receive, Scope, Send
from src.serve.options import ServeArgs
from src.serve.refusals import Refusal, internal
from src.serve.service import Service
from src.serve.state import Watch

PAGE = Path(__file__).with_name("page.html")
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


def add_live_routes(app: FastAPI, service: Service) -> None:
    """Add the addresses of a live comparison, where there is one."""
    if (live := service.live) is None:
        return

    @app.post("/feedback")
    async def feedback(request: Request) -> dict[str, Any]:
        content = await request.body()

        def parsed() -> Any:
            try:
                return json.loads(content)
            except (ValueError, RecursionError):
                raise Refusal(400, "bad_feedback", "the body is no JSON") from None

        told = await service.aside(parsed)
        if isinstance(told, dict):
            await service.noted(str(told.get("image"))[:100])
        return await service.aside(lambda: live.feedback(told))

    @app.get("/live")
    async def verdict() -> dict[str, Any]:
        return await service.aside(live.verdict)


def straight(app: App, service: Service) -> App:
    """The application with `POST /predict` answered before FastAPI sees it."""

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") != DIRECT or scope.get("method") != "POST":
            await app(scope, receive, send)
            return
        response = await service.predict(Request(scope, receive))
        await response(scope, receive, send)

    return answered


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

    add_live_routes(app, service)
    app.add_api_route(DIRECT, service.predict, methods=["POST"], response_model=None, openapi_extra=SCHEMA)
    v2.add_routes(app, service)
    return Guard(straight(app, service), args, service.metrics, service.held)
