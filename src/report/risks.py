"""Risks that the evidence shows, each with its mitigation, and the next steps that follow from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from src.decide.candidates import Candidate, failures_of
from src.decide.choice import Decision
from src.decide.configurations import value_of
from src.decide.licence import AGPL
from src.decide.notes import Note, note
from src.decide.open_questions import open_questions
from src.decide.signal import signal_of
from src.decide.verdict import MIN_IMAGES, MIN_SEEDS, Verdict, epochs_of, from_scratch, still_improving
from src.report.importance import as_number
from src.report.in_depth import resolvable, worst_class_loss
from src.report.licence import UNKNOWN, judged_licence, under_agpl
from src.report.names import short
from src.report.noise import NOISY, disturbed, noisy
from src.report.section import interval_of

Level = Literal["high", "medium", "low"]
Horizon = Literal["short", "medium", "long"]

TAIL = 1.5  # p99 (or the highest percentile known) over p50 from which the tail is worth a word
CLASS_LOSS = 0.05  # AP50-95 that export may cost one class before it is more than a remark
COARSE = 0.02  # smallest difference in mAP50-95 from which test is called coarse
LEARNING_EPOCHS, MORE_EPOCHS = 30, 4  # proposed to what has learnt nothing: at least so many, or so many times as many
TINY_LOSS = 0.0005  # share of mAP50-95 below which export loses nothing worth a word


@dataclass(frozen=True)
class Risk:
    """Something in the evidence that may turn the decision out wrong."""

    key: str
    level: Level
    evidence: Note
    mitigation: Note


@dataclass(frozen=True)
class Step:
    """Something to do next."""

    horizon: Horizon
    what: Note


def _risk(key: str, level: Level, /, **values: object) -> Risk:
    return Risk(key, level, note(f"risk_{key}", **values), note(f"mitigation_{key}", **values))


def risks(decision: Decision) -> list[Risk]:
    """Every risk found, the gravest first."""
    found = [*_licence(decision), *_selection(decision), *_trust(decision)]
    found += _data_risks(decision) + _failures(decision) + _edges(decision) + _noise(decision)
    if decision.finished:
        found += _training_risks(decision)
    if decision.recommended is not None:
        found += (
            _export_risks(decision.recommended, decision)
            + _latency_risks(decision.recommended)
            + _generalisation(decision.recommended)
        )
    levels = ("high", "medium", "low")
    return sorted(found, key=lambda r: levels.index(r.level))


def _licence(decision: Decision) -> list[Risk]:
    told = judged_licence(decision)
    found = [_risk("licence_unknown", "high", licence=told)] if UNKNOWN in told else []
    if under_agpl(decision):
        free = bool(told) and AGPL not in told  # others in the tables aren't, which calls for no step
        found.append(_risk("licence_others", "low", licence=told) if free else _risk("licence", "high"))
    return found


def _selection(decision: Decision) -> list[Risk]:
    n, k = sum(len(c.trials) for c in decision.configurations), len(decision.finished)
    return [_risk("selection", "medium", n=n, k=k)] if k > 1 else []


def _trust(decision: Decision) -> list[Risk]:
    """A checkpoint was unpickled whole, which runs whatever code it carries."""
    models = [m for t in decision.saved.trials if isinstance(m := t.config.get("model"), dict)]
    files = sorted({str(m.get("weights")) for m in models if m.get("trust") is True})
    return [_risk("trusted", "high", files=", ".join(files))] if files else []


def _data_risks(decision: Decision) -> list[Risk]:
    dataset = next((t.dataset for t in decision.saved.trials if t.dataset), None)
    if dataset is None:
        return []
    found = []
    small = {k: n for k in ("val", "test") if 0 < (n := dataset.split_sizes.get(k, 0)) < MIN_IMAGES}
    if small:
        sizes = ", ".join(f"{k} {n}" for k, n in small.items())
        n = min(small.values())
        found.append(_risk("small_split", "high" if n < 30 else "medium", sizes=sizes, share=100 / n))
    smallest, n = resolvable(decision)
    if math.isfinite(smallest):
        found.append(_risk("resolution", "medium" if smallest > COARSE else "low", n=n, smallest=smallest))
    if len(decision.saved.sweep.test_openings) > 1:
        found.append(_risk("test_reopened", "high", n=len(decision.saved.sweep.test_openings)))
    if dataset.warnings:
        found.append(
            _risk("data_warnings", "medium", n=len(dataset.warnings), first=note("quoted", text=dataset.warnings[0]))
        )
    return found


def _failures(decision: Decision) -> list[Risk]:
    lost = [t for t in decision.saved.trials if t.state == "failed"]
    skipped = failures_of([], decision.saved.finalists)
    found = []
    if lost:
        found.append(_risk("failed_trials", "medium", n=len(lost), total=len(decision.saved.trials)))
    if skipped:
        found.append(_risk("skipped", "low", n=len(skipped), first=skipped[0][1].target))
    return found


def _edges(decision: Decision) -> list[Risk]:
    """The winner lies on the edge of a swept numeric range."""
    chosen = decision.recommended.configuration if decision.recommended else next(iter(decision.finished), None)
    if chosen is None:
        return []
    found = []
    for key in decision.saved.sweep.space:
        values = sorted({v for t in decision.saved.trials if (v := as_number(value_of(t, key))) is not None})
        own = as_number(value_of(chosen.trials[0], key))
        if key != "seed" and len(values) > 1 and own in (values[0], values[-1]):
            found.append(_risk("edge", "low", key=key, value=f"{own:g}", low=f"{values[0]:g}", high=f"{values[-1]:g}"))
    return found


def _training_risks(decision: Decision) -> list[Risk]:
    chosen = decision.recommended.configuration if decision.recommended else decision.finished[0]
    found = []
    signal = signal_of(decision)
    if signal is not None and not signal.found:
        found.append(Risk("unlearnt", "high", signal.said("risk_unlearnt"), note("mitigation_unlearnt")))
    if len(chosen.trials) < MIN_SEEDS:
        found.append(_risk("one_seed", "high", n=len(chosen.trials)))
    else:
        low, high = interval_of(chosen, decision)
        wide = not high - low <= 0.1 * max(chosen.spread.mean, 1e-9)
        found.append(_risk("seed_spread", "medium" if wide else "low", n=chosen.spread.n))
    if from_scratch(chosen):
        found.append(_risk("scratch", "medium"))
    if still_improving(chosen):
        checkpoint = next(t.checkpoint for t in chosen.trials if t.checkpoint)
        found.append(_risk("unconverged", "medium", epochs=checkpoint.epochs))
    return found


def _export_risks(winner: Candidate, decision: Decision) -> list[Risk]:
    if winner.format == "pytorch" or not winner.verified:
        return []
    found = []
    if winner.loss >= TINY_LOSS or winner.gate in ("warn", "fail"):
        level: Level = "medium" if winner.gate in ("warn", "fail") else "low"
        target = f"{winner.format}/{winner.precision}"
        found.append(_risk("export_loss", level, loss=100 * winner.loss, target=target))
    worst = worst_class_loss(winner, decision)
    if worst is not None and worst[1] > 0:
        grave: Level = "medium" if worst[1] > CLASS_LOSS else "low"
        found.append(_risk("class_loss", grave, name=worst[0], loss=worst[1]))
    return found


def _latency_risks(winner: Candidate) -> list[Risk]:
    if not winner.measured:
        return [_risk("no_latency", "high")]
    found = []
    tail = next((name for name in ("p99", "p95", "p90") if name in winner.latency), None)
    if tail and winner.latency[tail] > TAIL * winner.latency["p50"]:
        ratio = winner.latency[tail] / winner.latency["p50"]
        found.append(_risk("tail", "medium", tail=tail, ratio=ratio, value=winner.latency[tail]))
    if "p99" not in winner.latency:
        found.append(_risk("no_p99", "low"))
    return found


def _noise(decision: Decision) -> list[Risk]:
    """Noise anywhere in the benchmark: another candidate may look slow, or fast, because of it."""
    total = sum(c.measured for c in decision.candidates)
    found = []
    wide, busy = noisy(decision), disturbed(decision)
    if wide:
        key = "noisy_choice" if decision.recommended in wide else "noisy"
        found.append(_risk(key, "medium", n=len(wide), total=total, percent=100 * NOISY, label=short(wide[0])))
    if busy:
        found.append(_risk("disturbed", "medium", n=len(busy), total=total))
    return found


def _generalisation(winner: Candidate) -> list[Risk]:
    if not math.isfinite(winner.test_map):
        return [_risk("no_test", "high")]
    gap = winner.val_map - winner.test_map
    if gap <= 0:
        return []
    return [_risk("gap", "medium" if gap > 0.1 * max(winner.val_map, 1e-9) else "low", gap=gap)]


STEPS: dict[str, tuple[Horizon, str]] = {
    "small_split": ("short", "step_more_images"),
    "resolution": ("medium", "step_resolution"),
    "one_seed": ("short", "step_seeds"),
    "no_test": ("short", "step_test"),
    "no_latency": ("short", "step_benchmark"),
    "no_p99": ("short", "step_benchmark"),
    "noisy": ("short", "step_benchmark"),
    "noisy_choice": ("short", "step_benchmark"),
    "disturbed": ("short", "step_benchmark"),
    "failed_trials": ("short", "step_failures"),
    "unconverged": ("medium", "step_epochs"),
    "edge": ("medium", "step_space"),
    "scratch": ("medium", "step_pretrained"),
    "skipped": ("medium", "step_engines"),
    "data_warnings": ("medium", "step_data"),
    "export_loss": ("medium", "step_export"),
    "gap": ("long", "step_drift"),
    "licence": ("long", "step_licence"),
    "licence_unknown": ("short", "step_licence_unknown"),
}


def _first_steps(decision: Decision, judged: Verdict, found: set[str]) -> list[Step]:
    """What the verdict itself asks for; what detects nothing asks for another training before anything else."""
    sweep = decision.saved.sweep.sweep
    if "unlearnt" not in found:
        key = {"approve": "step_ship", "conditional": "step_conditions", "reject": "step_reject"}[judged.word]
        return [Step("short", note(key, sweep=sweep))]
    chosen = decision.recommended.configuration if decision.recommended else decision.finished[0]
    dataset = chosen.trials[0].dataset
    epochs = epochs_of(chosen)
    notes = [note("step_learn_epochs", epochs=epochs, more=max(LEARNING_EPOCHS, MORE_EPOCHS * epochs), sweep=sweep)]
    if from_scratch(chosen):
        notes.append(note("step_learn_pretrained"))
    notes.append(note("step_learn_data", n=dataset.split_sizes.get("train") if dataset else None))
    return [Step("short", n) for n in notes]


def next_steps(decision: Decision, judged: Verdict, found: list[Risk]) -> list[Step]:
    """What to do next, each step once, derived from the verdict and the risks."""
    steps = _first_steps(decision, judged, {r.key for r in found})
    for risk in found:
        if risk.key == "resolution" and any(r.key == "small_split" for r in found):
            continue  # the step that enlarges both splits is there already
        if risk.key in STEPS and (risk.level != "low" or risk.key not in ("export_loss", "gap", "resolution")):
            horizon, key = STEPS[risk.key]
            step = Step(horizon, note(key, **risk.evidence.values))
            if all(step.what.key != s.what.key for s in steps):
                steps.append(step)
    if questions := open_questions(decision):
        steps.append(Step("short", note("step_open", n=len(questions))))
    steps.append(Step("long", note("step_monitor")))
    horizons = ("short", "medium", "long")
    return sorted(steps, key=lambda s: horizons.index(s.horizon))
