"""What the search cost: trainings, hours and energy, as far as the records establish it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from src.decide.load import Saved
from src.decide.notes import Note, note
from src.records.schema import TrialRecord

JOULES_PER_WH = 3600.0


@dataclass(frozen=True)
class SearchCost:
    """Totals of a sweep; NaN where something is not established."""

    trials: int
    trial_hours: float  # of all trials, added up
    finalist_hours: float  # export, verification and measurement
    wall_hours: float  # from start to end, pauses too
    energy_wh: float  # of trials and finalists
    counters: tuple[str, ...]
    metered: int  # trials whose energy is known, of those that took time
    timed: int
    shared: bool  # trials ran side by side on one machine, whose counters then count twice

    def energy(self) -> Note:
        """The energy in words."""
        if not self.metered:
            return note("energy_unknown")
        key = "energy_shared" if self.shared else "energy_known"
        if self.metered < self.timed:
            key = "energy_partial"
        values = {"metered": self.metered, "timed": self.timed}
        return note(key, wh=self.energy_wh, counters=", ".join(self.counters), **values)


def search_cost(saved: Saved) -> SearchCost:
    """Add up what the records say."""
    timed = [t for t in saved.trials if t.timings_s]
    metered = [t for t in timed if t.energy_j]
    joules = [v for t in metered for v in t.energy_j.values()] + list(saved.sweep.energy_j.values())
    names = sorted({name for t in metered for name in t.energy_j} | saved.sweep.energy_j.keys())
    return SearchCost(
        trials=len(saved.trials),
        trial_hours=math.fsum(v for t in timed for v in t.timings_s.values()) / 3600,
        finalist_hours=math.fsum(saved.sweep.timings_s.values()) / 3600 if saved.sweep.timings_s else math.nan,
        wall_hours=hours_between(saved.sweep.started_at, saved.sweep.finished_at),
        energy_wh=math.fsum(joules) / JOULES_PER_WH if metered else math.nan,
        counters=tuple(names),
        metered=len(metered),
        timed=len(timed),
        shared=_side_by_side(metered),
    )


def hours_between(begun: str, ended: str) -> float:
    """Hours between two moments in ISO 8601; NaN while the second is missing, or where a clock was put back."""
    try:
        hours = (datetime.fromisoformat(ended) - datetime.fromisoformat(begun)).total_seconds() / 3600
    except (ValueError, TypeError):
        return math.nan
    return hours if hours >= 0 else math.nan


def _side_by_side(trials: list[TrialRecord]) -> bool:
    """Whether two trials of one machine overlapped in time."""
    spans = sorted((t.environment.host, t.started_at, t.finished_at) for t in trials)
    return any(a[0] == b[0] and b[1] < a[2] for a, b in pairwise(spans))
