"""The recommended model: what it is, the figures that page one does not have, and what they are worth."""

from __future__ import annotations

import math
from collections.abc import Iterable

from src.common.history import loss_names
from src.common.sparkline import sparkline
from src.decide.candidates import PERCENTILES, Candidate
from src.decide.notes import Note, note
from src.decide.signal import chosen_configuration
from src.decide.verdict import from_scratch
from src.records.schema import Checkpoint
from src.records.tiling import Tiling, recorded
from src.report.markdown import Raw, code, escape, table
from src.report.running_costs import RunningCosts
from src.report.section import Section, interval_of, runs

MOST_TRENDS, MOST_EPOCHS = 3, 60


class Recommended(Section):
    """The second section."""

    def recommended(self) -> Raw:
        """The configuration, the file that ships, and the figures that page one does not have."""
        chosen, winner = chosen_configuration(self.decision), self.decision.recommended
        if chosen is None:
            return self.say("nothing_recommended")
        rows: list[list[object]] = [
            [self.say("col_configuration"), f"{chosen.model}, {chosen.imgsz} px, lr {chosen.lr:g}"],
        ]
        rows += [[code(k), code(v)] for k, v in chosen.extra.items()]
        if tiling := recorded(chosen.trials[0].config):
            rows.append([self.say("col_tiles"), self._tiles(tiling)])
        rows.append([self.say("col_seeds"), ", ".join(str(t.seed) for t in chosen.trials)])
        if winner:
            rows += self._artifact_rows(winner) + [[label, value] for label, value in self._figures(winner)]
        return table([self.say("col_what"), self.say("col_value")], rows)

    def _tiles(self, tiling: Tiling) -> Raw:
        """How pictures were cut where it was judged and timed: a service without tiles is another model."""
        return self.say("tiles_of", size=tiling.size, overlap=100 * tiling.overlap, merge=tiling.merge)

    def _artifact_rows(self, winner: Candidate) -> list[list[object]]:
        ships = runs([winner.best.trial])
        rows: list[list[object]] = [
            [self.say("fact_ships"), Raw(f"{ships}, {escape(f'{winner.format}/{winner.precision}')}")]
        ]
        if artifact := winner.best.artifact:
            rows.append([self.say("fact_artifact"), code(artifact.path)])
            rows.append([self.say("fact_hash"), code(f"sha256:{artifact.sha256}")])
        return rows

    def _figures(self, c: Candidate) -> Iterable[tuple[Raw, object]]:
        val, retention = c.best.val_depth, 100 * c.retention
        if val:
            yield self.say("fig_threshold"), self.number(val.figures.get("threshold"))
        if c.format != "pytorch" and self.decision.settings.max_export_loss is None:  # else among the limits
            yield self.say("fig_retention"), self.number(retention, 2)
        for name in PERCENTILES:
            if name in c.latency and name != self.decision.statistic and name != "mean":
                yield self.say("fig_latency", name=name), self.latency(c, name)
        yield self.say("fig_throughput"), self.number(c.throughput_ips, 1)
        yield self.say("fig_memory"), self.number(c.memory_mb, 1)
        running = RunningCosts(self.decision, self.words)
        yield from zip(running.headings(), running.cells(c), strict=True)

    def worth(self) -> list[Raw]:
        """How much the figures are worth, said plainly."""
        chosen = chosen_configuration(self.decision)
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
        known = math.isfinite(interval_of(chosen, self.decision)[0])
        notes.append(note("worth_seeds" if known else "worth_one_seed", n=len(chosen.trials)))
        seeds = self.decision.models[chosen.config_id].seeds
        if seeds.source == "prior":
            notes.append(note("worth_prior", sd=seeds.sd))
        if seeds.unstable:
            notes.append(note("worth_unstable"))
        notes.append(note("worth_selection"))
        return [self.say(n) for n in notes]

    def trends(self) -> Raw:
        """Curves over epochs of the recommended configuration's runs, as small bars."""
        chosen = chosen_configuration(self.decision)
        if chosen is None:
            return Raw("")
        rows: list[list[object]] = []
        for t in chosen.trials[:MOST_TRENDS]:
            for name in ("val/mAP50-95", *(loss_names(t.history[0])[:1] if t.history else [])):
                values = [row[name] for row in t.history if math.isfinite(row.get(name, math.nan))]
                if len(values) > 1:
                    bars = sparkline(values[-MOST_EPOCHS:])
                    ends = f"{self.number(values[0], 4)} → {self.number(values[-1], 4)}"
                    rows.append([code(name), bars, Raw(ends), runs([t])])
        columns = [self.say(f"col_{c}") for c in ("metric", "trend", "ends", "runs")]
        return table(columns, rows) if rows else Raw("")


def start_of(checkpoint: Checkpoint) -> Note | str:
    """Where training began, in words; a record of another wording is quoted."""
    kind, _, file = checkpoint.start.partition(":")
    if kind == "pretrained" and file:
        return note("start_pretrained", file=file)
    if checkpoint.start == "scratch":
        return note("start_scratch")
    return note("start_fallback") if checkpoint.start.startswith("scratch (") else checkpoint.start
