"""Sends requests when they are due, over connections that stay open.

The client is a few lines over asyncio's streams: what it costs is in every latency, and a library's client costs more
than a small network takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from src.common.errors import UserError
from src.loadtest.answers import NoAnswer, read_answer

Floats = NDArray[np.float64]
PATIENCE_S = 30.0  # for an answer
FAILED = 0  # status of a request that got no answer


@dataclass(frozen=True)
class Target:
    """Where requests go.

    Attributes:
        host: name or address.
        port: of the service.
        path: of the request.
        token: for `Authorization: Bearer`; "" for none.
    """

    host: str
    port: int
    path: str
    token: str = ""

    def request(self, content: bytes) -> bytes:
        """The bytes of a POST of an image."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        head = f"POST {self.path} HTTP/1.1\r\nHost: {host}:{self.port}\r\nContent-Type: image/jpeg\r\n"
        head += f"Authorization: Bearer {self.token}\r\n" if self.token else ""
        return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def target_of(url: str, token: str) -> Target:
    """Take an address apart.

    Raises:
        UserError: it is no HTTP address.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, 80 if parts.port is None else parts.port
    except ValueError:
        host, port = None, 0
    if not host or parts.scheme != "http" or not 1 <= port <= 65535 or not _plain(url) or parts.username:
        raise UserError("url is no HTTP address", value=url, remedy="url=http://127.0.0.1:8000")
    path = parts.path if parts.path not in ("", "/") else "/predict"
    return Target(host, port, path + (f"?{parts.query}" if parts.query else ""), token)


def _plain(url: str) -> bool:
    """Whether an address can stand in the first line of a request as it is."""
    return url.isascii() and url.isprintable() and " " not in url


@dataclass(frozen=True)
class Sent:
    """What came of a schedule; one entry a request, in the order in which they were due.

    Attributes:
        due: s from the start.
        latency: s from when it was due to the last byte of its answer.
        status: of HTTP; 0 = no answer.
        late: s by which it left after it was due: how far the client itself fell behind.
    """

    due: Floats
    latency: Floats
    status: NDArray[np.int64]
    late: Floats

    @property
    def ok(self) -> NDArray[np.bool_]:
        """Which were answered with success."""
        return np.asarray((self.status >= 200) & (self.status < 300))


class Connections:
    """Open connections to a target; as many as are needed at once."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, request: bytes) -> int:
        """Send one request and read its whole answer; returns its status, or 0."""
        while self._free:
            reader, writer = self._free.pop()
            try:
                return await self._sent(reader, writer, request)
            except NoAnswer as failed:
                if not failed.nothing:
                    return FAILED
                # The server had closed it meanwhile, as servers may: every client asks again then.
        try:
            return await self._sent(*await self._open(), request)
        except (OSError, NoAnswer):
            return FAILED

    async def _sent(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
        again = False
        try:
            with contextlib.suppress(OSError):  # it may have answered before it closed
                writer.write(request)
                await writer.drain()
            status, again = await read_answer(reader)
        finally:
            if again:
                self._free.append((reader, writer))
            else:
                writer.close()
        return status

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.target.host, self.target.port)

    def close(self) -> None:
        """Close all."""
        for _, writer in self._free:
            writer.close()
        self._free.clear()


async def patient(call: Awaitable[int], patience_s: float) -> int:
    """Status of an answer that is waited for so long at most."""
    try:
        return await asyncio.wait_for(call, patience_s)
    except TimeoutError:
        return FAILED


async def send(
    connections: Connections, contents: Sequence[bytes], due: Floats, patience_s: float = PATIENCE_S
) -> Sent:
    """Send a request at each moment that is due, whatever became of those before.

    Args:
        connections: to the service.
        contents: images, taken in turn.
        due: s from the start, ascending.
        patience_s: after which a request counts as failed.
    """
    requests = [connections.target.request(content) for content in contents]
    latency, late = np.zeros(len(due)), np.zeros(len(due))
    status = np.zeros(len(due), np.int64)
    begun = time.perf_counter() + 0.05

    async def one(number: int) -> None:
        late[number] = time.perf_counter() - begun - due[number]
        status[number] = await patient(connections.post(requests[number % len(requests)]), patience_s)
        latency[number] = time.perf_counter() - begun - due[number]

    tasks = []
    for number, moment in enumerate(due):
        wait = begun + moment - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(one(number)))
    await asyncio.gather(*tasks)
    return Sent(due, latency, status, late)


async def saturate(connections: Connections, contents: Sequence[bytes], clients: int, seconds: float) -> float:
    """Answers a second when so many clients ask again as soon as they are answered: about the most that it gives."""
    requests = [connections.target.request(content) for content in contents]
    end, answered = time.perf_counter() + seconds, 0

    async def client(number: int) -> None:
        nonlocal answered
        while time.perf_counter() < end:
            number += clients
            call = connections.post(requests[number % len(requests)])
            if 200 <= await patient(call, max(end - time.perf_counter(), 0) + PATIENCE_S) < 300:
                answered += 1
            else:
                await asyncio.sleep(0.01)

    begun = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(clients)))
    return answered / (time.perf_counter() - begun)
