"""Page one: which model ships, how the three candidates that matter compare, what is open, what would change it."""

from __future__ import annotations

import math

from src.decide.candidates import MAP, Candidate
from src.decide.choice import Decision
from src.decide.configurations import Configuration
from src.decide.licence import licence_of
from src.decide.machines import device_name
from src.decide.notes import Note, note
from src.decide.open_questions import OpenQuestion, open_questions
from src.decide.sensitivity import Outcome
from src.decide.signal import chosen_configuration
from src.decide.speed import compare_speed
from src.decide.verdict import Verdict
from src.report.headline import Row, headline, held_against_another, same_weights
from src.report.markdown import Raw, code, table
from src.report.names import short
from src.report.section import Section, runs

MOST_OPEN = 5  # questions that page one lists


class PageOne(Section):
    """What stands above the six sections."""

    def sentence(self, judged: Verdict) -> Raw:
        """The verdict, and which model ships where with what accuracy and latency."""
        winner, chosen = self.decision.recommended, chosen_configuration(self.decision)
        if judged.word == "reject" or winner is None:
            told = " ".join(self.say(n) for n in judged.reasons)
            if chosen is None or judged.word == "reject":
                return Raw(told)
            return Raw(f"{told} {self.say('page_trained', label=short(chosen))}")
        key = "page_ship" if judged.word == "approve" else "page_ship_if"
        settings = self.decision.settings
        scope = note(f"scope_{settings.scope}")
        where = self.say(key, label=short(winner), scope=scope, batch=settings.batch)
        return Raw(f"{where} {self._accuracy(winner)} {self._latency(winner)}{self._device(winner)}")

    def _device(self, winner: Candidate) -> str:
        """Which machine the cost is that of, where it isn't the sweep's."""
        device = device_name(self.decision.settings)
        return f" {self.say('page_device', device=device)}" if device is not None and winner.measured else ""

    def _accuracy(self, winner: Candidate) -> Raw:
        depth = winner.best.test_depth
        if depth and math.isfinite(low := depth.intervals.get(MAP, [math.nan])[0]):
            return self.say("page_test_interval", value=depth.figures[MAP], low=low, high=depth.intervals[MAP][1])
        if depth and depth.interval_note:
            why = self.words.say("quoted", text=depth.interval_note)
            return self.say("page_test_bare", value=depth.figures[MAP], why=why)
        if math.isfinite(winner.best.test_map):
            return self.say("page_test", value=winner.best.test_map)
        return self.say("page_no_test")

    def _latency(self, winner: Candidate) -> Raw:
        name = self.decision.statistic
        if not winner.measured:
            return self.say("page_no_latency")
        value = winner.latency[name]
        if name not in winner.latency_interval:
            return self.say("page_latency", statistic=name, value=value)
        low, high = winner.latency_interval[name]
        return self.say("page_latency_interval", statistic=name, value=value, low=low, high=high)

    def rows(self) -> Raw:
        """The three rows; "" without anything feasible."""
        found = headline(self.decision)
        ratio = "ratio_all" if self.decision.shared else "ratio"
        names = ("candidate", "below_val", "below_test", ratio, "size", "licence", "runs")
        columns = [Raw(" "), *[self.say(f"col_{n}", statistic=self.decision.statistic) for n in names]]
        return table(columns, [self._row(r) for r in found]) if found else Raw("")

    def _row(self, r: Row) -> list[object]:
        c = r.candidate
        return [
            self.say(self.role(r), limits=self.refusal(c)),
            short(c),
            self._val(r),
            self.bounded(r.test) if r.test else Raw("—"),
            self.ratio(c),
            self.number(c.size_mb, 1),
            licence_of(c) or self.say("not_established"),
            runs([e.trial for e in c.evidence]),
        ]

    def role(self, r: Row) -> str:
        """The key of the word for what a row is."""
        if r.role != "refused":
            return f"role_{r.role}"
        status = r.comparison.deficit.status if r.comparison else "limits"
        return f"role_{status}"

    def _val(self, r: Row) -> Raw:
        if r.candidate is self.decision.best:
            return self.say("is_best")
        if r.comparison is None:
            return Raw("—")
        star = "\\*" if held_against_another(r.comparison, self.decision) else ""
        return Raw(self.below(r.comparison) + star)

    def ratio(self, c: Candidate) -> Raw:
        """Latency as a multiple of the recommended one's."""
        chosen = self.decision.recommended
        found = compare_speed(*self.decision.sides(c, chosen)) if chosen else None
        if c is chosen and c.measured:
            return Raw("1")
        if found is None:
            return self.say("not_established")
        return self.within(found.ratio, found.low, found.high, 2)

    def reading(self) -> list[Raw]:
        """How the table is to be read."""
        found, settings = headline(self.decision), self.decision.settings
        if not found:
            return []
        lines: list[Note] = []
        compared = [r.comparison for r in found if r.comparison]
        if not all(same_weights(c) for c in compared):
            values = {"margin": settings.margin, "percent": 100 * settings.confidence, "n": self.decision.rivals}
            lines.append(note("reading" if self.decision.rivals > 1 else "reading_one", **values))
        others = [c for c in compared if held_against_another(c, self.decision)]
        if others:
            lines.append(note("reading_rival", label=short(others[0].rival.configuration)))
        return [self.say(n) for n in lines]

    def open(self) -> list[Raw]:
        """Every open question with what would settle it."""
        found = open_questions(self.decision)
        lines = [self._question(q) for q in found[:MOST_OPEN]]
        if len(found) > MOST_OPEN:
            lines.append(self.say("open_more", n=len(found) - MOST_OPEN))
        return lines

    def _question(self, q: OpenQuestion) -> Raw:
        shown = q.candidate in [r.candidate for r in headline(self.decision)]
        if shown:
            told = self.say("open_above", label=short(q.candidate))
        else:
            gap, ratio = self.below(q.comparison), self.ratio(q.candidate)
            told = self.say("open_figures", label=short(q.candidate), gap=gap, ratio=ratio)
        return Raw(f"{told} {self.say(self.settled(q))}")

    def settled(self, q: OpenQuestion) -> Note:
        """At what evidence the bound would fall on one side of the margin, if the means stayed where they are."""
        if not q.faster:
            return note("settled_speed")
        if q.seeds is not None and q.images is not None:
            return note("settled_either", seeds=q.seeds, images=q.images)
        if q.seeds is not None:
            return note("settled_seeds", seeds=q.seeds)
        if q.images is not None:
            return note("settled_images", images=q.images)
        if not math.isfinite(q.comparison.deficit.high):
            return note("settled_evaluate", sweep=self.decision.saved.sweep.sweep)
        return note("settled_neither")

    def command(self) -> Raw:
        """The command that goes on until the open questions are settled; "" where more seeds settle none."""
        found = settling_command(self.decision, open_questions(self.decision))
        return code(found) if found else Raw("")

    def changes(self, outcomes: list[Outcome]) -> list[Raw]:
        """What would change the choice, each case with what would then be chosen."""
        changed = [o for o in outcomes if o.changed]
        lines = [
            self.say("change_to", case=o.scenario, label=short(o.recommended))
            if o.recommended
            else self.say("change_to_nothing", case=o.scenario)
            for o in changed
        ]
        if not outcomes:
            return []
        return lines or [self.say("change_none", n=len(outcomes))]


def settling_command(decision: Decision, questions: list[OpenQuestion]) -> str | None:
    """The sweep's command with the keys that go on until the decision is settled; None where seeds settle nothing.

    Nor is there one after a bound was spent: raising it would test again what was tested at the full level.
    """
    if decision.saved.sweep.looks:
        return None
    wanted = [_missing(q) for q in questions if q.seeds is not None and q.faster]
    if not wanted:
        return None
    most = len(decision.saved.trials) + max(wanted)
    return f"{decision.saved.sweep.command} study.until=decided study.max_trainings={most}"


def _missing(q: OpenQuestion) -> int:
    """Trainings that the two configurations lack to the seeds that would do."""
    pair: list[Configuration] = [q.comparison.rival.configuration, q.candidate.configuration]
    return sum(max(0, (q.seeds or 0) - len(c.trials)) for c in pair)
