"""Near duplicates are found at any size and quality, different pictures are not, and large sets stay cheap."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from src.data.duplicates import MAX_BITS, difference_hash, exact_groups, groups_of, near_pairs
from src.data.scan import THUMB, look_at
from tests.data.builders import coco128

Gray = np.ndarray[tuple[int, int], np.dtype[np.uint8]]


def _thumb(image: Image.Image) -> Gray:
    small = image.convert("L").resize((THUMB, THUMB), Image.Resampling.BOX)
    return np.asarray(small).reshape(1, -1)


def _photo(seed: int) -> Image.Image:
    coarse = np.random.Generator(np.random.PCG64(seed)).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC)


def _recompressed(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=25)
    return Image.open(buffer)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "smaller": lambda i: i.resize((100, 75)),
    "recompressed": _recompressed,
    "darker": lambda i: i.point(lambda v: v * 0.8),
    "cropped a little": lambda i: i.crop((3, 2, 318, 239)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_are_found(change: str) -> None:
    photos = [_photo(seed) for seed in range(40)]
    thumbs = np.concatenate([_thumb(p) for p in photos] + [_thumb(CHANGES[change](p)) for p in photos[:20]])
    found = {(a, b) for a, b in near_pairs(thumbs).tolist()}
    assert found == {(i, 40 + i) for i in range(20)}


def test_real_photographs_are_all_different() -> None:
    files = sorted((coco128() / "images/train2017").iterdir())
    thumbs = np.frombuffer(b"".join(bytes.fromhex(look_at(f).thumb) for f in files), np.uint8).reshape(len(files), -1)
    assert near_pairs(thumbs).tolist() == []


def test_flat_pictures_are_no_duplicates() -> None:
    thumbs = np.full((50, THUMB * THUMB), 7, np.uint8)
    assert near_pairs(thumbs).tolist() == []


def test_empty_and_single() -> None:
    assert near_pairs(np.zeros((0, THUMB * THUMB), np.uint8)).tolist() == []
    assert near_pairs(_thumb(_photo(1))).tolist() == []


def test_agrees_with_comparing_all_pairs() -> None:
    rng = np.random.Generator(np.random.PCG64(3))
    base = rng.integers(0, 256, (60, THUMB * THUMB)).astype(np.int64)
    noisy = np.clip(base[:30] + rng.integers(-12, 13, (30, THUMB * THUMB)), 0, 255)
    thumbs = np.concatenate([base, noisy]).astype(np.uint8)
    hashes = difference_hash(thumbs)
    expected = {
        (i, j) for i in range(90) for j in range(i + 1, 90) if int(np.bitwise_count(hashes[i] ^ hashes[j])) <= MAX_BITS
    }
    assert {(a, b) for a, b in near_pairs(thumbs).tolist()} == expected
    assert len(expected) > 5


@pytest.mark.timeout(120)  # comparing all pairs would take many times as long
def test_of_thirty_thousand_exactly_the_planted_pairs_are_found() -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    thumbs = rng.integers(0, 256, (30_000, THUMB * THUMB))
    sources, copies = rng.permutation(30_000)[:400].reshape(2, 200)
    thumbs[copies] = np.clip(thumbs[sources] + rng.integers(-3, 4, (200, THUMB * THUMB)), 0, 255)
    pairs = np.sort(np.column_stack([sources, copies]), axis=1)
    assert near_pairs(thumbs.astype(np.uint8)).tolist() == sorted(pairs.tolist())


def test_groups() -> None:
    assert exact_groups(["a", "b", "a", "", "", "b", "c"]) == [[0, 2], [1, 5]]
    assert groups_of(6, [(4, 2), (2, 5)]) == [0, 1, 2, 3, 2, 2]
