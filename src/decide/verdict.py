"""From a decision to a verdict: approve, conditional or reject, each with its reasons.

`approve` needs a winner that keeps every limit and evidence that can carry the claim; what the evidence lacks becomes
a condition; with nothing to recommend, or nothing that detects anything, the verdict is `reject`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from src.config.devices import OWN
from src.decide.candidates import Candidate
from src.decide.choice import Decision
from src.decide.configurations import Configuration
from src.decide.judgement import paired_gap
from src.decide.limits import broken, limits_of
from src.decide.machines import device_name
from src.decide.notes import Note, note
from src.decide.sensitivity import seeds_that_flip
from src.decide.signal import signal_of
from src.decide.speed import compare_speed
from src.decide.uncertainty import SAME

Word = Literal["approve", "conditional", "reject"]

MIN_SEEDS = 2  # below, the spread over seeds is unknown
MIN_IMAGES = 100  # of a split; below, one image moves mAP by about a percent or more


@dataclass(frozen=True)
class Verdict:
    """The word, why, and what has to be done before the word can be `approve`."""

    word: Word
    reasons: list[Note]
    conditions: list[Note]


def verdict(decision: Decision) -> Verdict:
    """Judge a decision."""
    if not decision.finished:
        return Verdict("reject", [note("reason_no_survivor", n=len(decision.saved.trials))], [])
    signal = signal_of(decision)
    if signal is not None and not signal.found:
        return Verdict("reject", [signal.said("reason_nothing_detected")], [])
    if decision.recommended is None:
        return _none_for_all(decision) or _without_winner(decision)
    conditions = conditions_of(decision, decision.recommended)
    return Verdict("conditional" if conditions else "approve", _reasons(decision, decision.recommended), conditions)


def _none_for_all(decision: Decision) -> Verdict | None:
    """No file keeps the limits of all devices; None where that isn't so. Each may still have one of its own."""
    across = decision.across
    if across is None or across.shared is None or across.shared.files:
        return None
    alone = [(d.name, d.choice.recommended) for d in across.devices]
    best = [note("best_there" if c else "none_there", device=name, label=c.label if c else "") for name, c in alone]
    reasons = [note("reason_none_for_all", devices=", ".join(name for name, _ in alone)), *best]
    if not any(c for _, c in alone):
        return Verdict("reject", reasons, [])
    return Verdict("conditional", reasons, [note("cond_model_each")])


def _without_winner(decision: Decision) -> Verdict:
    """No candidate: either nothing was measured, or everything breaks a limit."""
    closest, device = decision.closest, device_name(decision.settings)
    if closest is None:
        return Verdict("conditional", [note("reason_unmeasured")], [note("cond_unmeasured")])
    if device is not None and not any(c.measured for c in decision.candidates):
        return Verdict("conditional", [note("reason_device_unmeasured", device=device)], _unmeasured(decision, device))
    lost = ", ".join(broken(closest, decision.settings)) or "decision.runtime"
    reason = note("reason_none_feasible", n=len(decision.candidates), label=closest.label, limits=lost)
    return Verdict("reject", [reason], [])


def _reasons(decision: Decision, winner: Candidate) -> list[Note]:
    """Why this one: the limits, and either the bound on what it may lose or that it is the best."""
    settings, across = decision.settings, decision.across
    reasons = [note("reason_limits_hold", n=len(limits_of(winner, settings)))]
    if winner.measured and decision.statistic != settings.latency:
        reasons.append(note("reason_statistic", used=decision.statistic, wanted=settings.latency))
    if across is not None and across.shared is not None:
        reasons.append(note("reason_for_all", devices=", ".join(d.name for d in across.devices)))
    found = decision.comparison(winner)
    if len(decision.feasible) == 1:
        return [*reasons, note("reason_alone")]
    if found is None or decision.best is None:
        return [*reasons, note("reason_best", n=len(decision.feasible)), *_tie(decision, winner)]
    if winner.configuration is decision.best.configuration and found.deficit.delta < SAME:
        return [*reasons, note("reason_same_weights", n=len(decision.feasible)), *_tie(decision, winner)]
    return [
        *reasons,
        note(
            "reason_within",
            best=decision.best.label,
            delta=found.deficit.delta,
            bound=found.deficit.high,
            margin=settings.margin,
            percent=100 * settings.confidence,
        ),
        *_tie(decision, winner),
    ]


def _tie(decision: Decision, winner: Candidate) -> list[Note]:
    """Where the same weights run as fast elsewhere, and where it isn't decided: the one is no evidence of the other."""
    places: dict[str, list[str]] = {"tie": [], "no decision": []}
    for c in decision.candidates:
        same = c.configuration is winner.configuration and abs(c.score.mean - winner.score.mean) < SAME
        if c is winner or not same or c.key not in decision.feasible:
            continue
        found = compare_speed(c, winner, decision.statistic)
        if found is not None and found.verdict in places:
            places[found.verdict].append(f"{c.format}/{c.precision} · {c.runtime}")
    said = {"tie": "reason_speed_tie", "no decision": "reason_speed_open"}
    return [note(said[verdict], places=", ".join(names)) for verdict, names in places.items() if names]


def conditions_of(decision: Decision, winner: Candidate) -> list[Note]:
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
    found += _measured_conditions(decision, winner)
    if winner.gate == "warn":
        found.append(note("cond_gate", loss=100 * winner.loss))
    if lacks_pretrained(configuration):
        found.append(note("cond_scratch"))
    if still_improving(configuration):
        found.append(note("cond_unconverged", epochs=epochs_of(configuration)))
    return found + _contradicted(decision, winner) + _fragile(decision)


def _measured_conditions(decision: Decision, winner: Candidate) -> list[Note]:
    """What the machine that decides lacks: a latency, or a look at what the file finds there."""
    device, across = device_name(decision.settings), decision.across
    found = [note("cond_no_latency")] if device is None and not winner.measured else []
    if winner.measured and decision.settings.latency not in winner.latency:
        found.append(note("cond_statistic", wanted=decision.settings.latency))
    if device is not None:
        found += _checked(device, winner) if winner.measured else _unmeasured(decision, device)
    if across is not None:
        found += [n for name in across.missing if name != device for n in _unmeasured(decision, name)]
        there = [p for p in across.prices(winner) if p.device.name not in (device, OWN)]
        found += [n for p in there for n in _checked(p.device.name, p.shared)]
    return found


def _checked(device: str, c: Candidate) -> list[Note]:
    """What is doubtful of a file's accuracy on a device."""
    if c.device_gate is None:
        return [note("cond_device_unchecked", device=device)]
    return [note("cond_device_gate", device=device, loss=100 * c.loss_there)] if c.device_gate == "warn" else []


def _unmeasured(decision: Decision, device: str) -> list[Note]:
    """What has to be done before a device can decide."""
    return [note("cond_device_unmeasured", device=device, sweep=decision.saved.sweep.sweep)]


def _contradicted(decision: Decision, winner: Candidate) -> list[Note]:
    """Test shows the recommended file to be worse than the best by more than the margin."""
    best = decision.best
    if best is None or best is winner or best.configuration is winner.configuration:
        return []
    found = paired_gap(best.best.test_depth, winner.best.test_depth)
    if found is None or found.bounds(decision.settings.confidence)[0] <= decision.settings.margin:
        return []
    return [note("cond_test_contradicts", delta=found.delta, margin=decision.settings.margin)]


def _fragile(decision: Decision) -> list[Note]:
    """Without one of the seeds another configuration would be chosen."""
    flips = seeds_that_flip(decision)
    return [note("cond_seed_flips", seeds=", ".join(map(str, flips)))] if flips else []


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
