"""The internal YOLO layout that every source ends in, written aside and renamed, so that it exists whole or not at all.

<name>-<key>/data.yaml               what Ultralytics reads
             calibration.yaml        the same with the calibration images as train and val
             images/<split>/*        links to the user's files; pixels are copied only where a link won't do
             labels/<split>/*.txt    our own files, exact; Ultralytics' label caches land beside these, not the user's
             ignored/<split>/*.txt   regions to ignore, for images that have any
             areas/<split>.json      annotated areas, where there are any
             index.json              sizes, hashes and findings; written last
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from src.common.errors import UserError
from src.common.whole_files import aside_of, write_text
from src.data.fingerprint import Entry, fingerprint, split_fingerprints
from src.data.labels import format_labels
from src.data.region_sidecars import areas_hold, index_of, write_areas
from src.data.scan import Scanner
from src.data.types import SPLITS, Areas, Boxes, Classes, Finding

VERSION = 3
EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class Ready:
    """A checked image on its way into the layout. Boxes are relative, around the centre."""

    source: Path
    split: str
    name: str  # file name in the layout, unique by stem within its split
    width: int
    height: int
    sha256: str
    boxes: Boxes
    classes: Classes
    areas: Areas  # [n] px², NaN where none was annotated
    ignored: Boxes
    ignored_classes: Classes
    difficult: bool = False  # the regions to ignore are single objects (VOC), not crowds
    own: bool = False  # ours to move (generated), not the user's to link to
    copy: bool = False  # a file that Ultralytics would rewrite in place

    def entry(self) -> Entry:
        """What of it counts for the fingerprint."""
        return Entry(self.split, self.sha256, self.boxes, self.classes, self.ignored, self.ignored_classes)


@dataclass(frozen=True)
class LayoutPlan:
    """Everything that a prepared folder holds."""

    name: str  # the data group's name, e.g. digits
    class_names: list[str]
    images: list[Ready]
    calibration: list[str]  # names within train
    findings: list[Finding]
    category_ids: list[int]
    notes: dict[str, Any]  # further figures for the report, plain data


def write_layout(plan: LayoutPlan, final: Path, scanner: Scanner) -> None:
    """Write the folder aside and rename it to `final`. If another process has just written the same, its own stands."""
    aside = aside_of(final)
    try:
        for split in SPLITS:
            (aside / "images" / split).mkdir(parents=True)
            (aside / "labels" / split).mkdir(parents=True)
            (aside / "ignored" / split).mkdir(parents=True)
        for image in plan.images:
            _write_image(aside, image, final)
        write_areas(aside, plan.images)
        index = _index(plan)
        for name, text in _yamls(index, final).items():
            write_text(aside / name, text)
        write_text(aside / "index.json", json.dumps(index))
        _swap(aside, final, scanner)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write_image(base: Path, image: Ready, final: Path) -> None:
    target = base / "images" / image.split / image.name
    if image.own:
        image.source.replace(target)
    elif image.copy:
        shutil.copyfile(image.source, target)
    else:
        _link(image.source, target, final)
    label = Path(image.split) / (Path(image.name).stem + ".txt")
    # newline="" keeps the bytes the same everywhere; fsync a file would cost minutes on a large set, and index.json,
    # written last inside a folder that is renamed last, already tells a whole folder from a torn one.
    (base / "labels" / label).write_text(format_labels(image.boxes, image.classes), encoding="utf-8", newline="")
    if len(image.ignored_classes):
        text = format_labels(image.ignored, image.ignored_classes)
        (base / "ignored" / label).write_text(text, encoding="utf-8", newline="")


def _link(source: Path, target: Path, final: Path) -> None:
    """Link to a user's file by its address; to one that we fetched, beside `final`, so that the link moves along."""
    place = source.absolute()
    own = place.is_relative_to(final.absolute().parent)
    depth = final.absolute() / target.parent.relative_to(target.parents[2])  # where the link will be in the end
    try:
        target.symlink_to(os.path.relpath(place, depth) if own else place)
    except OSError:
        shutil.copyfile(source, target)


