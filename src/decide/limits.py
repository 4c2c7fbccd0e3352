"""The hard limits of a decision, and whether a candidate keeps them.

A limit holds, does not hold, or is not established (None) when its metric was not measured. Only candidates that keep
every limit are feasible, so a looser limit (a higher most, a lower least)
never takes a candidate away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from src.common.errors import UserError
from src.config.schema import DecisionConfig
from src.decide.candidates import Candidate
from src.decide.licence import may_ship
from src.decide.notes import Note, note


@dataclass(frozen=True)
class Limit:
    """One hard limit, measured on one candidate."""

    key: str  # of the decision group
    metric: Note  # what is compared with the limit
    unit: str
    limit: float
    measured: float  # NaN when not measured
    at_most: bool  # True: measured must not exceed the limit; False: must reach it

    @property
    def holds(self) -> bool | None:
        """Whether the limit is kept; None when nothing was measured."""
        if not math.isfinite(self.measured):
            return None
        return self.measured <= self.limit if self.at_most else self.measured >= self.limit


def limits_of(candidate: Candidate, decision: DecisionConfig) -> list[Limit]:
    """Every limit that is set, measured on `candidate`."""
    latency = candidate.latency.get(decision.latency, math.nan)
    table = [
        ("max_latency_ms", "ms", latency, True),
        ("max_size_mb", "MB", candidate.size_mb, True),
        ("max_memory_mb", "MB", candidate.memory_mb, True),
        ("min_throughput_ips", "images/s", candidate.throughput_ips, False),
        ("min_capacity_rps", "requests/s", candidate.capacity(decision.max_p99_ms), False),
        ("min_map", "", candidate.floor, False),
        ("max_export_loss", "", candidate.loss, True),
    ]
    return [
        Limit(key, _metric(key, decision), unit, float(getattr(decision, key)), measured, at_most)
        for key, unit, measured, at_most in table
        if getattr(decision, key) is not None
    ]


def _metric(key: str, decision: DecisionConfig) -> Note:
    if key == "min_capacity_rps":
        return note(f"limit_{key}", promise=f"{decision.max_p99_ms:g}")
    if key != "max_latency_ms":
        return note(f"limit_{key}")
    scope = note(f"scope_{decision.scope}")
    return note(f"limit_{key}", statistic=decision.latency, scope=scope, batch=decision.batch)


def _statistic(key: str, decision: DecisionConfig) -> str:
    return f": {decision.latency}" if key == "max_latency_ms" else ""


def disqualified(candidate: Candidate) -> list[str]:
    """Why a candidate can't be recommended whatever the limits are: it is another model, or reduced for nothing."""
    reasons = ["gate"] if candidate.gate == "fail" else []
    if candidate.device_gate == "fail":
        reasons.append("device_gate")
    costs = [e.measurement for e in candidate.evidence if e.measurement]
    if any(m.extra.get("slower_than_fp32") == 1 for m in costs):
        reasons.append("slower_than_fp32")
    return reasons


def broken(candidate: Candidate, decision: DecisionConfig) -> list[str]:
    """Keys of the limits that a candidate breaks (or that nobody measured), and why else it can't be recommended."""
    unconfirmed = decision.confirm_seeds > 0 and candidate.configuration.selection is None
    reasons = [*disqualified(candidate), *(["unconfirmed"] if unconfirmed else [])]
    if not may_ship(candidate, decision):
        reasons.append("licence")
    return [x.key for x in limits_of(candidate, decision) if not x.holds] + reasons


def refusals(candidate: Candidate, found: Sequence[Candidate], decision: DecisionConfig) -> list[str]:
    """Why a candidate among others can't be recommended; `unmeasured` where it lacks what they were measured for."""
    lacks = not candidate.measured and any(c.measured for c in found)
    return broken(candidate, decision) + (["unmeasured"] if lacks else [])


def feasible(candidate: Candidate, decision: DecisionConfig) -> bool:
    """Whether the candidate keeps every limit and runs where the decision asks for it."""
    return decision.runtime in (None, candidate.runtime) and not broken(candidate, decision)


def require_measured(found: list[Candidate], decision: DecisionConfig, where: str = "decision") -> None:
    """Refuse a limit on a metric that none of the benchmarked candidates has; `where` is the group that it stands in.

    Raises:
        UserError: naming the limit.
    """
    benchmarked = [c for c in found if c.measured]
    if not benchmarked:
        return
    if decision.runtime is not None and decision.runtime not in {c.runtime for c in found}:
        raise UserError(
            f"{where}.runtime names a runtime that no candidate ran on",
            value=decision.runtime,
            remedy=f"one of: {', '.join(sorted({c.runtime for c in found}))}",
        )
    for rows in zip(*(limits_of(c, decision) for c in benchmarked), strict=True):
        if all(row.holds is None for row in rows):
            raise UserError(
                f"{where}.{rows[0].key} limits what nobody measured{_statistic(rows[0].key, decision)}",
                value=rows[0].limit,
                remedy=f"{where}.{rows[0].key}=null, or measure it (p99 needs benchmark=standard)",
            )
