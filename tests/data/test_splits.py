"""Stratified splits: sizes, balance, and that nothing but names, classes and the seed decides."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.data.splits import stratify, take

SHARES = [0.7, 0.15, 0.15]


@given(st.lists(st.sets(st.integers(0, 6)), min_size=3, max_size=60), st.integers(0, 2**32))
def test_sizes_follow_the_shares(classes: list[set[int]], seed: int) -> None:
    names = [f"{i:03d}" for i in range(len(classes))]
    parts = stratify(names, classes, SHARES, seed)
    sizes = np.bincount(parts, minlength=3)
    assert sizes.sum() == len(classes)
    assert (abs(sizes - np.array(SHARES) * len(classes)) <= 1.5).all()
    assert sizes.min() >= 1


@given(st.permutations(list(range(20))), st.integers(0, 5))
def test_order_does_not_matter(order: list[int], seed: int) -> None:
    classes = [{i % 3, i % 5} for i in range(20)]
    names = [f"{i:03d}" for i in range(20)]
    plain = stratify(names, classes, SHARES, seed)
    shuffled = stratify([names[i] for i in order], [classes[i] for i in order], SHARES, seed)
    assert [plain[i] for i in order] == shuffled


def test_rare_classes_reach_every_part() -> None:
    classes = [{0} | ({1} if i % 20 == 0 else set()) for i in range(200)]
    parts = np.array(stratify([str(i) for i in range(200)], classes, SHARES, 0))
    rare = np.bincount(parts[[1 in c for c in classes]], minlength=3)
    assert rare.tolist() in ([7, 2, 1], [7, 1, 2], [6, 2, 2])


def test_seed_decides() -> None:
    names, classes = [str(i) for i in range(50)], [{i % 4} for i in range(50)]
    assert stratify(names, classes, SHARES, 1) == stratify(names, classes, SHARES, 1)
    assert stratify(names, classes, SHARES, 1) != stratify(names, classes, SHARES, 2)


@pytest.mark.parametrize(("count", "expected"), [(0, 0), (1, 1), (7, 7), (10, 10), (99, 10)])
def test_take(count: int, expected: int) -> None:
    chosen = take([str(i) for i in range(10)], [{i % 2} for i in range(10)], count, 0)
    assert len(set(chosen)) == expected
