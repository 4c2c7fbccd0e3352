"""Seeded, class-stratified splits.

Images hold several classes at once, so drawing per class is not possible; this is iterative stratification (Sechidis,
Tsoumakas, Vlahavas 2011): the rarest class left is dealt out first, each image to the part that lacks it most. The
result depends on the names, the classes and the seed alone, not on folder order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def stratify(names: Sequence[str], classes: Sequence[set[int]], shares: Sequence[float], seed: int) -> list[int]:
    """The part that each image belongs to.

    Args:
        names: unique image names; they fix the order that the seed shuffles.
        classes: classes present in each image.
        shares: relative size of each part, above 0.

    Returns:
        A part index per image; part sizes follow the shares to the nearest image.
    """
    count = len(names)
    by_name = sorted(range(count), key=names.__getitem__)
    order = [by_name[i] for i in _permutation(count, seed)]
    sizes = _whole(count, np.asarray(shares, dtype=np.float64))
    room = sizes.copy()
    wanted = _wanted(classes, sizes / max(count, 1))
    part = [-1] * count
    for label in _rarest_first(classes):
        members = [i for i in order if part[i] < 0 and (label in classes[i])]
        for index in members:
            _deal(index, label, part, room, wanted, classes)
    for index in (i for i in order if part[i] < 0):
        _deal(index, None, part, room, wanted, classes)
    return part


def _permutation(count: int, seed: int) -> list[int]:
    order: list[int] = np.random.Generator(np.random.PCG64(seed)).permutation(count).tolist()
    return order


def _whole(count: int, shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Sizes that sum to `count`, by largest remainder; every part gets an image while there are enough."""
    exact = shares / shares.sum() * count
    sizes: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    for i in np.argsort(sizes - exact, kind="stable")[: count - int(sizes.sum())]:
        sizes[i] += 1
    for i in np.flatnonzero(sizes == 0):
        if sizes.max() > 1:
            sizes[int(sizes.argmax())] -= 1
            sizes[i] += 1
    return sizes


def _wanted(classes: Sequence[set[int]], shares: NDArray[np.float64]) -> dict[int, NDArray[np.float64]]:
    counts: dict[int, int] = {}
    for own in classes:
        for label in own:
            counts[label] = counts.get(label, 0) + 1
    return {label: count * shares for label, count in counts.items()}


def _rarest_first(classes: Sequence[set[int]]) -> list[int]:
    counts: dict[int, int] = {}
    for own in classes:
        for label in own:
            counts[label] = counts.get(label, 0) + 1
    return sorted(counts, key=lambda label: (counts[label], label))


def _deal(
    index: int,
    label: int | None,
    part: list[int],
    room: NDArray[np.int64],
    wanted: dict[int, NDArray[np.float64]],
    classes: Sequence[set[int]],
) -> None:
    """Give the image to the part with room that lacks `label` most; ties go to the part with most room."""
    lack = wanted[label] if label is not None else room.astype(np.float64)
    best = max((i for i in range(len(room)) if room[i] > 0), key=lambda i: (lack[i], room[i], -i))
    part[index] = best
    room[best] -= 1
    for own in classes[index]:
        wanted[own][best] -= 1


def take(names: Sequence[str], classes: Sequence[set[int]], count: int, seed: int) -> list[int]:
    """Indices of a stratified part of `count` images, in their original order; all when there are no more."""
    if count >= len(names):
        return list(range(len(names)))
    if count <= 0:
        return []
    parts = stratify(names, classes, [count, len(names) - count], seed)
    return [i for i, part in enumerate(parts) if part == 0]
