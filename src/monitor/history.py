"""The course of a log: every window against the reference, what drifted, since when, by how much, and examples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from src.monitor.drift import Comparison, Finding, Window, compare, mean, values_of
from src.monitor.features import FEATURES, Observation
from src.monitor.profile import Profile
from src.monitor.settings import MonitorConfig
from src.monitor.windows import windows_of

MOST_EXAMPLES = 4
GAP = 1  # quiet windows that do not end a drift: a shift at the edge of what can be seen isn't seen every time


@dataclass(frozen=True)
class Drift:
    """Something that is not as it was on val."""

    what: str
    since: float  # begin of the first window that reported it, in the run that goes on or was the last
    until: float  # end of the last one
    windows: int  # that reported it since then
    now: bool  # the latest window, or the one before, still reports it
    strongest: Finding
    examples: tuple[Observation, ...]


@dataclass(frozen=True)
class Course:
    """A log against its reference."""

    profile: Profile
    settings: MonitorConfig
    images: int
    broken: int  # lines that can't be read
    windows: tuple[Window, ...]
    compared: tuple[Comparison, ...]

    @property
    def promised(self) -> float:
        """False alarms that were to be expected over all windows."""
        tests = len(self.compared[0].findings) if self.compared else 0
        return sum(c.level * tests for c in self.compared)

    @property
    def repeated(self) -> int:
        """Images that look exactly like another one of their window: the same picture again, or a camera that froze."""
        looks = [len({repr(sorted(o.values.items())) for o in w.observed}) for w in self.windows]
        return sum(len(w.observed) for w in self.windows) - sum(looks)

    def column(self, what: str) -> list[Finding]:
        """One test over all windows."""
        return [f for c in self.compared for f in c.findings if f.what == what]

    @property
    def drifts(self) -> list[Drift]:
        """What drifted, what still does first, then by strength."""
        tested = [f.what for f in self.compared[0].findings] if self.compared else []
        found = [d for what in tested if (d := self._drift(what))]
        return sorted(found, key=lambda d: (not d.now, d.strongest.p, d.what))

    def _drift(self, what: str) -> Drift | None:
        column = self.column(what)
        hits = [i for i, f in enumerate(column) if f.drifted]
        if not hits:
            return None
        run = [hits[-1]]
        for i in reversed(hits[:-1]):
            if run[-1] - i > GAP + 1:
                break
            run.append(i)
        strongest = min((column[i] for i in run), key=lambda f: (f.p, -abs(f.size)))
        return Drift(
            what,
            self.compared[run[-1]].begin,
            self.compared[run[0]].end,
            len(run),
            len(column) - 1 - run[0] <= GAP,
            strongest,
            examples(what, strongest, self.windows[run[0]].observed),
        )


def course_of(profile: Profile, observed: Sequence[Observation], settings: MonitorConfig, broken: int = 0) -> Course:
    """Hold a whole log against the reference; observations in order of time."""
    windows = tuple(windows_of(observed, settings))
    compared = tuple(compare(profile, w, settings.false_alarms_per_day) for w in windows)
    return Course(profile, settings, len(observed), broken, windows, compared)


def examples(what: str, finding: Finding, observed: Sequence[Observation]) -> tuple[Observation, ...]:
    """Images that show a drift best: with a picture where there is one, and farthest in its direction."""
    up = finding.window >= finding.reference

    def far(o: Observation) -> float:
        if what.startswith("class:"):
            return float((int(what[6:]) in o.classes) == up)
        value = o.latency_ms if what == "latency_ms" else o.values.get(what, math.nan)
        return -math.inf if math.isnan(value) else value if up else -value

    ordered = sorted(observed, key=lambda o: (far(o), o.when), reverse=True)
    return tuple(sorted(ordered[: 4 * MOST_EXAMPLES], key=lambda o: not o.picture)[:MOST_EXAMPLES])


def sources_of(observed: Sequence[Observation]) -> list[str]:
    """Sources by falling number of images; "" where none was given."""
    counts: dict[str, int] = {}
    for o in observed:
        counts[o.source] = counts.get(o.source, 0) + 1
    return sorted(counts, key=lambda s: (-counts[s], s))


def by_source(observed: Sequence[Observation], source: str) -> dict[str, float]:
    """Means of one source's images, with `images` and `latency_ms`."""
    own = [o for o in observed if o.source == source]
    latency = mean(np.array([o.latency_ms for o in own if math.isfinite(o.latency_ms)]))
    means = {name: mean(values_of(own, name)) for name in FEATURES}
    return {"images": float(len(own)), **means, "latency_ms": latency}
