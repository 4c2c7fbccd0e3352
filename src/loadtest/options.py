"""What the load test can be told, and which values make sense."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from src.config.idle_keys import Idle, refuse_idle
from src.config.ranges import refuse_outside


@dataclass
class LoadtestArgs:
    """Arguments of the command."""

    url: str = "http://127.0.0.1:8000"
    image: str = MISSING  # a picture, or a folder of pictures that are sent in turn
    p99_ms: float = 100.0  # the promise: 99 of 100 answers within so many ms of when they were due
    rate: float | None = None  # requests a second: try this one alone; null = find the highest
    seconds: float = 10.0  # at each rate
    precision: float = 1.05  # ratio of neighbouring rates at which the search ends
    steps: int = 12  # most rates to try
    demand: float | None = None  # requests a second that are to be served: says how many replicas
    seed: int = 1  # of the arrivals
    out: str | None = None  # JSON file for the raw latencies


IDLE: list[Idle[LoadtestArgs]] = [
    Idle(
        "precision steps demand",
        lambda a: a.rate is None,
        "is about the search for the highest rate, and one rate is given",
        "leave rate out",
    ),
]


def check_arguments(args: LoadtestArgs) -> None:
    """Refuse values that make no sense.

    Raises:
        UserError: naming the key, its value and the remedy.
    """
    ranges = {
        "p99_ms": (args.p99_ms, 0.1, 1e6),
        "rate": (args.rate, 0.01, 1e5),
        "seconds": (args.seconds, 1, 86_400),
        "precision": (args.precision, 1.001, 2),
        "steps": (args.steps, 1, 1000),
        "demand": (args.demand, 0.001, 1e9),
        "seed": (args.seed, 0, 2**63),
    }
    refuse_outside(ranges)
    refuse_idle(args, IDLE)
