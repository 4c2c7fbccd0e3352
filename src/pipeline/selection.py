"""Which trained models become finalists. Selection looks at `val` alone.

The best configuration of every architecture at every image size goes on, because speed depends on just these two, and
so does the overall top.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from src.pipeline.request import OBJECTIVE
from src.records.schema import TrialRecord
from src.records.tiling import recorded
from src.sweeper.goals import Goals, best_first

PLAIN = Goals()


def choose(records: Sequence[TrialRecord], top: int, goals: Goals = PLAIN) -> list[TrialRecord]:
    """Finalists by `val` alone: the typical replicate of each chosen configuration, best configuration first.

    Args:
        records: all trials of the sweep; those that confirm take no part in the choice.
        top: configurations to take beside the best one of every model, image size and size of tiles.
        goals: of the study; configurations that break a constraint are left out, unless all do.
    """
    by_config: dict[str, list[TrialRecord]] = defaultdict(list)
    for record in records:
        if record.role == "search" and record.state == "complete" and OBJECTIVE in record.metrics:
            by_config[record.config_id].append(record)
    known = [(rs, values) for rs in by_config.values() if (values := goals.values([r.metrics for r in rs]))]
    kept = [row for row in known if all(x <= 0 for x in goals.excesses([r.metrics for r in row[0]]).values())] or known
    order = best_first([values for _, values in kept], goals.objectives)
    chosen, architectures = [], set()
    for rank, replicates in enumerate(kept[i][0] for i in order):
        architecture = (replicates[0].model, replicates[0].imgsz, recorded(replicates[0].config))
        if rank < top or architecture not in architectures:
            chosen.append(typical(replicates))
        architectures.add(architecture)
    return chosen


def typical(replicates: Sequence[TrialRecord]) -> TrialRecord:
    """The replicate that ships: the one nearest the mean of all, of two the lower one; nobody ships the luckiest.

    `src.decide.candidates` puts them in the same order.
    """
    known = [r for r in replicates if math.isfinite(r.metrics[OBJECTIVE])] or list(replicates)
    middle = math.fsum(r.metrics[OBJECTIVE] for r in known) / len(known)
    return min(known, key=lambda r: (round(abs(r.metrics[OBJECTIVE] - middle), 9), r.metrics[OBJECTIVE], r.trial))
