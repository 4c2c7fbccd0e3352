"""The promise, its bounds and the search, on a queue whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from src.loadtest.capacity import SHARE, Step, bounds, capacity_of, next_rate, step_of
from src.loadtest.client import Sent
from src.loadtest.schedule import poisson


def queue(rate: float, seconds: float, service_s: float, seed: int) -> Sent:
    """One server with a constant time of service: waits by Lindley's recursion."""
    due = poisson(rate, seconds, seed)
    latency = np.zeros(len(due))
    free = 0.0
    for number, moment in enumerate(due):
        free = max(free, moment) + service_s
        latency[number] = free - moment
    return Sent(due, latency, np.full(len(due), 200), np.zeros(len(due)))


def test_the_mean_is_that_of_the_closed_form() -> None:
    """M/D/1: D + rho D / (2 (1 - rho)) (Pollaczek and Khinchine)."""
    for rho in (0.3, 0.6, 0.8):
        sent = queue(rho / 0.01, 4000, 0.01, seed=5)
        assert sent.latency.mean() == pytest.approx(0.01 + rho * 0.01 / (2 * (1 - rho)), rel=0.02)


@pytest.mark.parametrize("rate", [30.0, 80.0])
def test_the_bounds_hold_as_often_as_they_say(rate: float) -> None:
    """At a rate where the truth is just 1 %: neither bound excludes it in more than about 5 % of runs."""
    service, seconds, runs = 0.01, 30.0, 150
    promise = float(np.percentile(queue(rate, 8000, service, seed=99).latency, 99))
    wrong_high = wrong_low = 0
    for seed in range(runs):
        sent = queue(rate, seconds, service, seed)
        low, high = bounds(sent.latency > promise, sent.due, sent.latency, seconds)
        wrong_high += high < SHARE
        wrong_low += low > SHARE
    assert wrong_low / runs <= 0.08
    assert wrong_high / runs <= 0.08


def test_the_search_finds_the_highest_rate() -> None:
    service, promise_ms = 0.01, 40.0
    steps: list[Step] = []
    rate: float | None = next_rate([], 1 / service, 1.05)
    while rate is not None:
        sent = queue(rate, 200, service, seed=len(steps))
        steps.append(step_of(rate, sent, promise_ms, 200))
        rate = next_rate(steps, 1 / service, 1.05)
    found = capacity_of(steps)
    kept, broken = 30.0, 100.0  # the queue grows with the rate, so that halving finds where the promise breaks
    while broken - kept > 0.5:
        half = (kept + broken) / 2
        holds = np.percentile(queue(half, 5000, service, 7).latency, 99) * 1000 <= promise_ms
        kept, broken = (half, broken) if holds else (kept, half)
    truth = kept
    assert found.rate == pytest.approx(truth, rel=0.08)
    assert found.low <= truth * 1.03
    assert found.high >= truth * 0.97
    assert len(steps) < 12


def step(rate: float, broken: float, low: float, high: float) -> Step:
    return Step(rate, 100, 0, 1.0, 2.0, broken, low, high, False)


def test_a_rate_kept_by_luck_above_a_broken_one_does_not_count() -> None:
    steps = [step(10, 0, 0, 0.005), step(20, 0.02, 0.005, 0.04), step(30, 0.0, 0, 0.03), step(40, 0.5, 0.3, 0.7)]
    found = capacity_of(steps)
    assert (found.rate, found.low, found.high) == (10, 10, 40)
    assert found.replicas(25) == 3


def test_nothing_kept_is_no_capacity() -> None:
    found = capacity_of([step(10, 1.0, 1.0, 1.0)])
    assert (found.rate, found.low, found.high) == (0, 0, 10)
    assert found.replicas(5) is None
    assert capacity_of([step(10, 0, 0, 0)]).high == math.inf


def test_failures_break_the_promise() -> None:
    due = np.arange(1000) / 100
    status = np.where(np.arange(1000) % 50 == 0, 503, 200)
    seen = step_of(100, Sent(due, np.full(1000, 0.001), status, np.zeros(1000)), 100, 10)
    assert seen.failed == 20
    assert seen.broken == pytest.approx(0.02)
    assert not seen.keeps
    assert seen.low > SHARE


def test_no_breach_among_independent_requests_leaves_the_rule_of_three() -> None:
    latency = np.random.default_rng(1).random(1000)
    low, high = bounds(np.zeros(1000, bool), np.arange(1000) / 100, latency, 10)
    assert low == 0
    assert 0.0029 < high < 0.007


def test_requests_that_wait_together_are_little_evidence() -> None:
    due = np.arange(1000) / 100
    latency = np.sin(due)  # a queue that remembers for seconds
    assert bounds(np.zeros(1000, bool), due, latency, 10)[1] > 0.1
