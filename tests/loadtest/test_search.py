"""The search against a real server on sockets whose queue has a closed form."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from src.common.errors import StageError
from src.loadtest.capacity import SHARE
from src.loadtest.client import Connections, Sent, send, target_of
from src.loadtest.schedule import poisson
from src.loadtest.search import Search, capacity_at, steps_of
from tests.services import free_port

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
LATE = 0.025  # of the mean latency; of the 5 % the rest is the client's own
Talk = Callable[[int], Awaitable[Sent]]


async def with_one_server(service_s: float, talk: Talk, late: list[float] | None = None) -> Sent:
    """Talk to a server that answers one request after the other, each after the same time: M/D/1 under Poisson.

    Args:
        service_s: of each request.
        talk: given the port.
        late: gets the seconds by which the server itself answered too late.
    """
    loop = asyncio.get_running_loop()
    free = 0.0

    def done(writer: asyncio.StreamWriter, due: float) -> None:
        if late is not None:
            late.append(loop.time() - due)
        writer.write(OK)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal free
        while True:
            try:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(3)
            except asyncio.IncompleteReadError:
                return
            free = max(free, loop.time()) + service_s
            loop.call_at(free, done, writer, free)

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        return await talk(server.sockets[0].getsockname()[1])
    finally:
        server.close()


def md1(rate: float, service_s: float, seconds: float, seed: int) -> tuple[Sent, float]:
    """What the client sees of such a server, and the mean seconds by which the machine was late for either."""
    late: list[float] = []

    async def talk(port: int) -> Sent:
        connections = Connections(target_of(f"http://127.0.0.1:{port}", ""))
        try:
            return await send(connections, [b"one"], poisson(rate, seconds, seed))
        finally:
            connections.close()

    sent = asyncio.run(with_one_server(service_s, talk, late))
    return sent, float(np.mean(late) + sent.late.mean())


@pytest.mark.slow
@pytest.mark.parametrize("rho", [0.3, 0.6, 0.8])
def test_over_sockets_the_mean_is_that_of_the_closed_form(rho: float) -> None:
    """Against the same arrivals' own waits (Lindley), which long runs hold to the closed form; see test_capacity."""
    service = 0.08  # timers of asyncio are half a millisecond late each, on a machine at rest too
    sent, late = md1(rho / service, service, 60, seed=11)
    free, waits = 0.0, []
    for moment in sent.due:
        free = max(free, moment) + service
        waits.append(free - moment)
    assert sent.ok.all()
    if late > LATE * np.mean(waits):
        pytest.skip(f"the machine is busy: its timers are {late * 1000:.1f} ms late")
    assert sent.latency.mean() == pytest.approx(np.mean(waits), rel=0.05)


@pytest.mark.slow
def test_the_search_ends_between_its_bounds() -> None:
    service, search = 0.02, Search(p99_ms=100, seconds=6, precision=1.15)

    async def talk(port: int) -> Sent:
        connections = Connections(target_of(f"http://127.0.0.1:{port}", ""))
        told: list[Sent] = []
        steps = await steps_of(search, connections, [b"one"], 1 / service, lambda _, sent: told.append(sent), None)
        connections.close()
        assert 1 < len(steps) == len(told) <= search.steps
        assert any(s.keeps for s in steps)
        assert any(s.broken > SHARE for s in steps)
        return told[-1]

    asyncio.run(with_one_server(service, talk))


def test_where_nobody_answers_there_is_no_capacity() -> None:
    with pytest.raises(StageError, match="answers no picture"):
        capacity_at(f"http://127.0.0.1:{free_port()}", [b"one"], Search(100))
