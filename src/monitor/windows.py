"""Cuts a stream of observations into windows: each lasts at least so long and has at least so many images."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from src.monitor.drift import Window
from src.monitor.features import Observation
from src.monitor.settings import MonitorConfig


class Windows:
    """The window that is being filled. Beyond `most_images` it keeps a random sample, by Vitter's reservoir."""

    def __init__(self, settings: MonitorConfig) -> None:
        self._settings = settings
        self._kept: list[Observation] = []
        self._count = 0
        self._begin = self._last = 0.0
        self._random = random.Random(0)

    def add(self, one: Observation) -> Window | None:
        """Take an observation; the window that ended before it, if one did."""
        ended = self._ended(one.when)
        if not self._count:
            self._begin = self._last = one.when
        self._count += 1
        self._last = max(self._last, one.when)
        if len(self._kept) < self._settings.most_images:
            self._kept.append(one)
        elif (place := self._random.randrange(self._count)) < len(self._kept):
            self._kept[place] = one
        return ended

    def rest(self) -> Window | None:
        """The window so far, where it has enough images to be held against the reference."""
        if self._count < self._settings.window_images:
            return None
        return Window(self._begin, self._last, tuple(self._kept), self._count)

    def _ended(self, when: float) -> Window | None:
        if self._count < self._settings.window_images or when - self._begin < self._settings.window_s:
            return None
        window = Window(self._begin, when, tuple(self._kept), self._count)
        self._kept, self._count = [], 0
        return window


def windows_of(observed: Iterable[Observation], settings: MonitorConfig) -> Iterator[Window]:
    """The windows of observations in order of time; the last one only when it has enough images."""
    windows = Windows(settings)
    for one in observed:
        if ended := windows.add(one):
            yield ended
    if rest := windows.rest():
        yield rest
