"""File names in the prepared folder: plain, unique by stem within a split, and the user's own wherever possible."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from src.data.check import Checked

PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,150}")
# Ultralytics goes by suffix, so a PNG called .jpg gets its true one in the prepared folder.
SUFFIX = {
    "JPEG": ".jpg",
    "MPO": ".jpg",
    "PNG": ".png",
    "BMP": ".bmp",
    "WEBP": ".webp",
    "TIFF": ".tif",
    "AVIF": ".avif",
    "JPEG2000": ".jp2",
}


def unique_names(checked: Sequence[Checked]) -> list[str]:
    """A file name for each image. Images of one split that share a stem get a hash of their path appended."""
    stems = [_stem(c) for c in checked]
    taken: dict[tuple[str, str], int] = {}
    for c, stem in zip(checked, stems, strict=True):
        taken[c.split, stem.lower()] = taken.get((c.split, stem.lower()), 0) + 1
    names = []
    for c, stem in zip(checked, stems, strict=True):
        if taken[c.split, stem.lower()] > 1:
            digest = hashlib.sha256(str(c.item.image).encode("utf-8", "surrogateescape")).hexdigest()
            stem = f"{stem}-{digest[:10]}"
        names.append(stem + SUFFIX[c.facts.format])
    return distinct(names, [c.split for c in checked])


def distinct(names: Sequence[str], groups: Sequence[str]) -> list[str]:
    """The names, with a number where two of a group would share a stem: no file is ever written over another."""
    taken: set[tuple[str, str]] = set()
    result = []
    for name, group in zip(names, groups, strict=True):
        stem, dot, suffix = name.rpartition(".")
        number, chosen = 1, name
        while (group, chosen.rpartition(".")[0].lower()) in taken:
            number += 1
            chosen = f"{stem}-{number}{dot}{suffix}"
        taken.add((group, chosen.rpartition(".")[0].lower()))
        result.append(chosen)
    return result


def _stem(c: Checked) -> str:
    stem = c.item.name or c.item.image.stem
    if PLAIN.fullmatch(stem):
        return stem
    digest = hashlib.sha256(stem.encode("utf-8", "surrogateescape")).hexdigest()[:10]
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '_', stem)[:80] or 'image'}-{digest}"
