"""Tables from the evaluations in depth: intervals over images, errors, classes, confusions."""

from __future__ import annotations

import math
from typing import Any

from src.decide.candidates import MAP, Candidate
from src.decide.choice import Decision
from src.decide.judgement import smallest_difference
from src.records.schema import EvaluationRecord
from src.report.confused import Confused
from src.report.markdown import Raw, escape, table
from src.report.names import short
from src.report.section import Section
from src.report.text import Catalogue

DIGITS = 3  # figures that agree so far are of files that detect the same
MOST = 8  # candidates in one table
MOST_CLASSES = 5  # best and worst
THRESHOLDS = tuple(t / 10 for t in range(1, 10))
ERRORS = ("true_positives", "localisation", "class", "duplicate", "background", "both", "missed")
IGNORED = "ignored"  # detections on regions to ignore, which count neither way


def in_depth(decision: Decision) -> list[Candidate]:
    """Candidates with an evaluation on val, one of those that detect the same; the winner's configuration first."""
    known = [c for c in decision.candidates if c.best.val_depth]
    winner = decision.recommended.configuration.config_id if decision.recommended else ""
    known.sort(key=lambda c: (c is not decision.recommended, c.configuration.config_id != winner))
    first = {_detections(c): c for c in reversed(known)}
    return [c for c in known if first[_detections(c)] is c][:MOST]


def _detections(c: Candidate) -> tuple[str, str]:
    """What is equal for files that detect the same."""
    depth = c.best.val_depth
    if depth is None:
        return c.configuration.config_id, ""
    figures = sorted((name, round(value, DIGITS)) for name, value in depth.figures.items())
    return c.configuration.config_id, repr((figures, sorted(depth.errors.items())))


def kinds_of(c: Candidate, decision: Decision) -> str:
    """The files and runtimes that detect the same as a candidate, itself first."""
    same = [o for o in decision.candidates if o.best.val_depth and _detections(o) == _detections(c)]
    kinds: dict[str, list[str]] = {}
    for o in sorted(same, key=lambda o: o is not c):
        kinds.setdefault(f"{o.format}/{o.precision}", []).append(o.runtime)
    return "; ".join(f"{kind} · {', '.join(runtimes)}" for kind, runtimes in kinds.items())


def resolvable(decision: Decision) -> tuple[float, int]:
    """The smallest difference in mAP50-95 that test resolves for the winner (NaN: unknown), and its images."""
    depth = decision.recommended.best.test_depth if decision.recommended else None
    if depth is None or decision.recommended is None:
        return math.nan, 0
    own = decision.recommended.configuration.config_id
    others = [c.best.test_depth for c in decision.candidates if c.configuration.config_id != own and c.best.test_depth]
    return smallest_difference(depth, others), depth.n_images


def worst_class_loss(c: Candidate, decision: Decision) -> tuple[str, float] | None:
    """The class whose AP50-95 on val suffers most from export, with its loss; None without both evaluations."""
    own, source = c.best.val_depth, _source(c, decision)
    if own is None or source is None or source is own:
        return None
    before = {row["name"]: row["AP50-95"] for row in source.per_class}
    losses = [
        (row["name"], before[row["name"]] - row["AP50-95"])
        for row in own.per_class
        if row["AP50-95"] is not None and before.get(row["name"]) is not None
    ]
    return max(losses, key=lambda pair: pair[1], default=None)


def _source(c: Candidate, decision: Decision) -> EvaluationRecord | None:
    """The evaluation of the PyTorch checkpoint that an artifact was made from."""
    for other in decision.candidates:
        if other.configuration.config_id == c.configuration.config_id and other.format == "pytorch":
            return other.best.val_depth
    return None


