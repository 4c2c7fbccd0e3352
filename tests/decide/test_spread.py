"""Spreads over seeds: drawn towards each other, upwards only, and unstable configurations named."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.decide.spread import _digamma, common_variance, moderated

scores = st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=5), min_size=1, max_size=6)


@given(scores)
def test_seeds_that_differ_are_never_believed_to_differ_less(groups: list[list[float]]) -> None:
    for group, found in zip(groups, moderated(groups), strict=True):
        if len(group) > 1:
            assert found.sd >= np.std(group, ddof=1) - 1e-12


@given(scores)
def test_no_two_seeds_anywhere_establish_nothing(groups: list[list[float]]) -> None:
    firsts = [g[:1] for g in groups]
    assert all(not s.known and math.isinf(s.variance_of_mean) for s in moderated(firsts))
    stated = moderated(firsts, 0.02)
    assert all((s.sd, s.source) == (0.02, "prior") for s in stated)


def test_a_stated_spread_is_not_used_where_seeds_show_one() -> None:
    assert moderated([[0.5, 0.6], [0.4, 0.41]], 0.0001)[0].source == "seeds"


def test_one_unstable_configuration_does_not_hide_the_others() -> None:
    """The saved sweep's spreads: 0.0135, 0.0137, 0.0013 and 0.059; pooled they are 0.031."""
    groups = [[0.823, 0.842], [0.820, 0.839], [0.8269, 0.8251], [0.735, 0.651]]
    found = moderated(groups)
    assert all(s.sd < 0.02 for s in found[:3])
    assert found[3].sd == pytest.approx(0.0594, abs=1e-3)


def test_what_stands_out_is_called_unstable() -> None:
    steady = [[0.5, 0.51, 0.49, 0.505, 0.495]] * 3
    found = moderated([*steady, [0.3, 0.5, 0.4, 0.6, 0.45]])
    assert [s.unstable for s in found] == [False, False, False, True]
    assert not any(s.unstable for s in moderated([*steady, [0.5, 0.52, 0.48, 0.51, 0.49]]))


def test_equal_scores_are_chance() -> None:
    found = moderated([[0.5, 0.5], [0.4, 0.43], [0.3, 0.33]])
    assert found[0].sd > 0.005


def test_the_common_variance_corrects_logarithms() -> None:
    rng = np.random.default_rng(0)
    own = [(float(np.var(rng.normal(0, 0.02, 3), ddof=1)), 2) for _ in range(4000)]
    assert math.sqrt(common_variance(own)) == pytest.approx(0.02, rel=0.02)


def test_digamma_is_scipys() -> None:
    from scipy.special import digamma

    for x in (0.5, 1.0, 2.5, 40.0):
        assert _digamma(x) == pytest.approx(float(digamma(x)), abs=1e-10)
