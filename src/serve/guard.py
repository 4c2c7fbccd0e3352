"""Holds every request to the limits before its content is looked at: token, size, time; and answers in one form.

It is plain ASGI, outside of FastAPI, so that nothing of a refused request is ever held in memory.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.requests import ClientDisconnect

from src.serve.held import Held
from src.serve.metrics import Metrics
from src.serve.options import ServeArgs, token
from src.serve.refusals import Refusal, incomplete, internal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

GONE = 499  # in the metrics: the client left before its request was whole
DIRECT = "/predict"  # answered without a router
OPEN = {"/", "/v2/health/live", "/v2/health/ready"}  # asked for without the token
log = logging.getLogger(__name__)


class Guard:
    """An ASGI application around another.

    Args:
        app: answers what passes.
        args: the limits.
        metrics: told of every request.
        held: where the bytes of requests under way count.
    """

    def __init__(self, app: App, args: ServeArgs, metrics: Metrics, held: Held) -> None:
        self._app, self._args, self._metrics, self._held = app, args, metrics, held
        self._token = token().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status, body = time.perf_counter(), 0, Body(self._args, self._held)

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
            await send(message)

        try:
            self._check(scope)
            await self._app(scope, body.limited(receive), noted)
        except Refusal as refusal:
            if not status:
                await answer(noted, refusal)
        except ClientDisconnect:
            status = GONE
        except Exception as error:  # nothing of our inside reaches the client
            log.exception("a request failed (%s)", type(error).__name__)
            if not status:
                await answer(noted, internal())
        finally:
            body.release()
            self._metrics.answered(path_of(scope), status, time.perf_counter() - begun)

    def _check(self, scope: Scope) -> None:
        headers = dict(scope["headers"])
        if self._token and scope["path"] not in OPEN:
            given = headers.get(b"authorization", b"").removeprefix(b"Bearer ")
            if not hmac.compare_digest(given, self._token):
                raise Refusal(401, "unauthorised", "a token is needed", "Authorization: Bearer …")
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise Refusal(415, "encoding", "compressed bodies are not taken", "send the image as it is")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._args.max_bytes:
            raise too_large(self._args.max_bytes)


class Body:
    """The content of one request, counted as it arrives.

    Args:
        args: the limits.
        held: where its bytes count.
    """

    def __init__(self, args: ServeArgs, held: Held) -> None:
        self._args, self._held = args, held
        self._taken, self._whole = 0, False

    def limited(self, receive: Receive) -> Receive:
        """`receive` that counts bytes, and that does not wait for ever."""
        deadline = asyncio.get_running_loop().time() + self._args.timeout_s

        async def received() -> Message:
            if self._whole:  # what is waited for now is that the client leaves
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise incomplete() from None
            self._count(len(message.get("body", b"")))
            self._whole = not message.get("more_body", False)
            return message

        return received

    def release(self) -> None:
        """The request is over."""
        self._held.give(self._taken)

    def _count(self, arrived: int) -> None:
        if self._taken + arrived > self._args.max_bytes:
            raise too_large(self._args.max_bytes)
        self._held.take(arrived)
        self._taken += arrived


def path_of(scope: Scope) -> str:
    """The address that a request was answered at, as the metrics name it; one word for all that are unknown."""
    return scope["path"] if scope["path"] == DIRECT else str(getattr(scope.get("route"), "path", "other"))


def too_large(most: int) -> Refusal:
    """The body is larger than the limit."""
    return Refusal(413, "too_large", f"the request has more than {most} bytes", "send a smaller file")


async def answer(send: Send, refusal: Refusal) -> None:
    """Send a refusal."""
    body = json.dumps(refusal.body).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **refusal.headers}
    if refusal.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    pairs = [(key.lower().encode(), value.encode()) for key, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
