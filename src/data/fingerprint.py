"""The fingerprint of a dataset: a hash over the content of images and labels, whatever folder or format they lie in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from src.data.labels import canonical
from src.data.types import Boxes, Classes

VERSION = 1


@dataclass(frozen=True)
class Entry:
    """What of one image counts: its split, the sha256 of its bytes, its relative boxes and crowd regions."""

    split: str
    sha256: str
    boxes: Boxes
    classes: Classes
    ignored: Boxes
    ignored_classes: Classes

    def label_digest(self) -> str:
        """Hash of the annotations, the same for any order of boxes."""
        parts = canonical(self.boxes, self.classes), canonical(self.ignored, self.ignored_classes)
        return hashlib.sha256(b"|".join(hashlib.sha256(p).digest() for p in parts)).hexdigest()


def fingerprint(entries: Iterable[Entry], class_names: list[str]) -> str:
    """sha256 over all splits: sorted (split, image hash, label hash), after the class names."""
    rows = sorted(f"{e.split}\0{e.sha256}\0{e.label_digest()}" for e in entries)
    return _digest([f"{VERSION}", *class_names, "", *rows])


def label_fingerprint(entries: Iterable[Entry]) -> str:
    """sha256 over the annotations alone, each tied to its image's content; splits and names don't count."""
    return _digest(sorted(f"{e.sha256}\0{e.label_digest()}" for e in entries))


def split_fingerprints(entries: Iterable[Entry]) -> dict[str, str]:
    """A fingerprint for each split, over images and labels."""
    rows: dict[str, list[str]] = {}
    for e in entries:
        rows.setdefault(e.split, []).append(f"{e.sha256}\0{e.label_digest()}")
    return {split: _digest(sorted(own)) for split, own in sorted(rows.items())}


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
