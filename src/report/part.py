"""What every part of the document shares: the ranking, the words of one language, and how cells are written."""

from __future__ import annotations

import math
from typing import Any

from src.decide.candidates import Candidate
from src.decide.choice import Decision
from src.decide.notes import Note
from src.records import TrialRecord
from src.report.markdown import Raw, code, escape
from src.report.text import Catalogue

MOST_ROWS = 25  # of a table in the document; the CSV files hold everything
MOST_RUNS = 4  # named in one cell


class Part:
    """A part of the document, built from a ranking in one language."""

    def __init__(self, ranking: Decision, words: Catalogue) -> None:
        self.ranking, self.words = ranking, words

    def say(self, what: Note | str, /, **values: Any) -> Raw:
        """A sentence of the catalogue, escaped."""
        return escape(self.words.say(what, **values))

    def number(self, value: float | None, digits: int = 3) -> Raw:
        """A number in the document's language."""
        return Raw(self.words.number(value, digits))

    def interval(self, s: Any) -> Raw:
        """Mean with its 95 % interval where there is one."""
        if not math.isfinite(s.low):
            return self.number(s.mean)
        return Raw(f"{self.number(s.mean)} [{self.number(s.low)}; {self.number(s.high)}]")

    def latency(self, c: Candidate, name: str) -> Raw:
        """A latency in ms with its 95 % interval where there is one."""
        value = self.number(c.latency.get(name), 2)
        if name not in c.latency_interval:
            return value
        low, high = c.latency_interval[name]
        return Raw(f"{value} [{self.number(low, 2)}; {self.number(high, 2)}]")

    def cut(self, text: Raw, total: int) -> Raw:
        """A table with a line on the rows that were left out."""
        more = total - MOST_ROWS
        return Raw(f"{text}\n\n{self.say('more_rows', n=more)}") if more > 0 else text


def runs(trials: list[TrialRecord], most: int = MOST_RUNS) -> Raw:
    """Trials with the start of their run ids."""
    names = [f"T{t.trial}" + (f" {code(t.run_id[:8])}" if t.run_id else "") for t in trials[:most]]
    return Raw(", ".join(names) + (f" +{len(trials) - most}" if len(trials) > most else "") or "—")
