"""Several devices in one study: one model for all of them, the best for each, and what one for all costs.

Every device has limits of its own and is decided by its own measurements, as `decision.device` would. One model for all
is one file: on each device it runs in the runtime that is fastest there. It must keep the limits everywhere; of those
that do, the rule takes the cheapest that is shown to be at most the margin worse than the best of them. Cheaper is less
time over all devices: the geometric mean of the latencies, in which ratios count and not how slow a device is.
Rounds of different devices are independent, so round i of the one can be joined with round i of the other, and the
joined rounds are compared as those of one machine are (Student's t over pairs).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from src.common.speed import Comparison as Speed
from src.config.schema import DecisionConfig
from src.decide.candidates import Candidate, candidates, cost_statistic
from src.decide.configurations import Configuration
from src.decide.limits import require_measured
from src.decide.load import Saved
from src.decide.rule import OVERALL, Choice, File, Shared, choose, eligible, file_of
from src.decide.speed import compare_speed, fastest, rounds_of
from src.decide.uncertainty import Gap, Model, gap

# Of a device, never those of another.
OWN_LIMITS = ("max_latency_ms", "min_throughput_ips", "max_memory_mb", "runtime", "price_per_hour")


@dataclass(frozen=True)
class OnDevice:
    """One device of `decision.devices`: its limits, what was found there, and what would be chosen for it alone."""

    name: str
    settings: DecisionConfig
    candidates: list[Candidate]
    statistic: str
    choice: Choice

    @property
    def measured(self) -> bool:
        """Whether anything was measured there as its limits ask for it."""
        return any(c.measured for c in self.candidates)

    def runs(self, file: File) -> Candidate | None:
        """A file in the runtime that is fastest there, among those that keep the limits; None where none does."""
        found = [c for c in self.choice.feasible if file_of(c) == file]
        return fastest(found, self.statistic) if found else None


@dataclass(frozen=True)
class Price:
    """What one model for all costs on a device, against the one that would be chosen for that device alone."""

    device: OnDevice
    shared: Candidate
    alone: Candidate
    lost: Gap  # mAP50-95 of `alone` less that of `shared`
    speed: Speed | None  # latency of `shared` over that of `alone`


@dataclass(frozen=True)
class Across:
    """What all devices ask for together."""

    devices: list[OnDevice]
    shared: Shared | None  # files that keep every device's limits; None while a device is not measured

    @property
    def missing(self) -> list[str]:
        """Devices that nothing was measured on yet."""
        return [d.name for d in self.devices if not d.measured]

    def prices(self, chosen: Candidate) -> list[Price]:
        """What a choice costs on every device that it was found good enough for."""
        found = []
        for d in self.devices:
            own, alone = d.runs(file_of(chosen)), d.choice.recommended
            if own is not None and alone is not None:
                speed = compare_speed(own, alone, d.statistic) if own is not alone else Speed(1.0, 1.0, 1.0, "tie")
                found.append(Price(d, own, alone, gap(alone.model, own.model), speed))
        return found


def across_devices(
    groups: list[Configuration], saved: Saved, settings: DecisionConfig, models: Mapping[str, Model], level: float
) -> Across:
    """Decide for every device of `decision.devices` by itself, and find what all of them can have.

    Args:
        groups: configurations.
        saved: the records.
        settings: the decision group, with `devices`.
        models: every finished configuration's score with its uncertainty, by `config_id`.
        level: confidence of each comparison.

    Raises:
        UserError: a device's limit is on what nobody measured there.
    """
    devices = []
    for name, limits in settings.devices.items():
        own = settings_on(name, limits, settings)
        found = candidates(groups, saved, own, models)
        require_measured(found, own, f"decision.devices.{name}")
        statistic = cost_statistic(own, found)
        devices.append(OnDevice(name, own, found, statistic, _choice(found, own, statistic, level)))
    complete = all(d.measured for d in devices)
    return Across(devices, Shared(_in_common(devices)) if complete else None)


def _choice(found: Sequence[Candidate], own: DecisionConfig, statistic: str, level: float) -> Choice:
    """Nothing is chosen for a device by what was measured elsewhere."""
    if not any(c.measured for c in found):
        return Choice([], None, [], None)
    return choose([c for c in found if eligible(c, found, own)], own, statistic, level)


def settings_on(name: str, limits: Mapping[str, Any], settings: DecisionConfig) -> DecisionConfig:
    """The decision group of one device: its own limits on cost, and what all share on accuracy, size and licence."""
    given = {key: value for key, value in limits.items() if value is not None}
    return replace(settings, **{**dict.fromkeys(OWN_LIMITS), "device": name, "devices": None, **given})


def _in_common(devices: Sequence[OnDevice]) -> dict[File, Candidate]:
    """Files that keep the limits of every device, each as one candidate that costs what it costs over all of them."""
    files = dict.fromkeys(file_of(c) for c in devices[0].choice.feasible)
    found = {f: [(d, c) for d in devices if (c := d.runs(f)) is not None] for f in files}
    return {f: _joined(places) for f, places in found.items() if len(places) == len(devices)}


def _joined(places: Sequence[tuple[OnDevice, Candidate]]) -> Candidate:
    """One file over several devices; of the runtimes that it needs, the one that keeps least accuracy speaks for it."""
    least = min((c for _, c in places), key=lambda c: c.score.mean)
    ends = [c.latency_interval.get(d.statistic, (c.latency[d.statistic],) * 2) for d, c in places]
    interval = (_geometric([low for low, _ in ends]), _geometric([high for _, high in ends]))
    rounds = [_geometric(values) for values in zip(*(rounds_of(c, d.statistic) for d, c in places), strict=False)]
    first, *others = least.evidence
    measured = replace(first.measurement, rounds={OVERALL: rounds}) if first.measurement else None
    return replace(
        least,
        evidence=(replace(first, measurement=measured), *others),
        latency={OVERALL: _geometric([c.latency[d.statistic] for d, c in places])},
        latency_interval={OVERALL: interval},
    )


def _geometric(values: Sequence[float]) -> float:
    if not all(v > 0 for v in values):
        return 0.0
    return math.exp(math.fsum(map(math.log, values)) / len(values)) if math.inf not in values else math.inf
