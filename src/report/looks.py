"""How the open questions closed: what every look at the growing evidence found (`study.until=decided`)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from src.decide.choice import Decision
from src.report.headline import Gap
from src.report.markdown import Raw, table
from src.report.names import short
from src.report.section import Section

MOST_LINES = 12


@dataclass(frozen=True)
class Asked:
    """A question as one look found it."""

    candidate: str
    rival: str
    gap: Gap
    status: str

    @classmethod
    def of(cls, saved: Mapping[str, Any]) -> Asked:
        """From a look; bounds that are null are not established. What a foreign record lacks reads as unknown."""
        delta, low, high = (_number(saved.get(name)) for name in ("delta", "low", "high"))
        known = math.isfinite(low) and math.isfinite(high)
        gap = Gap(delta, low, high) if known else Gap(delta, -math.inf, math.inf)
        return cls(str(saved.get("candidate", "")), str(saved.get("rival", "")), gap, str(saved.get("status", "open")))


@dataclass(frozen=True)
class Seen:
    """A look."""

    trainings: int
    share: float
    recommended: str
    questions: tuple[Asked, ...]
    stopped: str
    speed: tuple[str, ...] = ()  # candidates whose speed against the recommended one's isn't settled

    @property
    def open(self) -> list[Asked]:
        """What it left open."""
        return [q for q in self.questions if q.status == "open"]

    @property
    def lines(self) -> int:
        """Rows that it takes in a table."""
        return max(1, len(self.questions))

    @property
    def state(self) -> list[tuple[str, str]]:
        """What a later look may change."""
        return [(q.candidate, q.status) for q in self.questions]


def seen(decision: Decision) -> list[Seen]:
    """The looks of a sweep in their order."""
    return [
        Seen(
            _whole(look.get("trainings")),
            _number(look.get("share")),
            str(look.get("recommended", "")),
            tuple(Asked.of(q) for q in look.get("questions", []) if isinstance(q, Mapping)),
            str(look.get("stopped", "")),
            tuple(map(str, look.get("speed", []))),
        )
        for look in decision.saved.sweep.looks
    ]


class Looks(Section):
    """A sentence for page one and a table for the appendix."""

    def sentence(self) -> Raw:
        """How it ended, after how many further trainings, and with what still open; "" without looks."""
        looks = seen(self.decision)
        if not looks:
            return Raw("")
        last, further = looks[-1], looks[-1].trainings - looks[0].trainings
        if last.stopped == "decided" and not further:
            return self.say("closed_at_once")
        key = {
            "decided": "closed_decided",
            "trainings": "closed_trainings",
            "hours": "closed_hours",
            "seeds": "closed_seeds",
            "speed": "closed_speed",
        }
        values = {"open": len(last.open), "total": last.trainings, "speed": ", ".join(map(self.name, last.speed))}
        told = [self.say(key.get(last.stopped, "closed_not_yet"), n=further, **values)]
        if any(q.candidate == last.recommended for q in last.open):
            told.append(self.say("closed_own"))
        return Raw(" ".join(told))

    def table(self) -> Raw:
        """A row for every question of a look; of many looks the first, the last and those that changed something."""
        looks = seen(self.decision)
        kept = shortened(looks)
        columns = [self.say(f"col_{c}") for c in ("trainings", "bound_spent", "question", "difference", "status")]
        text = table(columns, [row for look in kept for row in self._rows(look)])
        more = len(looks) - len(kept)
        told = Raw(f"{text}\n\n{self.say('looks_more', n=more)}") if more else text
        return told if looks else Raw("")

    def _rows(self, look: Seen) -> list[list[object]]:
        head: list[object] = [look.trainings, self.number(100 * look.share, 0)]
        if not look.questions:
            return [[*head, self.say("looks_none"), "—", "—"]]
        return [[*head, self._question(q), self.bounded(q.gap), self._status(q)] for q in look.questions]

    def _status(self, q: Asked) -> Raw:
        return self.say(f"status_{q.status}") if q.status in ("within", "worse") else self.say("status_open")

    def _question(self, q: Asked) -> Raw:
        return self.say("looks_question", candidate=self.name(q.candidate), rival=self.name(q.rival))

    def name(self, label: str) -> str:
        """A saved label with few digits, where its configuration is known."""
        for c in self.decision.configurations:
            if label.startswith(f"{c.label} · "):
                return short(c) + label.removeprefix(c.label)
        return label


def shortened(looks: list[Seen]) -> list[Seen]:
    """All looks where they take few rows; else the first, the last, and as many of the latest changes as fit."""
    if sum(x.lines for x in looks) <= MOST_LINES or len(looks) < 3:
        return looks
    changed = [b for a, b in pairwise(looks[:-1]) if a.state != b.state]
    kept = [looks[0], looks[-1]]
    left = MOST_LINES - sum(x.lines for x in kept)
    for look in reversed(changed):
        left -= look.lines
        if left >= 0:
            kept.append(look)
    return sorted(kept, key=lambda x: x.trainings)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0
