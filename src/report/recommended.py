"""The recommended model: what it is, its figures with intervals and runs, how it was chosen, what that is worth."""

from __future__ import annotations

import math
from collections.abc import Iterable

from src.console import sparkline
from src.decide.candidates import PERCENTILES, Candidate
from src.decide.notes import Note, note
from src.decide.signal import chosen_configuration
from src.decide.speed import cost
from src.decide.verdict import from_scratch
from src.records import Checkpoint
from src.report.depth import Depth, resolvable
from src.report.markdown import Raw, code, escape, table
from src.report.part import Part, runs

MOST_TRENDS, MOST_EPOCHS = 3, 60
TRENDS = ("val/mAP50-95", "train/box_loss")


class Recommended(Part):
    """The second section."""

    def recommended(self) -> Raw:
        """The configuration and the artifact, with where they are."""
        chosen = chosen_configuration(self.ranking)
        if chosen is None:
            return self.say("nothing_recommended")
        winner = self.ranking.recommended
        rows: list[list[object]] = [
            [self.say("col_model"), f"{chosen.model}, {chosen.imgsz} px, lr {chosen.lr:g}"],
            [self.say("col_seeds"), ", ".join(str(t.seed) for t in chosen.trials)],
            [self.say("col_runs"), runs(list(chosen.trials), most=50)],
        ]
        rows[1:1] = [[code(k), code(v)] for k, v in chosen.extra.items()]
        if winner:
            rows += self._artifact_rows(winner)
        return table([self.say("col_what"), self.say("col_value")], rows)

    def _artifact_rows(self, winner: Candidate) -> list[list[object]]:
        batch = self.ranking.settings.batch
        rows: list[list[object]] = [
            [self.say("col_format"), f"{winner.format}/{winner.precision}"],
            [self.say("col_runtime"), Raw(f"{escape(winner.runtime)}, {self.say('batch_of', n=batch)}")],
        ]
        if artifact := winner.best.artifact:
            rows.append([self.say("fact_artifact"), code(artifact.path)])
            rows.append([self.say("fact_hash"), code(f"sha256:{artifact.sha256}")])
        return rows

    def accuracy(self) -> Raw:
        """The recommended model's figures with intervals and runs."""
        chosen, winner = chosen_configuration(self.ranking), self.ranking.recommended
        if chosen is None:
            return Raw("")
        objective = self.ranking.saved.sweep.objective
        rows: list[list[object]] = [
            [self.say("fig_objective", objective=objective), self.interval(chosen.spread), runs(list(chosen.trials))]
        ]
        if winner:
            mine = runs([e.trial for e in winner.evidence])
            rows += [[label, value, mine] for label, value in self._figures(winner)]
        return table([self.say("col_metric"), self.say("col_value"), self.say("col_runs")], rows)

    def _figures(self, c: Candidate) -> Iterable[tuple[Raw, object]]:
        depth = Depth(self.ranking, self.words)
        val, test = c.best.val_depth, c.best.test_depth
        yield (
            self.say("fig_val", target=f"{c.format}/{c.precision}"),
            depth.interval(val) if val else self.number(c.val_map),
        )
        yield self.say("fig_test"), depth.interval(test) if test else self.number(c.test_map)
        if math.isfinite(smallest := resolvable(self.ranking)[0]):
            yield self.say("fig_resolvable"), self.number(smallest)
        if val:
            yield self.say("fig_threshold"), self.number(val.figures.get("threshold"))
        yield self.say("fig_retention"), self.number(100 * c.retention, 2)
        for name in PERCENTILES:
            if name in c.latency:
                yield self.say("fig_latency", name=name), self.latency(c, name)
        yield self.say("fig_throughput"), self.number(c.throughput_ips, 1)
        yield self.say("fig_memory"), self.number(c.memory_mb, 1)
        yield self.say("fig_size"), self.number(c.size_mb, 2)

    def worth(self) -> list[Raw]:
        """How much the figures are worth, said plainly."""
        chosen = chosen_configuration(self.ranking)
        if chosen is None:
            return []
        dataset = chosen.trials[0].dataset
        checkpoint = chosen.trials[0].checkpoint
        val = dataset.split_sizes.get("val", 0) if dataset else 0
        notes = []
        if checkpoint:
            key = "worth_scratch" if from_scratch(chosen) else "worth_pretrained"
            notes.append(note(key, start=start_of(checkpoint), epochs=checkpoint.epochs))
        if val:
            notes.append(note("worth_val" if val < 100 else "worth_val_large", n=val))
        notes.append(note("worth_seeds" if len(chosen.trials) > 1 else "worth_one_seed", n=len(chosen.trials)))
        return [self.say(n) for n in notes]

    def trends(self) -> Raw:
        """Curves over epochs of the recommended configuration's runs, as small bars."""
        chosen = chosen_configuration(self.ranking)
        if chosen is None:
            return Raw("")
        rows: list[list[object]] = []
        for t in chosen.trials[:MOST_TRENDS]:
            for name in TRENDS:
                values = [row[name] for row in t.history if math.isfinite(row.get(name, math.nan))]
                if len(values) > 1:
                    bars = sparkline(values[-MOST_EPOCHS:])
                    ends = f"{self.number(values[0], 4)} → {self.number(values[-1], 4)}"
                    rows.append([code(name), bars, Raw(ends), runs([t])])
        columns = [self.say(f"col_{c}") for c in ("metric", "trend", "ends", "runs")]
        return table(columns, rows) if rows else Raw("")

    def chosen_by(self) -> list[Raw]:
        """The steps from all candidates to the one."""
        r = self.ranking
        if r.best is None or r.recommended is None:
            return []
        steps = [
            note("chosen_feasible", n=len(r.candidates), k=len(r.feasible)),
            note("chosen_best", label=r.best.label, score=r.best.score.mean),
            note("chosen_within", n=sum(c.within for c in r.comparisons), margin=r.settings.margin),
            note(
                "chosen_cheapest",
                label=r.recommended.label,
                statistic=r.statistic,
                value=cost(r.recommended, r.statistic),
            ),
        ]
        return [self.say(n) for n in steps]


def start_of(checkpoint: Checkpoint) -> Note | str:
    """Where training began, in words; a record of another wording is quoted."""
    kind, _, file = checkpoint.start.partition(":")
    if kind == "pretrained" and file:
        return note("start_pretrained", file=file)
    if checkpoint.start == "scratch":
        return note("start_scratch")
    return note("start_fallback") if checkpoint.start.startswith("scratch (") else checkpoint.start
