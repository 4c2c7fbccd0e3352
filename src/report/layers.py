"""Where static INT8 loses, layer by layer, and what mixed precision made of it."""

from __future__ import annotations

from src.decide.choice import Decision
from src.records.schema import FinalistRecord, LayerLoss
from src.report.markdown import Raw, code, table
from src.report.section import Section

WORST = 10  # layers in the table


def measured(decision: Decision) -> tuple[FinalistRecord, list[LayerLoss]] | None:
    """The finalist whose layers are told, the recommended one before others, with its layers, the worst first."""
    winner = decision.recommended.best.trial.trial if decision.recommended else -1
    records = sorted(decision.saved.finalists.items(), key=lambda item: (item[0] != winner, item[0]))
    for _, record in records:
        known = [record.layer_losses[a.sha256] for a in record.artifacts if record.layer_losses.get(a.sha256)]
        if known:
            return record, max(known, key=len)
    return None


class Layers(Section):
    """The table of layers and the attempts at mixed precision."""

    def title(self) -> Raw:
        """Which finalist it is about; "" where no layers were measured."""
        found = measured(self.decision)
        return Raw("") if found is None else self.say("layers_intro", trial=f"T{found[0].trial}", n=len(found[1]))

    def table(self) -> Raw:
        """A row for each of the worst layers; "" where none were measured."""
        found = measured(self.decision)
        if found is None:
            return Raw("")
        rows = [
            [i, code(loss.layer), self.number(loss.alone_db, 1), self.number(loss.here_db, 1), loss.weights]
            for i, loss in enumerate(found[1][:WORST], 1)
        ]
        return table([self.say(f"col_{name}") for name in ("rank", "layer", "alone_db", "here_db", "weights")], rows)

    def attempts(self) -> Raw:
        """A row for each attempt of `export.int8.keep=auto`; "" where there was none."""
        rows: list[list[object]] = [
            [
                f"T{number}",
                f"{one.format}/{one.precision}",
                len(one.layers),
                self.number(one.lowest),
                self.number(one.reference_map),
                self.say("layers_taken" if one.taken else "layers_not_enough"),
            ]
            for number, record in sorted(self.decision.saved.finalists.items())
            for one in record.kept_float
        ]
        names = ("runs", "format", "kept_layers", "kept_lowest", "kept_source", "kept_outcome")
        return table([self.say(f"col_{name}") for name in names], rows) if rows else Raw("")
