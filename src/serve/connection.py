"""A connection that holds nothing for ever: not without a request, not with half a one, not with an unread answer.

What is wrong before there is a request is answered in the same form as every refusal.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol

from src.serve.refusals import Refusal, incomplete, malformed, too_many

QUIET_S = 1.0  # for which a connection is kept open for a request when the server ends
LINGER_S = 2.0  # in which what a refused client still sends is read and thrown away
UNREAD = ("SEND_BODY", "ERROR")  # states of a client, in h11's words
PHRASES = {400: "Bad Request", 408: "Request Timeout", 503: "Service Unavailable"}


class Lingering:
    """A transport that sends an answer's head with its body, and reads on for a moment after its last word.

    A head by itself wakes the client in vain. A socket that is closed while its client still sends is reset, and the
    reset takes the answer along: who sends too much would never hear so.
    """

    def __init__(self, transport: asyncio.Transport, unread: Callable[[], bool]) -> None:
        self._transport, self._unread = transport, unread
        self.lingers = False
        self._head = b""

    def write(self, data: bytes) -> None:
        """Send, but keep a head until its body comes: the protocol writes both, the second perhaps empty."""
        if not self._head and data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 1"):
            self._head = data
            return
        head, self._head = self._head, b""
        self._transport.write(head + data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether the last word was said."""
        return self.lingers or self._transport.is_closing()

    def close(self) -> None:
        """Close at once, or after a moment where more is on its way."""
        if self._head:
            self.write(b"")
        if self.lingers or self._transport.is_closing() or not self._unread():
            self._transport.close()
            return
        self.lingers = True
        self._transport.resume_reading()
        self._transport.write_eof()
        asyncio.get_running_loop().call_later(LINGER_S, self._transport.close)


class Connection(H11Protocol):
    """HTTP/1.1 with limits on time and number."""

    most = 512  # connections
    longest_s = 30.0  # for the head of a request to arrive, and for an answer to be read
    _waits: asyncio.TimerHandle | None = None  # for the head of a request
    _unread: asyncio.TimerHandle | None = None  # for the client to read
    _quiet: asyncio.TimerHandle | None = None  # for a request to come, once the server ends
    _lingering: Lingering | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or turn it away."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            self._end(too_many())
            return
        self.transport = self._lingering = Lingering(transport, self._comes)  # type: ignore[assignment]
        self._wait()
        if getattr(self.server_state, "draining", False):  # it was taken while the server told its connections so
            self.shutdown()

    def shutdown(self) -> None:
        """The server ends: the next answer is the last one, and what stays quiet is closed."""
        if self._quiet is None:
            self._quiet = self.loop.call_later(QUIET_S, self._end_quiet)
        self._last()

    def handle_events(self) -> None:
        """Begin what arrived."""
        super().handle_events()
        if self._quiet is not None:
            self._last()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing waits for a connection that is gone."""
        super().connection_lost(exc)
        self._arrived()
        for timer in (self._unread, self._quiet):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Take a part of a request; the time for its head runs from its first byte."""
        if self._lingering is not None and self._lingering.lingers:
            return
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._arrived()
        elif self._waits is None and self._idle and not self.transport.is_closing():
            self._wait()

    def pause_writing(self) -> None:
        """The client reads slower than it is answered."""
        super().pause_writing()  # type: ignore[no-untyped-call]
        self._unread = self.loop.call_later(self.longest_s, self.transport.abort)

    def resume_writing(self) -> None:
        """It has caught up."""
        super().resume_writing()  # type: ignore[no-untyped-call]
        if self._unread is not None:
            self._unread.cancel()

    def send_400_response(self, msg: str) -> None:
        """What arrived is no HTTP, or its framing contradicts itself."""
        if self._idle or not self.cycle.response_started:
            self._end(malformed())
        else:
            self.transport.close()

    def _comes(self) -> bool:
        """Whether more of a request may be on its way."""
        return repr(self.conn.their_state) in UNREAD

    @property
    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _last(self) -> None:
        """Say with the answer under way that it is the last one: a client would send its next request into the void."""
        if not self._idle and not self.cycle.response_started and CLOSE_HEADER not in self.cycle.default_headers:
            self.cycle.default_headers = [*self.cycle.default_headers, CLOSE_HEADER]

    def _end_quiet(self) -> None:
        begun: Any = self.conn.trailing_data[0]
        if self._idle and not begun and not self.transport.is_closing():
            self.transport.close()
        elif not self._idle or begun:
            self._quiet = self.loop.call_later(QUIET_S, self._end_quiet)

    def _wait(self) -> None:
        self._waits = self.loop.call_later(self.longest_s, self._give_up)

    def _arrived(self) -> None:
        if self._waits is not None:
            self._waits.cancel()
            self._waits = None

    def _give_up(self) -> None:
        self._waits = None
        if self.transport.is_closing() or not self._idle:
            return
        begun: Any = self.conn.trailing_data[0]
        if begun:
            self._end(incomplete())
        else:
            self.transport.close()

    def _end(self, refusal: Refusal) -> None:
        """Answer past the protocol, and close."""
        body = json.dumps(refusal.body).encode()
        own = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close"}
        fields = own | {key.lower(): value for key, value in refusal.headers.items()}
        head = "".join(f"{key}: {value}\r\n" for key, value in fields.items())
        self.transport.write(f"HTTP/1.1 {refusal.status} {PHRASES[refusal.status]}\r\n{head}\r\n".encode() + body)
        self.transport.close()
