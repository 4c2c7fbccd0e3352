"""A connection on sockets: half a request, none at all, what is no HTTP, too many, and an answer that nobody reads."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from src.serve import connection
from src.serve.connection import Connection

ASKED = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
MUCH = 40_000_000  # bytes of an answer
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Open = Callable[[], Awaitable[Streams]]


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers "fine", or much; or refuses without reading."""
    body = b"x" * MUCH if scope["path"] == "/much" else b"fine"
    fields = [(b"content-length", str(len(body)).encode())]
    refused = scope["path"] == "/refuse"
    fields += [(b"connection", b"close")] if refused else []
    await send({"type": "http.response.start", "status": 413 if refused else 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def visited(visit: Callable[[Open, ServerState], Awaitable[None]]) -> None:
    """Let something visit a server of such connections."""

    async def main() -> None:
        config, state = uvicorn.Config(application, http=Connection, log_config=None, lifespan="off"), ServerState()
        config.load()
        make = lambda: Connection(config, state, {})  # noqa: E731
        server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        await visit(lambda: asyncio.open_connection("127.0.0.1", port), state)
        server.close()

    asyncio.run(main())


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a test can wait for."""
    monkeypatch.setattr(Connection, "longest_s", 0.15)
    monkeypatch.setattr(Connection, "most", 3)


async def answered(streams: Streams, content: bytes) -> bytes:
    """Everything that comes back until the connection is closed."""
    streams[1].write(content)
    return await asyncio.wait_for(streams[0].read(), 3)


@pytest.mark.parametrize(
    ("content", "status", "kind"),
    [
        (b"GET / HT", b" 408 ", "slow"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b" 408 ", "slow"),
        (b"\x16\x03\x01\r\n\r\n", b" 400 ", "bad_http"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", b" 400 ", "bad_http"),
    ],
)
def test_what_is_no_request_is_told_in_json(content: bytes, status: bytes, kind: str) -> None:
    async def visit(connect: Open, state: ServerState) -> None:
        head, _, body = (await answered(await connect(), content)).partition(b"\r\n\r\n")
        assert status in head
        assert json.loads(body)["kind"] == kind

    visited(visit)


def test_the_time_of_a_second_request_counts_too() -> None:
    async def visit(connect: Open, state: ServerState) -> None:
        streams = await connect()
        streams[1].write(ASKED)
        assert b"fine" in await streams[0].readuntil(b"fine")
        assert b" 408 " in await answered(streams, b"GET / HT")

    visited(visit)


def test_silence_is_closed_without_a_word() -> None:
    async def visit(connect: Open, state: ServerState) -> None:
        assert await answered(await connect(), b"") == b""

    visited(visit)


def test_one_too_many_is_turned_away_and_the_others_are_not() -> None:
    async def visit(connect: Open, state: ServerState) -> None:
        held = [await connect() for _ in range(3)]
        refused = await answered(await connect(), b"")
        assert b" 503 " in refused
        assert b"retry-after: 1" in refused
        held[0][1].write(ASKED)
        assert b"fine" in await held[0][0].readuntil(b"fine")

    visited(visit)


def test_who_sends_too_much_hears_so() -> None:
    async def visit(connect: Open, state: ServerState) -> None:
        reader, writer = await connect()
        writer.write(b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 30000000\r\n\r\n")
        for _ in range(30):  # the answer is there after the first; the client goes on all the same
            writer.write(bytes(1_000_000))
            await writer.drain()
        assert b" 413 " in await asyncio.wait_for(reader.read(), 3)
        writer.close()
        await asyncio.sleep(0.05)
        assert not state.connections

    visited(visit)


def test_an_answer_that_nobody_reads_is_given_up() -> None:
    async def visit(connect: Open, state: ServerState) -> None:
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        other = await connect()
        deaf.connect(other[1].get_extra_info("peername"))
        deaf.sendall(b"GET /much HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.sleep(0.1)
        assert len(state.connections) == 2
        await asyncio.sleep(0.5)
        assert not state.connections
        deaf.close()

    visited(visit)


def test_a_connection_kept_open_has_one_more_answer_when_the_server_ends_and_is_told_so() -> None:
    async def visit(connect: Open, state: ServerState) -> None:
        used, fresh = await connect(), await connect()
        used[1].write(ASKED)
        head = await used[0].readuntil(b"fine")
        assert b"connection: close" not in head
        while len(state.connections) < 2:
            await asyncio.sleep(0.01)
        for one in list(state.connections):
            one.shutdown()
        for streams in (used, fresh):
            head = await answered(streams, ASKED)
            assert head.endswith(b"fine")
            assert head.count(b"connection: close") == 1

    visited(visit)


def test_a_connection_that_stays_quiet_is_closed_when_the_server_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "QUIET_S", 0.05)
    monkeypatch.setattr(Connection, "longest_s", 1e6)

    async def visit(connect: Open, state: ServerState) -> None:
        reader, _ = await connect()
        while not state.connections:
            await asyncio.sleep(0.01)
        for one in list(state.connections):
            one.shutdown()
        assert await asyncio.wait_for(reader.read(), 3) == b""

    visited(visit)


def test_a_connection_that_is_made_while_the_server_ends_ends_with_it() -> None:
    async def visit(connect: Open, state: ServerState) -> None:
        state.draining = True  # type: ignore[attr-defined]
        assert b"connection: close" in await answered(await connect(), ASKED)

    visited(visit)
