"""Which classes the recommended file takes for which: the confusion matrix, misnamed objects and further names."""

from __future__ import annotations

from typing import Any

from src.common.matrix import condensed
from src.records.schema import EvaluationRecord
from src.report.markdown import Raw, escape, table
from src.report.text import Catalogue

MOST_PAIRS = 5
MOST_IN_MATRIX = 10  # classes, those with most mistakes


class Confused:
    """Renders the names of one evaluation in one language."""

    def __init__(self, record: EvaluationRecord | None, words: Catalogue) -> None:
        self.record, self.words = record, words

    def context(self) -> dict[str, Any]:
        """What the template shows; records of earlier versions have no matrix."""
        return {"confusions": self.confusions(), "also_called": self.also_called(), "matrix": self.matrix()}

    def _say(self, key: str, **values: object) -> Raw:
        return escape(self.words.say(key, **values))

    def _pairs(self, key: str, pairs: list[list[Any]]) -> Raw:
        said = [self.words.say(key, true=a, predicted=b, n=n) for a, b, n in pairs[:MOST_PAIRS]]
        return escape("; ".join(said)) if said else self._say("none_confused")

    def confusions(self) -> Raw:
        """Objects that were only misnamed, the most frequent first; earlier records counted boxes too many as well."""
        if self.record is None:
            return self._say("none_confused")
        told = self._pairs("confusion", self.record.confusions)
        if self.record.confusion_matrix or not self.record.confusions:
            return told
        return Raw(f"{told} {self._say('confusions_old', sweep=self.record.sweep)}")

    def also_called(self) -> Raw:
        """Boxes of another class over objects that were found rightly too; "" in records that don't tell them apart."""
        if self.record is None or not self.record.confusion_matrix:
            return Raw("")
        return self._pairs("also_called", self.record.also_called)

    def matrix(self) -> Raw:
        """Objects by class and by what they were called; of many classes those with most mistakes."""
        if self.record is None or not self.record.confusion_matrix:
            return Raw("")
        shown, others, cells = condensed(self.record.confusion_matrix, MOST_IN_MATRIX)
        names: list[object] = [self.record.per_class[c]["name"] for c in shown]
        names += [self._say("others")] if others else []
        rows = [
            [name, *[n or "·" for n in row]]
            for name, row in zip([*names, self._say("error_background")], cells, strict=True)
        ]
        return table([escape(name) for name in (" ", *names, self._say("error_missed"))], rows)