def _swap(aside: Path, final: Path, scanner: Scanner) -> None:
    """Put the new folder in place; a damaged one that stood there goes, one that another process just wrote stays."""
    try:
        aside.rename(final)
        return
    except OSError:
        if verify_layout(final, scanner):
            return
    trash = aside_of(final)
    final.rename(trash)
    aside.rename(final)
    shutil.rmtree(trash, ignore_errors=True)


def _yamls(index: dict[str, Any], base: Path) -> dict[str, str]:
    """The text of each file that Ultralytics reads, for a folder at `base`."""
    head = {"path": str(base.absolute())}
    names = {"names": dict(enumerate(index["class_names"]))}
    splits = {split: f"images/{split}" for split in SPLITS if index["splits"][split]}
    both = {"train": "calibration.txt", "val": "calibration.txt"}
    folder = base.absolute() / "images" / "train"
    return {
        "data.yaml": _dump({**head, **splits, **names}),
        "calibration.yaml": _dump({**head, **both, **names}),
        "calibration.txt": "".join(f"{folder / name}\n" for name in index["calibration"]),
    }


def _dump(content: dict[str, Any]) -> str:
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    return text


def _index(plan: LayoutPlan) -> dict[str, Any]:
    rows: dict[str, list[list[Any]]] = {split: [] for split in SPLITS}
    for image in sorted(plan.images, key=lambda i: i.name):
        labels = [_digest(format_labels(*own).encode()) for own in _annotations(image)]
        source = "" if image.own else str(image.source)
        rows[image.split].append([image.name, image.width, image.height, image.sha256, *labels, source])
    entries = [image.entry() for image in plan.images]
    return {
        "version": VERSION,
        "name": plan.name,
        "fingerprint": fingerprint(entries, plan.class_names),
        "split_fingerprints": split_fingerprints(entries),
        "class_names": plan.class_names,
        "category_ids": plan.category_ids,
        "calibration": plan.calibration,
        "splits": rows,
        "findings": [asdict(finding) for finding in plan.findings],
        "notes": plan.notes,
        **index_of(plan.images),
    }


def _annotations(image: Ready) -> tuple[tuple[Boxes, Classes], tuple[Boxes, Classes]]:
    return (image.boxes, image.classes), (image.ignored, image.ignored_classes)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def load_index(base: Path) -> dict[str, Any]:
    """The index of a prepared folder.

    Raises:
        UserError: it is missing, torn or of another version.
    """
    file = base / "index.json"
    try:
        index = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"{file}: the prepared dataset can't be read ({error})",
            remedy="delete the folder; the next run makes it again",
        ) from None
    if not isinstance(index, dict) or index.get("version") != VERSION:
        raise UserError(f"{file}: made by another version", remedy="delete the folder; the next run makes it again")
    return index


def verify_layout(base: Path, scanner: Scanner) -> bool:
    """Whether a prepared folder still holds what its index says: every byte of images (cached) and labels.

    The files that name the folder itself are written again where they name another: it was moved or copied.
    """
    try:
        index = load_index(base)
        rows = [(split, row) for split in SPLITS for row in index["splits"][split]]
        facts = scanner.scan([base / "images" / split / row[0] for split, row in rows], base.name)
        whole = all(row[3] == f.sha256 for (_, row), f in zip(rows, facts, strict=True))
        whole = whole and all(_labels_hold(base, split, row) for split, row in rows) and areas_hold(base, index)
        if whole:
            _follow(base, index)
        return whole
    except (UserError, OSError, UnicodeDecodeError, KeyError, TypeError, IndexError):
        return False


def _follow(base: Path, index: dict[str, Any]) -> None:
    for name, text in _yamls(index, base).items():
        file = base / name
        if not file.is_file() or file.read_bytes() != text.encode():
            write_text(file, text)


def _labels_hold(base: Path, split: str, row: Sequence[Any]) -> bool:
    name = row[0].rpartition(".")[0] + ".txt"
    if _digest((base / "labels" / split / name).read_bytes()) != row[4]:
        return False
    return bool(row[5] == EMPTY) or _digest((base / "ignored" / split / name).read_bytes()) == row[5]
