"""Who is on a trial is judged without trusting any clock but one's own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from src.sweeper.lease import FIRST_S, LEASE_S, Lease, Sightings


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def far(seconds: float = 90.0) -> Lease:
    """A lease of another machine's worker."""
    return replace(Lease.own(), host="elsewhere", boot="another", expires=seconds)


def test_a_near_worker_is_judged_by_its_process() -> None:
    assert Sightings().held(1, Lease.own())
    assert not Sightings().held(1, replace(Lease.own(), started=1))


@pytest.mark.parametrize("offset", [-1e6, 0.0, 1e6], ids=["clock behind", "same", "clock ahead"])
def test_a_worker_elsewhere_is_alive_while_its_lease_changes_whatever_its_clock_says(
    clock: Clock, offset: float
) -> None:
    sightings = Sightings(clock)
    for renewal in range(5):
        assert sightings.held(1, far(offset + renewal))
        clock.now += LEASE_S - 1
    last = far(offset + 100)
    assert sightings.held(1, last)
    clock.now += LEASE_S - 1
    assert sightings.held(1, last)
    clock.now += 2
    assert not sightings.held(1, last), "renewed no more"
    assert sightings.held(2, last), "another trial is seen for the first time"


def test_a_trial_without_a_lease_is_left_alone_for_a_moment_only(clock: Clock) -> None:
    sightings = Sightings(clock)
    assert sightings.held(1, None)
    clock.now += FIRST_S - 1
    assert sightings.held(1, None)
    clock.now += 2
    assert not sightings.held(1, None)
