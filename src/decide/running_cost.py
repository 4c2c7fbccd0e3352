"""What a model costs to run: the price of 1,000 images at a stated rate an hour, and the energy that they take.

The price is that of a machine that answers call after call and stands idle for nobody: the mean time of an image, as it
was measured, times the rate. A rate belongs to one machine, so `decision.price_per_hour` is that of the machine that
decides, and a device of `decision.devices` has one of its own. Energy is what the machine's counters counted while the
calls were timed; where there were none it is not measured, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from src.config.devices import OWN
from src.config.schema import DecisionConfig
from src.decide.candidates import Candidate
from src.decide.machines import device_name
from src.records.schema import Measurement

IMAGES = 1000  # that price and energy are of
HOUR_MS, WH_J = 3_600_000.0, 3600.0


@dataclass(frozen=True)
class RunningCost:
    """Of 1,000 images; NaN where something was not measured or no rate is stated."""

    price: float
    price_low: float  # 95 %, from that of the mean latency
    price_high: float
    energy_wh: float
    energy_low: float  # 95 %, over rounds
    energy_high: float


def asked_for(settings: DecisionConfig) -> bool:
    """Whether a rate is stated for any machine: without one nothing is said of running costs."""
    own = [limits.get("price_per_hour") for limits in (settings.devices or {}).values()]
    return settings.price_per_hour is not None or any(rate is not None for rate in own)


def rate_on(machine: str, settings: DecisionConfig) -> float:
    """The rate of a machine by its name, `sweep` for the sweep's own; NaN where none is stated for it."""
    own = (settings.devices or {}).get(machine, {}).get("price_per_hour")
    if own is not None:
        return float(own)
    decides = machine == (device_name(settings) or OWN)
    return settings.price_per_hour if decides and settings.price_per_hour is not None else math.nan


def running_cost(found: Sequence[Measurement], rate: float) -> RunningCost:
    """What 1,000 images cost by measurements of equal standing: means, and the widest of their intervals.

    Args:
        found: measurements at one batch size.
        rate: of the machine an hour.
    """
    hours = [IMAGES / m.batch / HOUR_MS for m in found]  # for every ms that a call takes
    prices = [m.latency.mean * h * rate for m, h in zip(found, hours, strict=True)]
    ends = [m.latency.intervals.get("mean", [math.nan, math.nan]) for m in found]
    low = [e[0] * h * rate for e, h in zip(ends, hours, strict=True)]
    high = [e[1] * h * rate for e, h in zip(ends, hours, strict=True)]
    names = ("energy_image_j", "energy_image_low_j", "energy_image_high_j")
    joules = [[m.extra.get(name, math.nan) for m in found] for name in names]
    energy = [_mean(joules[0]), _lowest(joules[1]), -_lowest([-j for j in joules[2]])]
    return RunningCost(_mean(prices), _lowest(low), -_lowest([-h for h in high]), *(e * IMAGES / WH_J for e in energy))


def cost_of(c: Candidate, rate: float) -> RunningCost:
    """What 1,000 images cost with a candidate on the machine that it was measured on."""
    return running_cost([e.measurement for e in c.evidence if e.measurement], rate)


def cost_where_decided(c: Candidate, settings: DecisionConfig) -> RunningCost:
    """The same on the machine that decides."""
    return cost_of(c, rate_on(device_name(settings) or OWN, settings))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _lowest(values: Sequence[float]) -> float:
    """The lowest end; NaN where one of them is not known."""
    return min(values) if values and not any(map(math.isnan, values)) else math.nan
