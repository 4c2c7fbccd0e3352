"""Says once when other processes hold the cores that trainings want.

A library's threads wait for each other at every step, so that one core that is taken slows all of them: trainings with
a thread for each core were up to 30 times slower beside a busy process. Nothing else in the output would tell why.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from src.benchmark.disturbance import Reading, other_load_share, read
from src.machine.abilities import usable_cores

log = logging.getLogger(__name__)

FIRST_S, THEN_S = 10.0, 60.0  # between two looks: soon enough to be of use, and then seldom enough to cost nothing
SHORTEST_S = 2.0  # of a look: what starts beside a training takes a core for a moment
LEAST_CORES, LEAST_SHARE = 0.5, 0.10  # that others hold; below both, a machine is as quiet as machines are
SLACK = 0.25  # cores by which readings err


class Neighbours:
    """Looks at what others take of the cores while something trains, and says it once.

    Args:
        reading: gives the counters of the cores now.
        cores: that this process may use.
        pause: waits so many seconds, or less where the training ended; True then.
    """

    def __init__(
        self,
        reading: Callable[[], Reading | None] | None = None,
        cores: int | None = None,
        pause: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        own = sorted(usable_cores())
        self._reading = reading or (lambda: read(own))
        self._cores, self._pause = cores or len(own), pause
        self._told = False

    @contextmanager
    def watched(self, threads: int, workers: int = 1) -> Iterator[None]:
        """Look from time to time while the block trains.

        Args:
            threads: that its trainings use, all together.
            workers: processes that they are divided among; all descend from this one.
        """
        if self._told:
            yield
            return
        over = threading.Event()
        looking = threading.Thread(target=self._look, args=(over, threads, workers), daemon=True)
        looking.start()
        try:
            yield
        finally:
            over.set()
            looking.join()

    def _look(self, over: threading.Event, threads: int, workers: int) -> None:
        before, delay = self._reading(), FIRST_S
        while not self._told:
            ended = self._pause(over, delay)
            after = self._reading()
            if before is not None and after is not None and after.wall_s - before.wall_s >= SHORTEST_S:
                share = other_load_share(before, after, self._cores)
                if sentence := said(share or 0.0, self._cores, threads, workers):
                    log.warning("%s", sentence)
                    self._told = True
            if ended:
                return
            before, delay = after, THEN_S


def said(share: float, cores: int, threads: int, workers: int = 1) -> str:
    """What is said of others' load; "" where there is room for all.

    Args:
        share: of the cores' time that others had.
        cores: that this process may use.
        threads: that trainings use, all together.
        workers: that these are divided among.
    """
    others, wanted = share * cores, min(threads, cores)
    if others < max(LEAST_CORES, LEAST_SHARE * cores) or wanted + others <= cores + SLACK:
        return ""
    free = max(int(cores - others + SLACK), 1)
    text = f"other processes hold {others:.1f} of the {cores} cores, of which trainings here use {wanted}: "
    text += "sharing cores makes a training many times slower. End them"
    if free >= wanted:
        return f"{text}, or train when they have ended"
    fewer = f"threads={free}" + (f" study.workers={min(workers, free)}" if workers > 1 else "")
    return f"{text}, or leave them their cores with {fewer}"


NEIGHBOURS = Neighbours()  # of this process
