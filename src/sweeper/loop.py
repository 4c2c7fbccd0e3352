"""The loop of one worker: take a slot, run it, tell what it was worth; go on until every slot of the study is finished.

Several workers run this loop on one study without knowing of each other. It holds no torch: `run` does the work.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from src.sweeper.lease import RENEW_S, Renewal
from src.sweeper.study import Cell, Study

IDLE_S = 1.0  # between looks at a study whose last slots are with other workers


@dataclass(frozen=True)
class Outcome:
    """What running a cell gave.

    Attributes:
        values: one per objective; none at all when the cell failed.
        pruned: it was given up, or refused before it was trained.
        paused: what it is worth at its rung; None when it is not paused.
        constraints: name -> by how much it is broken; at most 0 when it is kept.
    """

    values: Sequence[float] = ()
    pruned: bool = False
    paused: float | None = None
    constraints: Mapping[str, float] = field(default_factory=dict)


def work(
    study: Study,
    run: Callable[[Cell], Outcome],
    *,
    on_lost: Callable[[int], None] = lambda slot: None,
    on_given_up: Callable[[int], None] = lambda slot: None,
    idle: Callable[[float], None] = time.sleep,
    renew_s: float = RENEW_S,
) -> int:
    """Work on a study until nothing of it is left, and return the number of cells that this worker ran.

    Args:
        study: laid out.
        run: runs one cell; what it raises gives the cell back and ends the loop.
        on_lost: told of slots whose workers died too often.
        on_given_up: told of paused slots that won't go on, before they are ended.
        idle: waits, while other workers hold the last slots.
        renew_s: seconds between renewals of the lease.
    """
    ran = 0
    for slot in study.died():
        on_lost(slot)
    looked = -math.inf
    while True:
        if time.monotonic() - looked >= IDLE_S:  # looking through a long study before every short trial would add up
            for slot in study.reap():
                on_lost(slot)
            looked = time.monotonic()
        cell = study.claim()
        if cell is None:
            study.give_up(on_given_up)
            if not study.unfinished():
                return ran
            idle(IDLE_S)
            looked = -math.inf
            continue
        _run_one(study, cell, run, renew_s)
        ran += 1


def _run_one(study: Study, cell: Cell, run: Callable[[Cell], Outcome], renew_s: float) -> None:
    try:
        with Renewal(lambda lease: study.renew(cell, lease), renew_s):
            outcome = run(cell)
    except BaseException:
        study.release(cell)
        raise
    if outcome.paused is not None:
        study.pause(cell, outcome.paused)
        return
    study.tell(cell, outcome.values, pruned=outcome.pruned, constraints=outcome.constraints)
