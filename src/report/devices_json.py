"""Devices in `decision.json`: every shown candidate on every machine, turn-overs, and one model for all."""

from __future__ import annotations

from typing import Any

from src.common.speed import Comparison as Speed
from src.config.devices import OWN
from src.decide.across import OnDevice, Price
from src.decide.candidates import Candidate
from src.decide.choice import Decision
from src.decide.running_cost import asked_for, cost_of, rate_on
from src.report.comparisons import identity
from src.report.devices import TWO_SIDED, against_own, machines, turned_over
from src.report.json_values import finite
from src.report.running_costs import cost_json


def devices_json(decision: Decision) -> dict[str, Any]:
    """The keys `devices`, `turnovers` and `across`."""
    found = machines(decision)
    return {
        "devices": [_machine(name, found, decision) for name in found],
        "turnovers": [
            {
                "candidate": identity(found[OWN][t.first]),
                "rival": identity(found[OWN][t.second]),
                "faster_on": t.here,
                "faster": _speed(t.faster),
                "slower_on": t.there,
                "slower": _speed(t.slower),
            }
            for t in turned_over(decision, found)
        ],
        "across": _across(decision),
    }


def _machine(name: str, found: dict[str, list[Candidate]], decision: Decision) -> dict[str, Any]:
    record = decision.saved.devices.get(name)
    return {
        "device": name,
        "host": record.environment.host if record else None,
        "cpu": record.environment.cpu if record else None,
        "measured_at": record.measured_at if record else None,
        "facts": dict(record.facts) if record else {},
        "notes": list(record.notes) if record else [],
        "measured": [
            _figures(c, own, decision.statistic) | _running(c, name, decision)
            for c, own in zip(found[name], found[OWN], strict=True)
        ],
    }


def _running(c: Candidate, machine: str, decision: Decision) -> dict[str, Any]:
    """What 1,000 images cost there; nothing without a rate."""
    settings = decision.settings
    return cost_json(cost_of(c, rate_on(machine, settings))) if asked_for(settings) else {}


def _figures(c: Candidate, own: Candidate, statistic: str) -> dict[str, Any]:
    """What one candidate costs on a machine; null where it was not measured there."""
    m, pair = c.best.measurement, c.latency_interval.get(statistic)
    return {
        **identity(c),
        "latency_ms": finite(c.latency.get(statistic)),
        "latency_interval": list(map(finite, pair)) if pair else None,
        "latency_ratio": _speed(against_own(c, own, statistic)) if c is not own else None,
        "throughput_ips": finite(c.throughput_ips),
        "memory_mb": finite(c.memory_mb),
        "cold_ms": finite(m.cold_ms) if m else None,
        "load_ms": finite(m.load_ms) if m else None,
        "gate": c.gate if c is own else c.device_gate,
        "lost": finite(c.loss if c is own else c.loss_there),
        "runtime_version": m.runtime_version if m else None,
    }


def _speed(found: Speed | None) -> dict[str, float | None] | None:
    return {"ratio": finite(found.ratio), "low": finite(found.low), "high": finite(found.high)} if found else None


def _across(decision: Decision) -> dict[str, Any] | None:
    across, chosen = decision.across, decision.recommended
    if across is None:
        return None
    shared = chosen if across.shared is not None else None
    prices = {p.device.name: p for p in across.prices(shared)} if shared is not None else {}
    limits = decision.settings.devices or {}
    return {
        "one_for_all": identity(shared) if shared is not None else None,
        "missing": across.missing,
        "each": [_each(d, limits[d.name], prices.get(d.name)) for d in across.devices],
    }


def _each(d: OnDevice, limits: dict[str, Any], price: Price | None) -> dict[str, Any]:
    alone = d.choice.recommended
    low, high = price.lost.bounds(TWO_SIDED) if price else (None, None)
    return {
        "device": d.name,
        "limits": dict(limits),
        "latency_statistic": d.statistic,
        "recommended": identity(alone) if alone is not None else None,
        "latency_ms": finite(alone.latency.get(d.statistic)) if alone is not None else None,
        "shared": identity(price.shared) if price else None,
        "shared_latency_ms": finite(price.shared.latency.get(d.statistic)) if price else None,
        "delta": finite(price.lost.delta) if price else None,
        "delta_interval": [finite(low), finite(high)] if price else None,
        "shared_latency_ratio": _speed(price.speed) if price else None,
    }
