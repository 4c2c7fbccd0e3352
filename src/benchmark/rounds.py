"""The rounds of one benchmark: planned ones, blocks that others disturbed again, further ones while it pays and lasts.

A round measures every candidate once, in a new random order. After the planned rounds, further ones follow until the
decisive figure of every candidate is known to within `benchmark.precision`; always whole rounds, so that candidates
stay comparable. Both these and blocks measured again live on `benchmark.extra_seconds`: what a benchmark may take
beyond its plan.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from src.benchmark.disturbance import LIMIT
from src.benchmark.summary import Blocks
from src.common.samples import round_values
from src.common.speed import estimate

MOST_RETAKES = 2  # of one block in one round: what is still there then will stay
FOR_RETAKES = 0.5  # share of the extra time: on a machine that is never quiet, further rounds help more
Answer = dict[str, Any]
Measure = Callable[[Blocks], Optional[Answer]]  # one block; None when the candidate has left the competition
Say = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """How much is measured, and what it is for."""

    rounds: int  # planned
    precision: float  # relative half width of the decisive figure's interval that is aimed at; 0 = whatever comes
    extra_s: float  # for further rounds and for blocks measured again
    statistic: str  # the decisive figure: mean, p50, p90, …
    part: str  # of which part of a block, `scope/batch`


@dataclass
class Rounds:
    """Runs the rounds of competing candidates."""

    blocks: Sequence[Blocks]
    effort: Effort
    measure: Measure
    say: Say
    rng: random.Random
    before_round: Callable[[], None] = lambda: None
    spent_s: float = 0.0  # of the extra time
    _took: list[float] = field(default_factory=list)  # seconds of every block

    def run(self) -> list[Blocks]:
        """Measure; returns the candidates that came through the planned rounds."""
        turn = 0
        while self._alive(turn) and (turn < self.effort.rounds or self._another(turn)):
            self._round(turn)
            turn += 1
        done = [b for b in self.blocks if len(b.answers) >= self.effort.rounds]
        self._conclude(done)
        return done

    def _alive(self, turn: int) -> list[Blocks]:
        return [b for b in self.blocks if len(b.answers) == turn]

    def _round(self, turn: int) -> None:
        alive, before = self._alive(turn), sum(self._took)
        self.rng.shuffle(alive)
        self.before_round()
        where = f"round {turn + 1}/{self.effort.rounds}" if turn < self.effort.rounds else f"further round {turn + 1}"
        for place, block in enumerate(alive):
            self.say(self._line(where, block, len(alive) - place + self._after(turn)))
            if (answer := self._timed(block)) is not None:
                block.answers.append(answer)
        if turn >= self.effort.rounds:
            self.spent_s += sum(self._took) - before
        self._retake([b for b in alive if len(b.answers) > turn and contaminated(b.answers[turn])], turn)

    def _after(self, turn: int) -> int:
        """Blocks of the planned rounds after this one."""
        return max(self.effort.rounds - turn - 1, 0) * sum(len(b.answers) >= turn for b in self.blocks)

    def _timed(self, block: Blocks) -> Answer | None:
        start = time.perf_counter()
        answer = self.measure(block)
        took = time.perf_counter() - start
        if answer is not None:  # one that was kept from before an interruption counts as it did then
            took = answer.setdefault("took_s", took)
        self._took.append(took)
        return answer

    def _retake(self, disturbed: list[Blocks], turn: int) -> None:
        """Measure blocks again that others disturbed, and keep the calmer one of each; the round is still the same."""
        for block in disturbed:
            for _ in range(MOST_RETAKES):
                late = self._block_s() > self.effort.extra_s * FOR_RETAKES - self.spent_s
                if late or not contaminated(block.answers[turn]):
                    break
                share = worst(block.answers[turn])
                self.say(self._line(f"again, others had {share:.0%}", block, 1 + self._after(turn)))
                again = self._timed(block)
                self.spent_s += self._took[-1]
                if again is None:
                    break
                block.retakes += 1
                block.answers[turn] = min(block.answers[turn], again, key=worst)

    def _another(self, turn: int) -> bool:
        """Whether a further round is wanted, and there is time for it."""
        alive = self._alive(turn)
        wanted = any(not precise(b, self.effort) for b in alive)
        return wanted and self._block_s() * len(alive) <= self.effort.extra_s - self.spent_s

    def _block_s(self) -> float:
        """What a block takes, seconds; a benchmark without one wants none again."""
        return sum(self._took) / len(self._took) if self._took else 0.0

    def _line(self, where: str, block: Blocks, left: int) -> str:
        parts = [where, block.label, block.engine_and_file]
        if self._took:
            parts.append(f"{clock(self._block_s() * left)} left")
        return " · ".join(part for part in parts if part)

    def _conclude(self, done: Sequence[Blocks]) -> None:
        """Say what stayed noisy, and that nothing is known about noise where the system doesn't tell."""
        shares = [worst(answer) for block in done for answer in block.answers]
        if done and all(not known(answer) for block in done for answer in block.answers):
            self.say("whether the processor was quiet is not known: this system doesn't tell, or blocks are too short")
        if noisy := sum(share > LIMIT for share in shares):
            self.say(
                f"{noisy} of {len(shares)} blocks stayed disturbed: others had up to {max(shares):.0%} of the cores"
            )
        wide = [block for block in done if self.effort.precision and not precise(block, self.effort)]
        if wide:
            what = f"{self.effort.statistic} of {len(wide)} of {len(done)} candidates"
            self.say(
                f"{what} is not known to within {self.effort.precision:.0%}; benchmark.extra_seconds gives it time"
            )


def known(answer: Answer) -> list[float]:
    """Shares that others had of the cores in use during the parts of a block, where they could be told."""
    parts = (v for k, v in answer.items() if "/" in k)
    return [float(share) for part in parts if (share := part.get("foreign_cpu")) is not None]


def worst(answer: Answer) -> float:
    """The largest of these shares; 0 where none is known."""
    return max(known(answer), default=0.0)


def contaminated(answer: Answer) -> bool:
    """Whether others took more of a block than what goes unnoticed."""
    return worst(answer) > LIMIT


def precise(block: Blocks, effort: Effort) -> bool:
    """Whether the decisive figure of a candidate is known well enough; one without that part has nothing to know."""
    if effort.precision <= 0 or effort.part not in block.parts():
        return True
    values = round_values(block.samples(effort.part)).get(effort.statistic)
    return values is not None and estimate(values).precision <= effort.precision


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