class InDepthTables(Section):
    """Renders the evaluations in depth in one language."""

    def __init__(self, decision: Decision, words: Catalogue) -> None:
        super().__init__(decision, words)
        self.chosen = in_depth(decision)

    def context(self) -> dict[str, Any]:
        """What the template shows; empty without evaluations."""
        if not self.chosen:
            return {}
        return {
            "figures": self.figures(),
            "errors": self.errors(),
            "classes": self.classes(),
            "why": self.lacking(),
            **Confused(self.chosen[0].best.val_depth, self.words).context(),
            "operating": self.operating(),
            "by_threshold": self.by_threshold(),
            "subject": escape(short(self.chosen[0].configuration)),
            "run": self._run(self.chosen[0]),
        }

    def _run(self, c: Candidate) -> str:
        return f"T{c.best.trial.trial}" + (f" {c.best.trial.run_id[:8]}" if c.best.trial.run_id else "")

    def _label(self, c: Candidate) -> str:
        return f"{short(c.configuration)} · {kinds_of(c, self.decision)}"

    def interval(self, record: EvaluationRecord | None, name: str = MAP) -> Raw:
        """A figure with its 95 % interval over images."""
        if record is None:
            return Raw("—")
        low, high = record.intervals.get(name, [math.nan, math.nan])
        value = self.number(record.figures.get(name))
        if math.isfinite(low):
            return Raw(f"{value} [{self.number(low)}; {self.number(high)}]")
        return Raw(f"{value} [{self.say('no_interval')}]") if record.interval_note else value

    def lacking(self) -> list[Raw]:
        """Why no interval is claimed, once for every split and reason."""
        depths = [d for c in self.chosen for d in (c.best.val_depth, c.best.test_depth) if d and d.interval_note]
        reasons = dict.fromkeys((d.split, d.interval_note) for d in depths)
        return [
            self.say("no_interval_why", split=split, why=self.words.say("quoted", text=note)) for split, note in reasons
        ]

    def figures(self) -> Raw:
        """A row per candidate."""
        names = ("AR@100", "AP-small", "AP-medium", "AP-large", "threshold", "precision", "recall", "f1", "mean-IoU")
        rows = []
        for c in self.chosen:
            depth = c.best.val_depth
            assert depth is not None
            rows.append(
                [
                    self._label(c),
                    self.interval(depth),
                    self.interval(c.best.test_depth),
                    *[self.number(depth.figures.get(name)) for name in names],
                    self.number(depth.figures.get("detections-per-image"), 1),
                    self._run(c),
                ]
            )
        titles = [self.say("col_candidate"), self.say("col_val_ci"), self.say("col_test_ci")]
        columns = [self.say(f"metric_{name}") if f"metric_{name}" in self.words.sentences else name for name in names]
        return table([*titles, *columns, self.say("col_per_image"), self.say("col_runs")], rows)

    def errors(self) -> Raw:
        """Counts of every kind of error at the best threshold of each candidate."""
        depths = [(c, c.best.val_depth) for c in self.chosen if c.best.val_depth]
        kinds = [*ERRORS, *([IGNORED] if any(d.errors.get(IGNORED) for _, d in depths) else [])]
        rows = [[self._label(c), *[d.errors.get(kind, 0) for kind in kinds], self._run(c)] for c, d in depths]
        return table([self.say("col_candidate"), *[self.say(f"error_{k}") for k in kinds], self.say("col_runs")], rows)

    def operating(self) -> Raw:
        """Precision, recall and F1 at the threshold in use and at the best one."""
        rows = []
        for c in self.chosen:
            f = c.best.val_depth.figures if c.best.val_depth else {}
            at = [f.get(f"{name}@production") for name in ("threshold", "precision", "recall", "f1")]
            best = [f.get(name) for name in ("threshold", "precision", "recall", "f1")]
            rows.append([self._label(c), *[self.number(v) for v in [*at, *best]], self._run(c)])
        words = [self.say("col_threshold_used"), *self._metrics("precision", "recall", "f1")]
        words += [self.say("col_threshold_best"), *self._metrics("precision", "recall", "f1")]
        return table([self.say("col_candidate"), *words, self.say("col_runs")], rows)

    def by_threshold(self) -> Raw:
        """F1 as the confidence threshold moves, a row per artifact: quantising shifts scores."""
        rows = []
        for c in self.chosen:
            curve = c.best.val_depth.curve if c.best.val_depth else []
            near = [min(curve, key=lambda p, t=t: abs(p[0] - t), default=None) for t in THRESHOLDS]  # type: ignore[misc]
            rows.append([self._label(c), *[self.number(p[3] if p else None) for p in near], self._run(c)])
        titles = [Raw(self.words.number(t, 1)) for t in THRESHOLDS]
        return table([self.say("col_candidate"), *titles, self.say("col_runs")], rows)

    def _metrics(self, *names: str) -> list[Raw]:
        return [self.say(f"metric_{n}") if f"metric_{n}" in self.words.sentences else escape(n.upper()) for n in names]

    def classes(self) -> Raw:
        """The worst and the best classes of the first candidate."""
        depth = self.chosen[0].best.val_depth
        assert depth is not None
        known = sorted((row for row in depth.per_class if row["AP50-95"] is not None), key=lambda row: row["AP50-95"])
        shown = known if len(known) <= 2 * MOST_CLASSES else known[:MOST_CLASSES] + known[-MOST_CLASSES:]
        rows = [[row["name"], row["truths"], self.number(row["AP50-95"]), self.number(row["AP50"])] for row in shown]
        return table([self.say("col_class"), self.say("col_objects"), "AP50-95", "AP50"], rows)
