"""Windows against the reference: few false alarms, as promised, and real changes within two windows."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from src.monitor.drift import DAY, compare, count_of_tests, level_of
from src.monitor.profile import Promise
from src.monitor.settings import MonitorConfig
from src.monitor.windows import Windows, windows_of
from tests.monitor.worlds import PROMISED, World, drifted, profile

SETTINGS = MonitorConfig(window_s=60, window_images=60)
PLANTED = {
    "brightness": World(brighter=40),
    "sharpness": World(blur=0.4),
    "class:0": World(shares=(0.0, 0.4, 0.3, 0.1)),
    "class:3": World(shares=(0.5, 0.4, 0.3, 0.6)),
    "latency_ms": World(slower=1.5),
}


@pytest.mark.parametrize("what", PLANTED)
@pytest.mark.parametrize("seed", range(3))
def test_a_change_is_reported_within_two_windows(what: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference = profile(rng)
    found = [compare(reference, w, 1.0) for w in windows_of(PLANTED[what].images(rng, 121), SETTINGS)]
    assert len(found) == 2
    assert what in drifted(found[0].drifted + found[1].drifted)


def test_what_did_not_change_is_not_reported() -> None:
    rng = np.random.default_rng(4)
    reference = profile(rng)
    found = [compare(reference, w, 1.0) for w in windows_of(World(brighter=60).images(rng, 600), SETTINGS)]
    assert {what for c in found for what in drifted(c.drifted)} == {"brightness"}


def test_the_level_is_the_windows_share_of_the_promise() -> None:
    reference = profile(np.random.default_rng(0))
    assert count_of_tests(reference) == 8 + 4 + 1
    assert count_of_tests(replace(reference, promise=Promise())) == 8 + 4
    assert level_of(DAY / 10, 2.0, 20) == pytest.approx(0.01)
    assert level_of(100 * DAY, 1.0, 20) == 0.05
    assert sum(13 * level_of(DAY / 144, 1.0, 13) for _ in range(144)) == pytest.approx(1.0)


@pytest.mark.parametrize("promise", [{"statistic": "mean"}, {"scope": "model_only"}, {"latency_ms": math.nan}])
def test_latency_counts_only_where_a_quantile_of_whole_answers_was_promised(promise: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    reference = replace(profile(rng), promise=replace(PROMISED, **promise))
    window = next(windows_of(World(slower=9).images(rng, 61), SETTINGS))
    assert drifted(compare(reference, window, 1.0).drifted) == []


def test_windows_last_so_long_and_have_so_many() -> None:
    rng = np.random.default_rng(0)
    slow = list(windows_of(World(rate=0.1).images(rng, 121), SETTINGS))
    assert [(w.images, w.duration) for w in slow] == [(60, 600.0), (60, 600.0)]
    busy = list(windows_of(World(rate=10).images(rng, 1500), replace(SETTINGS, most_images=100)))
    assert [(w.images, w.duration, len(w.observed)) for w in busy[:2]] == [(600, 60.0, 100)] * 2
    assert sum(w.images for w in busy) == 1500
    few = Windows(SETTINGS)
    assert [few.add(o) for o in World().images(rng, 59)] == [None] * 59
    assert few.rest() is None


@pytest.mark.parametrize("jump", [-3.2e7, -600.0, 3.2e7])
def test_a_clock_that_is_set_neither_stops_windows_nor_makes_them_long(jump: float) -> None:
    rng, windows = np.random.default_rng(0), Windows(SETTINGS)
    before, after = World().images(rng, 100, 5e7), World().images(rng, 200, 5e7 + 100 + jump)
    found = [w for o in [*before, *after] if (w := windows.add(o))]
    assert len(found) == 4, "300 s of a picture a second, and windows of a minute"
    assert all(0 < w.duration <= 86_400 + 60 for w in found)
    assert sum(w.images for w in found) >= 240


def test_the_sample_of_a_window_is_even() -> None:
    window = next(
        windows_of(World(rate=100).images(np.random.default_rng(0), 6001), replace(SETTINGS, most_images=1000))
    )
    assert np.mean([o.when for o in window.observed]) == pytest.approx(30, abs=2)


@pytest.mark.slow
@pytest.mark.parametrize("per_day", [1.0, 20.0])
def test_1000_windows_without_a_change_raise_no_more_alarms_than_promised(per_day: float) -> None:
    """Windows of an hour, 50 references: a promise of per_day / 24 a window, over all tests."""
    rng = np.random.default_rng(7)
    settings = MonitorConfig(window_s=3600, window_images=60)
    alarms = windows = 0
    for _ in range(50):
        reference = profile(rng, 300)
        quiet = World(rate=60 / 3600).images(rng, 20 * 60 + 1)
        compared = [compare(reference, w, per_day) for w in windows_of(quiet, settings)]
        windows += len(compared)
        alarms += sum(len(c.drifted) for c in compared)
    promised = per_day / 24 * windows
    assert windows == 1000
    assert promised / 4 < alarms <= promised
    assert math.isclose(promised, per_day * 1000 / 24)
