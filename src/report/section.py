"""What every part of the document shares: the decision, the words of one language, and how cells are written."""

from __future__ import annotations

import math
from typing import Any

from src.decide.candidates import Candidate
from src.decide.choice import Comparison, Decision
from src.decide.configurations import Configuration
from src.decide.limits import limits_of, refusals
from src.decide.machines import device_name
from src.decide.notes import Note
from src.decide.uncertainty import mean_interval
from src.records.schema import TrialRecord
from src.report.headline import Gap, held_against_another, same_weights
from src.report.markdown import Raw, code, escape
from src.report.names import short
from src.report.text import Catalogue

MOST_SHOWN = 8  # rows of a table in the document; the appendix has more
MOST_ROWS = 25  # of a table in the appendix; the CSV files hold everything
MOST_RUNS = 4  # named in one cell


class Section:
    """A part of the document, built from a decision in one language."""

    def __init__(self, decision: Decision, words: Catalogue) -> None:
        self.decision, self.words = decision, words

    def say(self, what: Note | str, /, **values: Any) -> Raw:
        """A sentence of the catalogue, escaped."""
        return escape(self.words.say(what, **values))

    def number(self, value: float | None, digits: int = 3) -> Raw:
        """A number in the document's language."""
        return Raw(self.words.number(value, digits))

    def mean(self, c: Configuration) -> Raw:
        """The mean over a configuration's seeds with its 95 % interval over seeds and images."""
        low, high = interval_of(c, self.decision)
        if not c.trials:
            return Raw("—")
        return self.within(c.spread.mean, low, high)

    def bounded(self, gap: Gap) -> Raw:
        """A difference with the bounds that decide."""
        return self.within(gap.delta, gap.low, gap.high)

    def within(self, value: float, low: float, high: float, digits: int = 3) -> Raw:
        """A figure with its interval, where there is one."""
        if not math.isfinite(high):
            return Raw(f"{self.number(value, digits)} [{self.say('not_established')}]")
        return Raw(f"{self.number(value, digits)} [{self.number(low, digits)}; {self.number(high, digits)}]")

    def below(self, found: Comparison, rival: Note | str = "at_most") -> Raw:
        """How far a candidate lies below the best on val, by the bound that decided.

        Where another configuration than the best bounds it, its lead over that one says nothing of the best: the bound
        alone is given.
        """
        if same_weights(found):
            return self.say("same_weights")
        if held_against_another(found, self.decision) and found.deficit.status != "worse":
            return self.say(rival, high=found.deficit.high, rival=short(found.rival.configuration))
        return self.bounded(Gap.of(found))

    def latency(self, c: Candidate, name: str) -> Raw:
        """A latency in ms with its 95 % interval where there is one."""
        if name not in c.latency:
            return self.number(None)
        return self.within(c.latency[name], *c.latency_interval.get(name, (math.nan, math.nan)), 2)

    def refusal(self, c: Candidate) -> str:
        """Why a candidate can't be recommended: keys of limits, and whether it was measured where that decides."""
        return refusal(c, self.decision, self.words)

    def cut(self, text: Raw, total: int, most: int) -> Raw:
        """A table with a line on the rows that were left out."""
        more = total - most
        key = "more_rows" if most == MOST_ROWS else "more_shown"
        return Raw(f"{text}\n\n{self.say(key, n=more)}") if more > 0 else text


def refusal(c: Candidate, decision: Decision, words: Catalogue) -> str:
    """See `Section.refusal`."""
    device = device_name(decision.settings)
    said = words.say("not_measured_on", device=device) if device else words.say("not_measured")
    found = refusals(c, decision.candidates, decision.settings)
    unknown = {x.key for x in limits_of(c, decision.settings) if x.holds is None}

    def told(key: str) -> str:
        if key == "unmeasured":
            return said
        return f"{key} ({words.say('not_established')})" if key in unknown else key

    return ", ".join(map(told, found)) or "—"


def interval_of(c: Configuration, decision: Decision) -> tuple[float, float]:
    """95 % interval of a configuration's mean over other seeds and other images; NaN when not established."""
    model = decision.models.get(c.config_id)
    return mean_interval(model) if model else (math.nan, math.nan)


def runs(trials: list[TrialRecord], most: int = MOST_RUNS) -> Raw:
    """Trials with the start of their run ids."""
    names = [f"T{t.trial}" + (f" {code(t.run_id[:8])}" if t.run_id else "") for t in trials[:most]]
    return Raw(", ".join(names) + (f" +{len(trials) - most}" if len(trials) > most else "") or "—")
