"""From a ranking to a verdict: approve, conditional or reject, each with its reasons.

`approve` needs a winner that keeps every limit and evidence that can carry the claim; what the evidence lacks becomes
a condition; with nothing to recommend, or nothing that detects anything, the verdict is `reject`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from src.report.candidates import Candidate
from src.report.configurations import Configuration
from src.report.limits import broken, limits_of
from src.report.rank import Ranking
from src.report.signal import signal_of
from src.report.text import Note, note

Word = Literal["approve", "conditional", "reject"]

MIN_SEEDS = 2  # below, the spread over seeds is unknown
MIN_IMAGES = 100  # of a split; below, one image moves mAP by about a percent or more


@dataclass(frozen=True)
class Verdict:
    """The word, why, and what has to be done before the word can be `approve`."""

    word: Word
    reasons: list[Note]
    conditions: list[Note]


def verdict(ranking: Ranking) -> Verdict:
    """Judge a ranking."""
    if not ranking.finished:
        return Verdict("reject", [note("reason_no_survivor", n=len(ranking.saved.trials))], [])
    signal = signal_of(ranking)
    if signal is not None and not signal.found:
        return Verdict("reject", [signal.said("reason_nothing_detected")], [])
    if ranking.winner is None:
        return _without_winner(ranking)
    conditions = conditions_of(ranking, ranking.winner)
    return Verdict("conditional" if conditions else "approve", _reasons(ranking, ranking.winner), conditions)


def _without_winner(ranking: Ranking) -> Verdict:
    """No candidate: either nothing was measured, or everything breaks a limit."""
    closest = ranking.closest
    if closest is None:
        return Verdict("conditional", [note("reason_unmeasured")], [note("cond_unmeasured")])
    lost = ", ".join(broken(closest, ranking.decision)) or "decision.runtime"
    reason = note("reason_none_feasible", n=len(ranking.candidates), label=closest.label, limits=lost)
    return Verdict("reject", [reason], [])


def _reasons(ranking: Ranking, winner: Candidate) -> list[Note]:
    n_limits = len(limits_of(winner, ranking.decision))
    reasons = [note("reason_limits_hold", n=n_limits)]
    if winner is not ranking.best and ranking.best is not None:
        found = next(c for c in ranking.comparisons if c.other is winner)
        reasons.append(note("reason_tied", best=ranking.best.label, delta=found.difference.delta, n=len(ranking.tied)))
    else:
        reasons.append(note("reason_best", n=len(ranking.feasible), score=winner.score.mean))
    if any(c.tied for c in ranking.comparisons) and winner is ranking.best:
        reasons.append(note("reason_cheapest_of_tied", n=len(ranking.tied)))
    return reasons


def conditions_of(ranking: Ranking, winner: Candidate) -> list[Note]:
    """What the evidence lacks, for a winner."""
    configuration, dataset = winner.configuration, winner.best.trial.dataset
    found = []
    if len(configuration.trials) < MIN_SEEDS:
        found.append(note("cond_seeds", n=len(configuration.trials)))
    for split in ("val", "test"):
        size = dataset.split_sizes.get(split, 0) if dataset else 0
        if 0 < size < MIN_IMAGES:
            found.append(note("cond_small_split", split=split, n=size, least=MIN_IMAGES))
    if winner.test_map != winner.test_map:
        found.append(note("cond_no_test"))
    if not winner.measured:
        found.append(note("cond_no_latency"))
    if winner.gate == "warn":
        found.append(note("cond_gate", loss=100 * winner.loss))
    if lacks_pretrained(configuration):
        found.append(note("cond_scratch"))
    if still_improving(configuration):
        found.append(note("cond_unconverged", epochs=epochs_of(configuration)))
    return found


def lacks_pretrained(configuration: Configuration) -> bool:
    """Whether pretrained weights were wanted and not to be had."""
    return any(t.checkpoint and t.checkpoint.start.startswith("scratch (") for t in configuration.trials)


def from_scratch(configuration: Configuration) -> bool:
    """Whether training began from random weights."""
    return any(t.checkpoint and t.checkpoint.start.startswith("scratch") for t in configuration.trials)


def still_improving(configuration: Configuration) -> bool:
    """Whether every training was best in its last epoch, so that more epochs might help."""
    points = [t.checkpoint for t in configuration.trials if t.checkpoint]
    return bool(points) and all(c.best_epoch >= c.epochs for c in points)


def epochs_of(configuration: Configuration) -> int:
    """The longest of its trainings, in epochs."""
    return max((t.checkpoint.epochs for t in configuration.trials if t.checkpoint), default=0)
