"""The search for the capacity of a service: rates that are tried one after the other, until the highest is known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from src.common.errors import StageError
from src.loadtest.capacity import Capacity, Step, capacity_of, next_rate, step_of
from src.loadtest.client import Connections, Sent, saturate, send, target_of
from src.loadtest.schedule import poisson

CLIENTS, PROBE_S = 8, 2.0  # that find how much the service gives at all
Tell = Callable[[Step, Sent], None]


@dataclass(frozen=True)
class Search:
    """How a capacity is looked for.

    Attributes:
        p99_ms: the promise.
        seconds: at each rate.
        precision: ratio of neighbouring rates at which the search ends.
        steps: most rates to try.
        seed: of the arrivals.
    """

    p99_ms: float
    seconds: float = 10.0
    precision: float = 1.05
    steps: int = 12
    seed: int = 1


async def steps_of(
    search: Search, connections: Connections, contents: Sequence[bytes], most: float, tell: Tell, first: float | None
) -> list[Step]:
    """Try rates, each judged by those before.

    Args:
        search: how.
        connections: to the service.
        contents: images, taken in turn.
        most: answers a second that the service gives at all.
        tell: told of each rate.
        first: this rate alone; None = search.
    """
    steps: list[Step] = []
    rate = first or next_rate([], most, search.precision)
    while rate is not None and len(steps) < search.steps:
        sent = await send_at(rate, search, connections, contents, len(steps))
        steps.append(step_of(rate, sent, search.p99_ms, search.seconds))
        tell(steps[-1], sent)
        rate = None if first else next_rate(steps, most, search.precision)
    return steps


async def send_at(
    rate: float, search: Search, connections: Connections, contents: Sequence[bytes], number: int
) -> Sent:
    """What came of one rate."""
    return await send(connections, contents, poisson(rate, search.seconds, search.seed + number))


def capacity_at(url: str, contents: Sequence[bytes], search: Search, token: str = "") -> Capacity:
    """The capacity of a service.

    Args:
        url: of the service.
        contents: images to send.
        search: how it is looked for.
        token: of the service; "" for none.

    Raises:
        UserError: `url` is no address.
        StageError: it answers nothing with success.
    """

    async def found() -> list[Step]:
        connections = Connections(target_of(url, token))
        try:
            most = await saturate(connections, contents, CLIENTS, PROBE_S)
            if most == 0:
                raise StageError("capacity", url, "the service answers no picture")
            return await steps_of(search, connections, contents, most, lambda *_: None, None)
        finally:
            connections.close()

    return capacity_of(asyncio.run(found()))
