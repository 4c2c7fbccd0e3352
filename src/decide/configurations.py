"""Group trials into configurations: replicates share `config_id` and differ in nothing but the seed.

A configuration is judged by the mean over its seeds, never by its luckiest run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from src.common.errors import UserError
from src.common.statistics import Spread, spread
from src.records.schema import TrialRecord

HEADLINE = ("model", "imgsz", "lr", "seed", "sweep")  # swept keys with a column of their own, or none


@dataclass(frozen=True)
class Configuration:
    """One point of the search space and what its trials scored."""

    config_id: str
    model: str
    imgsz: int
    lr: float
    extra: dict[str, str]  # further swept keys, as typed
    trials: tuple[TrialRecord, ...]  # complete, one a seed, by trial number
    lost: tuple[TrialRecord, ...]  # failed, pruned, or without a finite objective
    scores: tuple[float, ...]  # the objective of each of `trials`
    spread: Spread  # of the scores
    selection: Spread | None = None  # of the seeds that it was chosen by, where fresh ones replace them

    @property
    def label(self) -> str:
        """Short name for tables and figures."""
        parts = [self.model, f"{self.imgsz} px", f"lr {self.lr:g}"]
        return " · ".join(parts + [f"{key} {value}" for key, value in self.extra.items()])

    @property
    def best_trial(self) -> TrialRecord:
        """The trial with the highest objective."""
        return max(zip(self.scores, self.trials, strict=True), key=lambda pair: pair[0])[1]


def swept_values(trial: TrialRecord) -> dict[str, str]:
    """The overrides of a trial as key → value."""
    pairs = (item.lstrip("+~").split("=", 1) for item in trial.overrides)
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def value_of(trial: TrialRecord, key: str) -> str:
    """The value of a swept key in a trial; empty when it has none."""
    if key in HEADLINE and key != "sweep":
        return str(getattr(trial, key))
    return swept_values(trial).get(key, "")


def configurations(trials: list[TrialRecord], objective: str) -> list[Configuration]:
    """Group trials by `config_id`, best mean first; configurations without a finished trial come last.

    Raises:
        UserError: a complete trial lacks the objective.
    """
    groups: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        groups.setdefault(trial.config_id, []).append(trial)
    found = [_configuration(members, objective) for members in groups.values()]
    return sorted(found, key=_rank)


def _rank(c: Configuration) -> tuple[bool, bool, float, str]:
    """Confirmed ones first: the mean of the others is still that of the seeds that they were chosen by."""
    return (not c.trials, c.selection is None, -c.spread.mean if c.trials else 0.0, c.config_id)


def _configuration(members: list[TrialRecord], objective: str) -> Configuration:
    """The configuration of all its trials; fresh replicates speak for it as soon as one of them is complete.

    Further replicates (`study.until=decided`) count with the fresh ones, or with the search's where there are none.
    """
    chosen_by = [t for t in members if t.role == "search"]
    if any(t.role == "confirm" and t.state == "complete" for t in members):
        fresh = [t for t in members if t.role != "search"]
        return replace(_of(fresh, objective), selection=_of(chosen_by, objective).spread if chosen_by else None)
    return _of([t for t in members if t.role != "confirm"] or members, objective)


def _of(members: list[TrialRecord], objective: str) -> Configuration:
    kept: dict[int, TrialRecord] = {}  # seed -> its first trial: a repeated seed is no new evidence
    lost = []
    for trial in members:
        if trial.state != "complete" or not math.isfinite(score_of(trial, objective)):
            lost.append(trial)
        else:
            kept.setdefault(trial.seed, trial)
    first = members[0]
    scores = tuple(score_of(t, objective) for t in kept.values())
    return Configuration(
        config_id=first.config_id,
        model=first.model,
        imgsz=first.imgsz,
        lr=first.lr,
        extra={k: v for k, v in swept_values(first).items() if k not in HEADLINE},
        trials=tuple(kept.values()),
        lost=tuple(lost),
        scores=scores,
        spread=spread(scores),
    )


def score_of(trial: TrialRecord, objective: str) -> float:
    """The objective of a complete trial.

    Raises:
        UserError: the record lacks it.
    """
    if objective not in trial.metrics:
        raise UserError(
            f"trial {trial.trial} is complete but its record lacks the objective",
            value=objective,
            remedy=f"metrics in the record: {', '.join(sorted(trial.metrics)) or 'none'}",
        )
    return trial.metrics[objective]
