"""The end of a server that loses no request: not those in the listening queue, nor those on connections kept open.

A listening socket that is closed resets the connections that wait in its queue, and a connection that is closed between
two requests resets the one that is on its way. So a server that ends first turns new handshakes away, takes what waits,
says `Connection: close` with each further answer, and closes what stays quiet.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import selectors
import socket
import struct
import sys
from collections.abc import Sequence

import uvicorn
from uvicorn.server import ServerState

HANDSHAKE_S = 0.05  # in which handshakes that had begun end
MOST_S = 1.0  # longest time to take what waits
PAUSE_S = 0.005
SO_ATTACH_FILTER = 26  # Linux's number; Python has no name for it
# Classic BPF over a segment from TCP's header on: drop what asks for a connection (SYN, byte 13), pass the rest.
NO_SYN = ((0x30, 0, 0, 13), (0x45, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))


class Connected(ServerState):
    """What a server's connections share."""

    draining = False  # connections that are made from now on are told so


class Draining(uvicorn.Server):
    """A server that takes all that had reached it before it ends.

    Args:
        config: of uvicorn.
        alone: no other process listens at the socket, so that this one may turn handshakes away.
    """

    def __init__(self, config: uvicorn.Config, *, alone: bool = True) -> None:
        super().__init__(config)
        self.server_state: Connected = Connected()
        self._alone = alone

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take what waits at the sockets, then end as uvicorn does: answer what is under way, within its time."""
        self.server_state.draining = True
        if self._alone:
            refuse_handshakes(sockets or [])
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await took_all(sockets or [])
        await super().shutdown(sockets)


def refuse_handshakes(sockets: Sequence[socket.socket]) -> None:
    """Let no further connection begin; those that have begun are made. Does nothing where the system can't.

    Whoever asks meanwhile asks again after a second, and finds nobody there.
    """
    if sys.platform != "linux":
        return
    words = b"".join(struct.pack("HBBI", *word) for word in NO_SYN)
    program = ctypes.create_string_buffer(words, len(words))
    for one in sockets:
        with contextlib.suppress(OSError):
            one.setsockopt(
                socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(NO_SYN), ctypes.addressof(program))
            )


async def took_all(sockets: Sequence[socket.socket]) -> None:
    """Wait until no connection waits at the sockets; the event loop takes them."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    with selectors.DefaultSelector() as waiting:
        for one in sockets:
            waiting.register(one, selectors.EVENT_READ)
        while loop.time() - begun < HANDSHAKE_S or (waiting.select(0) and loop.time() - begun < MOST_S):
            await asyncio.sleep(PAUSE_S)
