"""Exact and near duplicates, found without comparing every image with every other in Python.

Near duplicates (the same picture at another size, quality or brightness) share most of a 64-bit difference hash. If two
hashes differ in at most `MAX_BITS` places, then, cut into `MAX_BITS + 1` bands, at least one band is equal: so only
images that share a band are compared, in numpy (Manku, Jain, Das Sarma 2007). A candidate must then also look the same
in its 16 x 16 grey thumbnail, which keeps flat or similar compositions apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from src.data.scan import THUMB

MAX_BITS = 6  # of 64
MAX_DISTANCE = 0.18  # root mean square between standardised thumbnails; 0 = equal, 1.41 = unrelated
MIN_CONTRAST = 3.0  # grey levels: flatter pictures (blank pages, night sky) have no hash worth comparing
MANY = 64  # images of one hash up to which all are compared; beyond, neighbours only
CHUNK = 1 << 20  # pairs compared at a time

Pairs = NDArray[np.int64]  # [n, 2] indices, first < second


def exact_groups(hashes: Sequence[str]) -> list[list[int]]:
    """Groups of two or more equal hashes, as indices; empty hashes (unreadable files) belong to none."""
    groups: dict[str, list[int]] = {}
    for index, digest in enumerate(hashes):
        if digest:
            groups.setdefault(digest, []).append(index)
    return [group for group in groups.values() if len(group) > 1]


def near_pairs(thumbs: NDArray[np.uint8]) -> Pairs:
    """Pairs of images that look the same.

    Args:
        thumbs: grey thumbnails [n, THUMB * THUMB].
    """
    levels = thumbs.astype(np.float32)
    usable = np.flatnonzero(levels.std(1) > MIN_CONTRAST)
    hashes, slots = np.unique(difference_hash(thumbs[usable]), return_inverse=True)
    pairs = _expand(_close(hashes), slots, usable)
    return _alike(pairs, levels)


def difference_hash(thumbs: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """64-bit difference hash: is each cell of an 8 x 9 grid brighter than its right neighbour (Krawetz 2013)."""
    grid = thumbs.reshape(-1, THUMB, THUMB).astype(np.float32)
    rows = grid.reshape(-1, 8, THUMB // 8, THUMB).mean(2)
    at = np.linspace(0, THUMB - 1, 9)
    left = np.floor(at).astype(int)
    share = (at - left).astype(np.float32)
    right = np.minimum(left + 1, THUMB - 1)
    columns = rows[:, :, left] * (1 - share) + rows[:, :, right] * share
    bits = (columns[:, :, :-1] > columns[:, :, 1:]).reshape(-1, 64)
    return np.packbits(bits, axis=1).view(">u8").astype(np.uint64).reshape(-1)


def _close(hashes: NDArray[np.uint64]) -> Pairs:
    """Pairs of different hashes within MAX_BITS of each other."""
    edges = np.linspace(0, 64, MAX_BITS + 2).round().astype(np.uint64)
    found = [np.zeros((0, 2), np.int64)]
    for low, high in pairwise(edges):
        band = (hashes >> low) & ((np.uint64(1) << (high - low)) - np.uint64(1))
        for pairs in _pairs_within(band):
            distance = np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]])
            found.append(pairs[distance <= MAX_BITS])
    return np.unique(np.concatenate(found), axis=0)


def _pairs_within(keys: NDArray[np.uint64]) -> Iterator[Pairs]:
    """All pairs of positions with equal keys, in chunks of bounded size."""
    order = np.argsort(keys, kind="stable")
    _, starts, sizes = np.unique(keys[order], return_index=True, return_counts=True)
    # Step k pairs each position with the k-th after it in its group: whole-array arithmetic, no loop over images.
    left = sizes.repeat(sizes) - (np.arange(len(keys)) - starts.repeat(sizes))
    held: list[Pairs] = []
    for step in range(1, int(sizes.max(initial=1))):
        first = np.flatnonzero(left > step)
        held.append(np.sort(np.column_stack([order[first], order[first + step]]), axis=1))
        if sum(map(len, held)) >= CHUNK:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)


def _expand(close: Pairs, slots: NDArray[np.int64], usable: NDArray[np.int64]) -> Pairs:
    """Pairs of distinct hashes, and of images that share one, as pairs of images."""
    members: list[list[int]] = [[] for _ in range(int(slots.max(initial=-1)) + 1)]
    for image, slot in zip(usable.tolist(), slots.tolist(), strict=True):
        members[slot].append(image)
    pairs = [pair for own in members for pair in (combinations(own, 2) if len(own) <= MANY else pairwise(own))]
    pairs += [(a, b) for one, two in close.tolist() for a in members[one] for b in members[two]]
    return np.sort(np.array(pairs, dtype=np.int64).reshape(-1, 2), axis=1)


def _alike(pairs: Pairs, levels: NDArray[np.float32]) -> Pairs:
    """The pairs whose thumbnails agree once brightness and contrast are taken out."""
    if not len(pairs):
        return pairs
    keep = []
    for start in range(0, len(pairs), CHUNK // 64):
        part = pairs[start : start + CHUNK // 64]
        one, two = _standard(levels[part[:, 0]]), _standard(levels[part[:, 1]])
        keep.append(np.sqrt(((one - two) ** 2).mean(1)) <= MAX_DISTANCE)
    kept: Pairs = pairs[np.concatenate(keep)]
    return kept[np.lexsort((kept[:, 1], kept[:, 0]))]


def _standard(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = levels - levels.mean(1, keepdims=True)
    result: NDArray[np.float32] = centred / (centred.std(1, keepdims=True) + 1e-6)
    return result


def groups_of(count: int, pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Connected components: for each index, the smallest index that it is linked to."""
    parent = list(range(count))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for a, b in pairs:
        one, two = sorted((root(a), root(b)))
        parent[two] = one
    return [root(i) for i in range(count)]
