"""A server that ends takes what had reached it, and lets nothing begin that it would not take."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

import pytest
import uvicorn

from src.serve.connection import Connection
from src.serve.draining import Draining, refuse_handshakes

ASKED = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers "fine"."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"fine"})


def listening() -> socket.socket:
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    made.listen(100)
    return made


@pytest.mark.skipif(sys.platform != "linux", reason="a filter of Linux")
def test_what_waits_at_a_socket_is_kept_and_nothing_further_begins() -> None:
    with listening() as server:
        waiting = socket.create_connection(server.getsockname())
        refuse_handshakes([server])
        with pytest.raises(TimeoutError):
            socket.create_connection(server.getsockname(), 0.2)
        taken, _ = server.accept()
        waiting.sendall(b"asked")
        assert taken.recv(10) == b"asked"
        taken.sendall(b"answered")
        assert waiting.recv(10) == b"answered"


def test_connections_that_wait_when_the_end_comes_are_answered() -> None:
    async def main() -> None:
        config = uvicorn.Config(application, http=Connection, log_config=None, lifespan="off")
        config.load()
        server, bound = Draining(config), listening()
        server.lifespan = config.lifespan_class(config)
        await server.startup([bound])
        clients = [
            socket.create_connection(bound.getsockname()) for _ in range(30)
        ]  # the event loop takes none meanwhile
        for client in clients:
            client.sendall(ASKED)
        await server.shutdown([bound])
        for client in clients:
            client.settimeout(3)
            head = await asyncio.to_thread(client.recv, 1000)
            assert head.endswith(b"fine")
            assert b"connection: close" in head

    asyncio.run(main())
