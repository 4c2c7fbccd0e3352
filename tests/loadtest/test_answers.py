"""Answers of any server: framed in every way, or no answers at all; nothing hangs, nothing fills the memory."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import numpy as np
import pytest

from src.common.errors import UserError
from src.loadtest import __main__ as command
from src.loadtest import client
from src.loadtest.answers import NoAnswer, read_answer
from src.loadtest.client import target_of
from src.loadtest.options import LoadtestArgs
from tests.loadtest.test_client import against, request_of


def read(content: bytes, *, ended: bool = True) -> tuple[int, bool]:
    """What is read of an answer."""

    async def found() -> tuple[int, bool]:
        reader = asyncio.StreamReader()
        reader.feed_data(content)
        if ended:
            reader.feed_eof()
        return await asyncio.wait_for(read_answer(reader), 2)

    return asyncio.run(found())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", (200, True)),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\n{}", (200, False)),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", (200, False)),
        (b"HTTP/1.1 503 no\r\n\r\n{}", (503, False)),
        (b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\n{}\r\n0\r\nA: b\r\n\r\n", (200, True)),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", (200, True)),
    ],
)
def test_every_framing(content: bytes, expected: tuple[int, bool]) -> None:
    assert read(content) == expected


@pytest.mark.parametrize(
    ("content", "nothing"),
    [
        (b"", True),
        (b"\r\n\r\n", False),
        (b"HTTP/1.1 200", False),
        (b"SSH-2.0\r\n\r\n", False),
        (b"HTTP/2 200\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n", False),
    ],
)
def test_what_is_no_answer_is_told_as_one_kind(content: bytes, nothing: bool) -> None:
    with pytest.raises(NoAnswer) as told:
        read(content)
    assert told.value.nothing == nothing


def test_a_connection_that_the_server_closed_between_two_requests_is_no_failure() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")  # and says nothing of its end
        writer.close()

    assert asyncio.run(against(answer, np.arange(20) * 0.02)).ok.all()


def test_a_service_that_takes_and_never_answers_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, images: list[str]
) -> None:
    monkeypatch.setattr(command, "PATIENCE_S", 0.2)
    monkeypatch.setattr(client, "PATIENCE_S", 0.2)

    async def silent() -> None:
        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(20)

        server = await asyncio.start_server(hold, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        connections = client.Connections(target_of(url, ""))
        with pytest.raises(UserError, match="no service answers"):
            await command._check(connections, b"x", url)
        assert await client.saturate(connections, [b"x"], 2, 0.1) == 0
        server.close()

    begun = time.monotonic()
    asyncio.run(silent())
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    "url",
    ["http://[::1", "http://a b/", "http://x/\r\nHost: y", "http://ä/", "http://u:p@x/", "http://x:0/", "//x", ""],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="no HTTP address"):
        target_of(url, "")


def test_an_address_of_ip_version_6_stands_in_brackets() -> None:
    target = target_of("http://[::1]:8000", "")
    assert target.host == "::1"
    assert b"\r\nHost: [::1]:8000\r\n" in target.request(b"")


@pytest.mark.parametrize("place", ["", "/dev/null/x.json", "file/x.json"])
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_sent(
    place: str, images: list[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    out = str(tmp_path / place) if place != "/dev/null/x.json" else place
    with pytest.raises(UserError, match=re.escape("out can't be used")):
        command.run(LoadtestArgs(url="http://127.0.0.1:9", image=images[0], out=out))
