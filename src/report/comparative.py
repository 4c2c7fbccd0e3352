"""The comparative analysis: configurations, formats and runtimes, and the first three candidates."""

from __future__ import annotations

import math
from typing import Any

from src.decide.candidates import Candidate
from src.decide.configurations import Configuration
from src.decide.limits import broken
from src.decide.notes import note
from src.report.arguments import cons, pros, top_three
from src.report.importance import LEAST_RUNS as LEAST_CONFIGURATIONS
from src.report.markdown import Raw, escape, table
from src.report.part import MOST_ROWS, Part, runs
from src.report.recovery import recoveries, verdict
from src.report.searched import LEAST_RUNS, pruned, scored, too_few, varied_keys


class Comparative(Part):
    """The third section's tables."""

    def configurations(self) -> Raw:
        """Configurations by mean objective."""
        shown = self.ranking.configurations[:MOST_ROWS]
        rows: list[list[object]] = [
            [
                c.label,
                len(c.trials),
                self.interval(c.spread),
                self.number(c.spread.sd, 4),
                self.number(self._test_mean(c)),
                len(c.lost),
                runs(list(c.trials or c.lost)),
            ]
            for c in shown
        ]
        columns = [self.say(f"col_{c}") for c in ("configuration", "seeds", "mean", "sd", "test", "lost", "runs")]
        return self.cut(table(columns, rows), len(self.ranking.configurations))

    def confirmed(self) -> Raw:
        """What fresh seeds made of the configurations that were chosen; "" where none was asked for."""
        found = [c for c in self.ranking.configurations if c.selection is not None]
        if not found:
            return Raw("")
        rows: list[list[object]] = [
            [
                c.label,
                self.interval(c.selection),
                self.interval(c.spread),
                self.number(c.spread.mean - c.selection.mean, 4),
                runs(list(c.trials)),
            ]
            for c in found[:MOST_ROWS]
            if c.selection is not None
        ]
        columns = [self.say(f"col_{c}") for c in ("configuration", "selection", "confirmation", "difference", "runs")]
        return self.cut(table(columns, rows), len(found))

    def _test_mean(self, c: Configuration) -> float:
        finalists = self.ranking.saved.finalists
        found = [finalists[t.trial].test_metrics.get("test/mAP50-95") for t in c.trials if t.trial in finalists]
        values = [v for v in found if v is not None]
        return math.fsum(values) / len(values) if values else math.nan

    def study(self) -> list[Raw]:
        """Which figures of the search there are none of, and why."""
        found = []
        if too_few(self.ranking):
            found.append(note("study_too_few", least=LEAST_RUNS, n=len(scored(self.ranking))))
        if len(varied_keys(self.ranking)) < 2:
            found.append(note("study_few_keys"))
        elif len(self.ranking.finished) < LEAST_CONFIGURATIONS:
            found.append(note("study_few_configurations", least=LEAST_CONFIGURATIONS, n=len(self.ranking.finished)))
        if not pruned(self.ranking):
            found.append(note("study_nothing_pruned"))
        return [self.say(n) for n in found]

    def formats(self) -> Raw:
        """Candidates: configuration x artifact x runtime."""
        if not self.ranking.candidates:
            return self.say("no_candidates")
        rows: list[list[object]] = [self._format_row(c) for c in self.ranking.candidates[:MOST_ROWS]]
        names = (
            "candidate",
            "val",
            "test",
            "gate",
            "latency",
            "throughput",
            "memory",
            "size",
            "feasible",
            "pareto",
            "runs",
        )
        columns = [self.say(f"col_{c}", statistic=self.ranking.statistic) for c in names]
        return self.cut(table(columns, rows), len(self.ranking.candidates))

    def _format_row(self, c: Candidate) -> list[object]:
        r = self.ranking
        lost = ", ".join(broken(c, r.settings))
        verdict = self.say("yes") if c.key in r.feasible else self.say("no_because", limits=lost or "—")
        star = Raw("**") if c is r.recommended else Raw("")
        return [
            Raw(f"{star}{escape(c.label)}{star}"),
            self.number(c.val_map),
            self.number(c.test_map),
            self.say(f"gate_{c.gate}") if c.gate else "—",
            self.latency(c, r.statistic),
            self.number(c.throughput_ips, 1),
            self.number(c.memory_mb, 1),
            self.number(c.size_mb, 2),
            verdict,
            self.say("yes") if c.key in r.pareto else self.say("no"),
            runs([e.trial for e in c.evidence]),
        ]

    def recovery(self) -> dict[str, Raw]:
        """What quantisation-aware training was worth; empty where there was none."""
        found = recoveries(self.ranking.saved)
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
        return {"table": self.cut(table(columns, rows), len(found)), "verdict": self.say(key, **values)}

    def top(self) -> list[dict[str, Any]]:
        """The first three candidates with what speaks for and against each."""
        return [
            {
                "label": escape(c.label),
                "runs": runs([e.trial for e in c.evidence]),
                "pros": [self.say(n) for n in pros(c, self.ranking)] or [self.say("none_found")],
                "cons": [self.say(n) for n in cons(c, self.ranking)] or [self.say("none_found")],
            }
            for c in top_three(self.ranking)
        ]
