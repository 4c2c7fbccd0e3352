"""What shall strike, and when: plans drawn by a seeded generator over the moments that an undisturbed sweep reached."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.chaos.kill_points import PHASES, Fault

SHARES = {"opening": 2, "trials": 6, "finalists": 4, "report": 2}  # of a sweep's kills, about
SIGNALS = ("SIGKILL", "SIGKILL", "SIGKILL", "SIGTERM", "SIGINT", "SIGINT2")
ONLY_WHOLE = ("benchmark", "predict")  # reached in processes whose death alone is a result, and recorded as one
TORN = "torn"  # only a kill leaves half a line


def census(log: Path) -> dict[str, list[str]]:
    """Moments of every phase, in the order first reached, from a sweep's `moments.log`."""
    phase_of: dict[str, str] = defaultdict(lambda: "")
    found: dict[str, list[str]] = {phase: [] for phase in PHASES}
    current = "opening"
    for line in log.read_text(encoding="utf-8").splitlines():
        pid, _, name = line.partition("\t")
        if name.startswith("phase ") and name.endswith("before"):
            phase_of[pid] = current = name.split()[1]
        phase = phase_of[pid] or current
        if name not in found[phase] and not name.startswith("phase "):
            found[phase].append(name)
    return found


@dataclass
class Planner:
    """Draws faults so that every moment gets its turn before one comes again."""

    seed: int
    kill_points: dict[str, list[str]]
    workers: int
    decks: dict[str, list[str]] = field(default_factory=dict)
    drawn: int = 0

    def __post_init__(self) -> None:
        self.rng = random.Random(f"{self.seed} {self.workers}")

    def sweep(self, kills: int, *, fresh: bool) -> Iterator[Fault]:
        """The faults of one sweep, in the order of its phases.

        Args:
            kills: how many.
            fresh: the sweep makes its database and its dataset itself.
        """
        weights = [SHARES[phase] for phase in PHASES]
        phases = sorted(self.rng.choices(PHASES, weights, k=kills), key=PHASES.index)
        if fresh:
            phases[: min(2, kills)] = ["opening"] * min(2, kills)
        for phase in phases:
            yield self._fault(phase, fresh=fresh)

    def _fault(self, phase: str, *, fresh: bool) -> Fault:
        self.drawn += 1
        moment = "" if phase != "opening" and self.rng.random() < 0.25 else self._moment(phase, fresh=fresh)
        signal = "SIGKILL" if TORN in moment else self.rng.choice(SIGNALS)
        nth = self.rng.choice((1, 1, 2, 3)) if phase == "trials" else 1
        return Fault(self.drawn, phase, moment, nth, self.rng.uniform(0, 1.5), signal, self._scope(phase, moment))

    def _moment(self, phase: str, *, fresh: bool) -> str:
        for _ in range(500):
            deck = self.decks.setdefault(phase, [])
            if not deck:
                deck += self.kill_points[phase]
                self.rng.shuffle(deck)
            name = deck.pop()
            if fresh or phase != "opening" or not _needs_fresh(name):
                return name
        return ""

    def _scope(self, phase: str, moment: str) -> str:
        if moment.startswith(ONLY_WHOLE):
            return self.rng.choice(("main", "all"))
        if self.workers > 1 and phase == "trials" and moment:
            return self.rng.choice(("self", "self", "main", "all"))
        return self.rng.choice(("main", "all"))


def _needs_fresh(name: str) -> bool:
    return name.startswith(("mlflow migration", "mlflow create_experiment")) or (
        name.startswith("write ") and "sweep.json" not in name
    )
