"""Cuts a stream of observations into windows: each lasts at least so long and has at least so many images."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from src.monitor.drift import Window
from src.monitor.features import Observation
from src.monitor.settings import MonitorConfig

SLACK_S = 1.0  # by which observations of several threads may come out of order
MOST_GAP_S = 86_400.0  # that counts of a time without images: a clock that was set may have jumped by years


class Windows:
    """The window that is being filled. Beyond `most_images` it keeps a random sample, by Vitter's reservoir.

    Its length is the sum of the steps of the clock: one that is set back begins no time again, and one that is set
    forward is a gap.
    """

    def __init__(self, settings: MonitorConfig) -> None:
        self._settings = settings
        self._kept: list[Observation] = []
        self._count = 0
        self._lasted = self._last = 0.0
        self._random = random.Random(0)

    def add(self, one: Observation) -> Window | None:
        """Take an observation; the window that ended before it, if one did."""
        self._step(one.when)
        ended = self._ended()
        self._count += 1
        if len(self._kept) < self._settings.most_images:
            self._kept.append(one)
        elif (place := self._random.randrange(self._count)) < len(self._kept):
            self._kept[place] = one
        return ended

    def rest(self) -> Window | None:
        """The window so far, where it has enough images to be held against the reference."""
        return self._window() if self._count >= self._settings.window_images else None

    def _step(self, when: float) -> None:
        if not self._count:
            self._lasted, self._last = 0.0, when
        elif when > self._last or when < self._last - SLACK_S:
            self._lasted += min(max(when - self._last, 0.0), MOST_GAP_S)
            self._last = when

    def _window(self) -> Window:
        return Window(self._last - self._lasted, self._last, tuple(self._kept), self._count)

    def _ended(self) -> Window | None:
        if self._count < self._settings.window_images or self._lasted < self._settings.window_s:
            return None
        window = self._window()
        self._kept, self._count, self._lasted = [], 0, 0.0
        return window


def windows_of(observed: Iterable[Observation], settings: MonitorConfig) -> Iterator[Window]:
    """The windows of observations in order of time; the last one only when it has enough images."""
    windows = Windows(settings)
    for one in observed:
        if ended := windows.add(one):
            yield ended
    if rest := windows.rest():
        yield rest
