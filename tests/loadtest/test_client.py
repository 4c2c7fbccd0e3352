"""The clock counts from when a request was due; failures are failures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from src.common.errors import UserError
from src.loadtest.client import Connections, Sent, saturate, send, target_of
from src.loadtest.schedule import poisson

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


async def request_of(reader: asyncio.StreamReader) -> bytes:
    """One whole request."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length"))
    return head + await reader.readexactly(length)


async def against(answer: Answer, due: np.ndarray, patience_s: float = 10.0) -> Sent:
    """What came of a schedule against a server."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connections = Connections(target_of(f"http://127.0.0.1:{port}", "secret-token"))
    try:
        return await send(connections, [b"one", b"two"], due, patience_s)
    finally:
        connections.close()
        server.close()


def test_a_server_that_stalls_is_late_for_all_that_came_meanwhile() -> None:
    """Without that, one slow answer would count where a hundred users waited."""
    stalled = asyncio.Lock()
    first = True

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal first
        while True:
            try:
                await request_of(reader)
            except asyncio.IncompleteReadError:
                return
            async with stalled:
                if first:
                    first = False
                    await asyncio.sleep(1.0)
            writer.write(OK)

    sent = asyncio.run(against(answer, np.arange(20) * 0.05))
    assert sent.ok.all()
    expected = np.maximum(1.0 - np.arange(20) * 0.05, 0)
    assert sent.latency == pytest.approx(expected, abs=0.25)
    assert (np.diff(sent.latency[:15]) < 0).all()


def test_refusals_silence_and_closed_connections_are_failures() -> None:
    seen: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                seen.append(await request_of(reader))
            except asyncio.IncompleteReadError:
                return
            if len(seen) == 1:
                writer.write(OK)
            elif len(seen) == 2:
                writer.write(b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                writer.close()
                return
            elif len(seen) == 3:
                writer.close()
                return
            else:
                await asyncio.sleep(5)

    sent = asyncio.run(against(answer, np.arange(4) * 0.2, patience_s=0.5))
    assert sent.status.tolist() == [200, 503, 0, 0]
    assert sent.ok.tolist() == [True, False, False, False]
    assert sent.latency[3] == pytest.approx(0.5, abs=0.3)
    assert b"Authorization: Bearer secret-token" in seen[0]
    assert [request[-3:] for request in seen[:2]] == [b"one", b"two"]


def test_nobody_at_home_is_no_crash() -> None:
    connections = Connections(target_of("http://127.0.0.1:9", ""))
    sent = asyncio.run(send(connections, [b"x"], poisson(50, 0.2, 1)))
    assert not sent.ok.any()
    assert asyncio.run(saturate(connections, [b"x"], 2, 0.2)) == 0


@pytest.mark.parametrize("url", ["", "ftp://a", "https://a", "http://", "http://a:99999", "127.0.0.1:8000"])
def test_addresses_that_are_none_are_refused(url: str) -> None:
    with pytest.raises(UserError):
        target_of(url, "")
