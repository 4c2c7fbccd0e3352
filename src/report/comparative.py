"""The comparative analysis: accuracy by configuration, latency by file and runtime, and what the appendix adds."""

from __future__ import annotations

import math
from typing import Any

from src.decide.candidates import Candidate
from src.decide.choice import Comparison
from src.decide.configurations import Configuration
from src.decide.licence import licence_of
from src.decide.notes import note
from src.report.importance import LEAST_RUNS as LEAST_CONFIGURATIONS
from src.report.markdown import Raw, escape, table
from src.report.names import fitted, short
from src.report.noise import noise_of
from src.report.pros_and_cons import cons, pros, top_three
from src.report.recovery import recoveries, verdict
from src.report.running_costs import RunningCosts
from src.report.searched import LEAST_RUNS, pruned, scored, too_few, varied_keys
from src.report.section import MOST_ROWS, MOST_SHOWN, Section, runs


class Comparative(Section):
    """The third section's tables, and those that the appendix adds to it."""

    def configurations(self, most: int = MOST_SHOWN) -> Raw:
        """Accuracy, once for each training recipe: its mean over seeds and how it stands to the margin."""
        shown = self.decision.configurations[:most]
        rows: list[list[object]] = [
            [
                short(c),
                len(c.trials),
                self.mean(c),
                self._sd(c),
                self.say(f"status_{self._status(c)}"),
                runs(list(c.trials or c.lost)),
            ]
            for c in shown
        ]
        columns = [self.say(f"col_{c}") for c in ("configuration", "seeds", "mean", "sd", "status", "runs")]
        return self.cut(table(columns, rows), len(self.decision.configurations), most)

    def _sd(self, c: Configuration) -> Raw:
        sd = self.number(c.spread.sd, 4)
        return Raw(f"{sd}, {self.say('unstable')}") if self._unstable(c) else sd

    def _unstable(self, c: Configuration) -> bool:
        return c.config_id in self.decision.models and self.decision.models[c.config_id].seeds.unstable

    def unstable(self) -> list[Raw]:
        """A word on configurations whose seeds vary more than the others'."""
        found = [c for c in self.decision.finished if self._unstable(c)]
        return [self.say("unstable_seeds", labels="; ".join(short(c) for c in found[:MOST_SHOWN]))] if found else []

    def _status(self, c: Configuration) -> str:
        """How a configuration's best artifact stands to the margin."""
        if not c.trials:
            return "lost"
        best = self.decision.best
        if best is not None and best.configuration is c:
            return "best"
        if not any(x.configuration is c for x in self.decision.candidates):
            return "unexported"
        judged = [x for x in self.decision.comparisons if x.other.configuration is c]
        return max(judged, key=lambda x: x.other.score.mean).deficit.status if judged else "none"

    def confirmed(self) -> Raw:
        """What fresh seeds made of the configurations that were chosen; "" where none was asked for."""
        found = [c for c in self.decision.configurations if c.selection is not None]
        if not found:
            return Raw("")
        rows: list[list[object]] = [
            [
                short(c),
                self.number(c.selection.mean),
                self.mean(c),
                self.number(c.spread.mean - c.selection.mean, 4),
                runs(list(c.trials)),
            ]
            for c in found[:MOST_ROWS]
            if c.selection is not None
        ]
        columns = [self.say(f"col_{c}") for c in ("configuration", "selection", "confirmation", "difference", "runs")]
        return self.cut(table(columns, rows), len(found), MOST_ROWS)

    def study(self) -> list[Raw]:
        """Which figures of the search there are none of, and why."""
        found = []
        if too_few(self.decision):
            found.append(note("study_too_few", least=LEAST_RUNS, n=len(scored(self.decision))))
        if len(varied_keys(self.decision)) < 2:
            found.append(note("study_few_keys"))
        elif len(self.decision.finished) < LEAST_CONFIGURATIONS:
            found.append(note("study_few_configurations", least=LEAST_CONFIGURATIONS, n=len(self.decision.finished)))
        if not pruned(self.decision):
            found.append(note("study_nothing_pruned"))
        return [self.say(n) for n in found]

    def latencies(self, most: int = MOST_SHOWN) -> Raw:
        """Latency, once for each file and runtime; page one has that of the recommended one."""
        if not self.decision.candidates:
            return self.say("no_candidates")
        others = [c for c in self.decision.candidates if c.measured and c is not self.decision.recommended]
        rows: list[list[object]] = [
            [
                short(c),
                self.latency(c, self.decision.statistic),
                self.say("dominated_no" if c.key in self.decision.pareto else "dominated_yes"),
                self._noise(c),
                runs([e.trial for e in c.evidence]),
                *self._running.cells(c),
            ]
            for c in others[:most]
        ]
        names = ("candidate", "latency", "dominated", "noise", "runs")
        columns = [self.say(f"col_{c}", statistic=self.decision.statistic) for c in names] + self._running.headings()
        return self.cut(table(columns, rows), len(others), most) if rows else Raw("")

    def _noise(self, c: Candidate) -> Raw:
        found = noise_of(c, self.decision.statistic)
        words = [self.say("noise_wide" if math.isfinite(found.width) else "noise_unknown")] if found.wide else []
        if found.disturbed:
            words.append(self.say("noise_disturbed", n=found.disturbed))
        return Raw(", ".join(words) or "—")

    def on_front(self) -> list[Raw]:
        """Whether the recommended candidate is on the Pareto front, and the noise in its latency."""
        c = self.decision.recommended
        if c is None or not c.measured:
            return []
        found = [self.say("front_on" if c.key in self.decision.pareto else "front_off")]
        noise = noise_of(c, self.decision.statistic)
        if noise.wide or noise.disturbed:
            found.append(self.say("front_noise", noise=self._noise(c)))
        return found

    def candidates(self) -> Raw:
        """Every candidate with all its figures: the appendix's table."""
        if not self.decision.candidates:
            return self.say("no_candidates")
        rows: list[list[object]] = [self._row(c) for c in self.decision.candidates[:MOST_ROWS]]
        names = (
            "candidate",
            "val",
            "test",
            "gate",
            "below_val",
            "throughput",
            "memory",
            "size",
            "input",
            "licence",
            "feasible",
            "runs",
        )
        columns = [self.say(f"col_{c}") for c in names] + self._running.headings()
        return self.cut(table(columns, rows), len(self.decision.candidates), MOST_ROWS)

    @property
    def _running(self) -> RunningCosts:
        return RunningCosts(self.decision, self.words)

    def _row(self, c: Candidate) -> list[object]:
        found = self.decision.comparison(c)
        return [
            short(c),
            self.number(c.val_map),
            self.number(c.test_map),
            self.say(f"gate_{c.gate}") if c.gate else "—",
            self._gap(found) if found else "—",
            self.number(c.throughput_ips, 1),
            self.number(c.memory_mb, 1),
            self.number(c.size_mb, 2),
            fitted(c.best.trial, c.best.artifact) or "—",
            licence_of(c) or self.say("not_established"),
            self.say("yes") if c.key in self.decision.feasible else self.say("no_because", limits=self.refusal(c)),
            runs([e.trial for e in c.evidence]),
            *self._running.cells(c),
        ]

    def _gap(self, found: Comparison) -> Raw:
        return self.below(found, "at_most_rival")

    def recovery(self) -> dict[str, Raw]:
        """What quantisation-aware training was worth; empty where there was none."""
        found = recoveries(self.decision.saved)
        if not found:
            return {}
        rows: list[list[object]] = [
            [
                f"{r.target} · {r.runtime}",
                r.split,
                *(self.number(v, 4) for v in (r.before, r.post_training, r.aware, r.lost, r.recovered)),
                self.number(100 * r.share, 0),
                runs([r.trial]),
            ]
            for r in found[:MOST_ROWS]
        ]
        names = ("candidate", "split", "before", "post_training", "aware", "int8_lost", "recovered", "share", "runs")
        key, values = verdict(found)
        columns = [self.say(f"col_{c}") for c in names]
        return {"table": self.cut(table(columns, rows), len(found), MOST_ROWS), "verdict": self.say(key, **values)}

    def top(self) -> list[dict[str, Any]]:
        """The first three candidates with what speaks for and against each."""
        return [
            {
                "label": escape(short(c)),
                "runs": runs([e.trial for e in c.evidence]),
                "pros": [self.say(n) for n in pros(c, self.decision)] or [self.say("none_found")],
                "cons": [self.say(n) for n in cons(c, self.decision, self.below, self.refusal)]
                or [self.say("none_found")],
            }
            for c in top_three(self.decision)
        ]

    def _cons(self, c: Candidate) -> list[Raw]:
        return [self.say(n) for n in cons(c, self.decision, self.below, self.refusal)]
