"""How successive halving went: how many configurations of each bracket reached each rung, and the best there.

`SweepRecord.halving` holds the epochs of a whole training, the rungs of each bracket, and the bracket of each slot.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

from src.records.schema import TrialRecord
from src.report.markdown import Raw, table
from src.report.section import Section


def by_slot(trials: list[TrialRecord]) -> dict[int, list[TrialRecord]]:
    """The replicates of each configuration of the search, by the slot that it was tried in."""
    groups: dict[str, list[TrialRecord]] = defaultdict(list)
    for trial in trials:
        if trial.role == "search":
            groups[trial.config_id].append(trial)
    seeds = max(map(len, groups.values()), default=1)
    return {min(t.trial for t in group) // seeds: group for group in groups.values()}


class Rungs(Section):
    """The table of rungs."""

    def table(self) -> Raw:
        """A row for each rung of each bracket, the end of training last; "" where nothing was paused."""
        saved: dict[str, Any] = self.decision.saved.sweep.halving
        if not saved:
            return Raw("")
        slots = by_slot(self.decision.saved.trials)
        rows: list[list[object]] = []
        for bracket, rungs in enumerate(saved["rungs"]):
            own = [group for slot, group in slots.items() if saved["brackets"][slot : slot + 1] == [bracket]]
            rows += [[bracket + 1, *self._row(own, epochs)] for epochs in (*rungs, saved["epochs"])]
        return table([self.say(f"col_{name}") for name in ("bracket", "rung", "reached", "best_there")], rows)

    def _row(self, groups: list[list[TrialRecord]], epochs: int) -> list[object]:
        there = [group for group in groups if _epochs(group) >= epochs]
        best = max((self._mean_at(group, epochs) for group in there), default=None)
        return [epochs, len(there), self.number(best)]

    def _mean_at(self, group: list[TrialRecord], epochs: int) -> float:
        """Mean objective at an epoch over the replicates that did not fail."""
        objective = self.decision.saved.sweep.objective
        values = [t.history[epochs - 1].get(objective, 0.0) for t in group if len(t.history) >= epochs]
        return math.fsum(values) / len(values)


def _epochs(group: list[TrialRecord]) -> int:
    """Epochs that a configuration was trained: those of its shortest replicate that did not fail."""
    return min((len(t.history) for t in group if t.state != "failed"), default=0)
