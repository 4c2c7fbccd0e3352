"""Reads an answer of HTTP/1.1 or 1.0, of any server: what stands between may frame it as it likes."""

from __future__ import annotations

import asyncio

INTERIM = range(100, 200)


class NoAnswer(Exception):  # noqa: N818 - for the load test it is a status like any other
    """What came is no whole answer.

    Args:
        nothing: whether not a byte came.
    """

    def __init__(self, *, nothing: bool) -> None:
        super().__init__("no answer")
        self.nothing = nothing


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Status of an answer, read to its end, and whether the connection stays open.

    Raises:
        NoAnswer: the connection ended, or what came is no HTTP.
    """
    begun = False
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
            begun = True
            version, code = head[0].split(b" ")[:2]
            if not version.startswith(b"HTTP/1."):
                raise ValueError(version)
            if int(code) not in INTERIM:
                break
        pairs = (line.partition(b":") for line in head[1:])
        fields = {name.strip().lower(): value.strip().lower() for name, _, value in pairs}
        said = fields.get(b"connection", b"keep-alive" if version == b"HTTP/1.1" else b"close")
        framed = await _read_body(reader, fields)
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
        partial = begun or bool(getattr(error, "partial", b"")) or isinstance(error, asyncio.LimitOverrunError)
        raise NoAnswer(nothing=not partial and not isinstance(error, ValueError)) from None
    return int(code), framed and b"close" not in said


async def _read_body(reader: asyncio.StreamReader, fields: dict[bytes, bytes]) -> bool:
    """Read a body to its end; whether something other than the connection's end tells where that is."""
    if b"chunked" in fields.get(b"transfer-encoding", b""):
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            await _skip(reader, size + 2)
        while await reader.readuntil(b"\r\n") != b"\r\n":
            pass
        return True
    if (length := fields.get(b"content-length")) is not None:
        await _skip(reader, int(length))
        return True
    while await reader.read(1 << 16):
        pass
    return False


async def _skip(reader: asyncio.StreamReader, count: int) -> None:
    """Read so many bytes and forget them: an answer that says that it is endless fills no memory."""
    if count < 0:
        raise ValueError(count)
    while count:
        part = await reader.read(min(count, 1 << 16))
        if not part:
            raise asyncio.IncompleteReadError(b"x", count)
        count -= len(part)
