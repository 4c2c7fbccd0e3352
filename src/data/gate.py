"""The checks that a dataset passes before any trial: pure functions from annotated images and their facts to findings.

Nothing here touches a file. An error means that training or evaluation would be wrong or would silently drop the image
(Ultralytics leaves a damaged image out with a line in its log); a warning is a risk that the report repeats.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from src.common.image_files import JPEG2000_SUFFIXES, RAW_SUFFIXES
from src.data.scan import SWAPPED, ImageFacts
from src.data.suspicion import as_written, suspect
from src.data.types import Boxes, Finding, Level, RawItem

SUFFIXES = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "MPO": {".jpg", ".jpeg", ".jpe", ".mpo"},
    "PNG": {".png"},
    "BMP": {".bmp"},
    "WEBP": {".webp"},
    "TIFF": {".tif", ".tiff"},
    "AVIF": {".avif"},
    "JPEG2000": JPEG2000_SUFFIXES,
}
UNTURNED = ("AVIF", "JPEG2000")  # OpenCV leaves their EXIF rotation undone, Pillow does not
TO_PNG = "convert it to JPEG or PNG (magick FILE NEW.png)"
DARK = 1 << 14  # a 16-bit file below it uses a quarter of its range at most
STRETCH = "python -m src.data stretch data=… out=DIR writes 8-bit copies over the whole range"
MIN_SIDE = 10  # px; Ultralytics refuses smaller images
OVERHANG = 0.01  # share of a side that a box may reach outside: what Ultralytics tolerates
ROUNDING = 1e-5  # share of a side that six-digit labels lose
MIN_AREA = 1.0  # px²; smaller boxes are annotation slips more often than objects
IMBALANCE = 20  # times more boxes of the most frequent class than of the rarest
FEW = 50  # images of val or test under which a warning says so


def check_images(items: Sequence[RawItem], facts: Sequence[ImageFacts]) -> list[Finding]:
    """Findings about the image files: damage, formats, rotation, sizes, missing labels."""
    findings: list[Finding] = []
    for item, fact in zip(items, facts, strict=True):
        findings += _check_image(item, fact)
    return findings + _check_depth(items, facts)


def _check_depth(items: Sequence[RawItem], facts: Sequence[ImageFacts]) -> list[Finding]:
    """16-bit files that hold fewer bits: training keeps the high byte, so 12 bits become 16 grey levels.

    An error where no 16-bit file of the dataset uses more: then it is how they were written, not a dark scene.
    """
    deep = [(item, fact) for item, fact in zip(items, facts, strict=True) if fact.peak]
    level: Level = "error" if max((f.peak for _, f in deep), default=0) < DARK else "warning"
    findings = []
    for item, fact in deep:
        if fact.peak < DARK:
            text = (
                f"a 16-bit file whose values use {fact.peak.bit_length()} bits (up to {fact.peak} of 65535): training "
                f"would see 0 to {fact.peak >> 8} of 255; {STRETCH}"
            )
            findings.append(Finding(level, "bit-depth", text, str(item.image), image=str(item.image)))
    return findings


def _check_image(item: RawItem, fact: ImageFacts) -> list[Finding]:
    path = str(item.image)

    def say(level: str, code: str, message: str) -> Finding:
        return Finding("error" if level == "error" else "warning", code, message, path, image=path)

    if fact.error:
        return [say("error", "image-unreadable", fact.error)]
    found = []
    suffix = item.image.suffix.lower()
    if fact.format not in SUFFIXES or suffix in RAW_SUFFIXES:
        kind = f"{suffix} (raw sensor data)" if suffix in RAW_SUFFIXES else fact.format or "unknown"
        found.append(say("error", "image-format", f"format {kind} is not one that training reads; {TO_PNG}"))
    elif suffix not in SUFFIXES[fact.format]:
        found.append(say("warning", "image-extension", f"is a {fact.format} file, but is called {suffix or 'nothing'}"))
    if min(fact.width, fact.height) < MIN_SIDE:
        found.append(
            say("error", "image-tiny", f"{fact.width}x{fact.height} px; at least {MIN_SIDE} px a side is needed")
        )
    if not fact.complete:
        found.append(say("warning", "jpeg-end", "has no end marker or bytes after it; it may be cut short"))
    if fact.format in UNTURNED and fact.orientation not in (0, 1):
        text = f"EXIF orientation {fact.orientation} in a {fact.format} file, which decoders don't agree on; {TO_PNG}"
        found.append(say("error", "exif-rotation", text))
    found += _check_rotation(item, fact, say)
    if not item.label_file:
        found.append(say("warning", "image-without-label", "no label file: used as background without objects"))
    elif item.relative and not len(item.classes):
        text = "holds no boxes: the image is used as background"
        found.append(Finding("warning", "label-empty", text, item.label_file, image=path))
    return found


def _check_rotation(item: RawItem, fact: ImageFacts, say: object) -> list[Finding]:
    path = str(item.image)
    stated = item.stated_size
    shown = (fact.width, fact.height)
    if stated and stated != shown:
        turned = fact.orientation in SWAPPED and stated == shown[::-1]
        reason = "its EXIF rotation turns it" if turned else "the annotations were made for another picture"
        if stated == shown[::-1] and not turned:
            reason += ", or for this one turned by 90 degrees: turn the file, or export with the picture upright"
        text = f"annotations say {stated[0]}x{stated[1]} px, but the image is {shown[0]}x{shown[1]}: {reason}"
        return [Finding("error", "size-mismatch", text, path, image=path)]
    if fact.orientation not in (0, 1):
        text = f"EXIF orientation {fact.orientation}: boxes are read in the picture as shown, after rotation"
        return [Finding("warning", "exif-rotation", text, path, image=path)]
    return []


def relative_boxes(items: Sequence[RawItem], facts: Sequence[ImageFacts]) -> tuple[list[Boxes], list[Boxes]]:
    """Boxes and crowd regions of each image as shares of its sides; unreadable images keep theirs as they are."""
    boxes, ignored = [], []
    for item, fact in zip(items, facts, strict=True):
        scale = np.array([fact.width, fact.height] * 2, np.float64)
        usable = not item.relative and not fact.error and scale.all()
        boxes.append(item.boxes / scale if usable else item.boxes)
        ignored.append(item.ignored / scale if usable else item.ignored)
    return boxes, ignored


@dataclass(frozen=True)
class _Table:
    """All boxes of all images in one array, so that checking 100,000 of them is arithmetic, not a loop."""

    boxes: Boxes
    classes: NDArray[np.int64]
    owner: NDArray[np.int64]  # index of the image
    sides: NDArray[np.float64]  # [n, 2] width and height of the image, px


def check_boxes(
    items: Sequence[RawItem], facts: Sequence[ImageFacts], boxes: Sequence[Boxes], n_classes: int
) -> list[Finding]:
    """Findings about boxes and classes, each with its file and line."""
    if not items:
        return []
    table = _Table(
        np.concatenate(list(boxes)),
        np.concatenate([item.classes for item in items]),
        np.repeat(np.arange(len(items)), [len(item.classes) for item in items]),
        np.array([(f.width, f.height) for f in facts], np.float64).repeat([len(i.classes) for i in items], axis=0),
    )
    lines = [line for item in items for line in item.lines]
    # A picture that can't be opened has no sides to hold its boxes against: what can be said of it is said already.
    opened = np.array([not f.error for f in facts], bool)[table.owner]
    relative = np.array([item.relative for item in items], bool)[table.owner]
    findings = []
    for level, code, mask, text in _box_problems(table, n_classes, relative):
        for index in np.flatnonzero(mask & (opened | (code == "class-id"))):
            number = int(table.owner[index])
            item, at = items[number], int(index - np.searchsorted(table.owner, number))
            words = {"cls": int(table.classes[index]), "top": n_classes - 1, "box": as_written(item, at)}
            message = text.format(**words) + suspect(code, item, at, facts[number])
            findings.append(Finding(level, code, message, item.label_file, lines[index], str(item.image)))
    return findings


def _box_problems(
    table: _Table, n_classes: int, relative: NDArray[np.bool_]
) -> list[tuple[Level, str, NDArray[np.bool_], str]]:
    centre, size = table.boxes[:, :2], table.boxes[:, 2:]
    with np.errstate(all="ignore"):
        finite: NDArray[np.bool_] = np.asarray(np.isfinite(table.boxes).all(1))
        low, high = (centre - size / 2).min(1, initial=1), (centre + size / 2).max(1, initial=0)
        negative: NDArray[np.bool_] = np.asarray(finite & (size < 0).any(1))
        empty: NDArray[np.bool_] = np.asarray(finite & ~negative & (size == 0).any(1))
        sound = finite & ~negative & ~empty
        far = sound & ((low < -OVERHANG) | (high > 1 + OVERHANG))
        slight = sound & ~far & ((low < -ROUNDING) | (high > 1 + ROUNDING))
        tiny = sound & ~far & (table.sides.all(1)) & ((size * table.sides).prod(1) < MIN_AREA)
        # In a file that counts pixels, a box that ends within the first pixel was written as shares of the sides.
        last = (centre + size / 2) * table.sides
        shares = tiny & ~relative & (last <= 1 + ROUNDING).all(1) & (low >= 0)
    wrong = (table.classes < 0) | (table.classes >= n_classes)
    return [
        ("error", "class-id", wrong, "class id {cls} is outside the names (0 to {top})"),
        ("error", "box-non-finite", ~finite, "box {box} holds a number that is not finite"),
        ("error", "box-negative", negative, "box {box} has a negative width or height"),
        ("error", "box-zero-area", empty, "box {box} has no area"),
        ("error", "box-out-of-range", far, "box {box} reaches outside the image"),
        ("warning", "box-overhang", slight, "box {box} reaches slightly outside the image"),
        ("error", "box-normalised", shares, "box {box} lies within 0..1: coordinates seem to be shares, not pixels"),
        ("warning", "box-tiny", tiny & ~shares, "box {box} covers less than one pixel"),
        ("warning", "box-duplicate", sound & _repeated(table), "box {box} of class {cls} is there twice; one counts"),
    ]


def _repeated(table: _Table) -> NDArray[np.bool_]:
    """Rows that repeat an earlier one of the same image."""
    repeated = np.zeros(len(table.owner), dtype=bool)
    if len(repeated):
        rows = np.column_stack([table.owner, table.classes, table.boxes])
        _, first = np.unique(rows, axis=0, return_index=True)
        repeated[:] = True
        repeated[first] = False
    return repeated


def unique_boxes(boxes: Boxes, classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of the boxes that stay when repeated rows count once, in their order (Ultralytics drops them too)."""
    if len(classes) < 2:
        return np.arange(len(classes))
    _, first = np.unique(np.column_stack([classes, boxes]), axis=0, return_index=True)
    return np.sort(first).astype(np.int64)


def check_balance(classes: dict[str, list[NDArray[np.int64]]], names: Sequence[str]) -> list[Finding]:
    """Findings about the classes over the splits: absent, rare; and about small splits.

    Args:
        classes: per split, the class ids in each image.
    """
    found = []
    totals = {
        s: np.bincount(np.concatenate([np.zeros(0, np.int64), *own]), minlength=len(names))
        for s, own in classes.items()
    }
    everywhere = sum(totals.values(), np.zeros(len(names), np.int64))
    for split, total in totals.items():
        missing = [names[i] for i in np.flatnonzero((total == 0) & (everywhere > 0)).tolist()]
        if missing and classes[split]:
            found.append(Finding("warning", "class-missing", f"{split} has no box of {_list(missing)}"))
    unused = [names[i] for i in np.flatnonzero(everywhere == 0).tolist()]
    if unused:
        found.append(Finding("warning", "class-unused", f"no split has a box of {_list(unused)}"))
    train = totals.get("train", everywhere)
    present = np.flatnonzero(train)
    if len(present) > 1 and train.max() > IMBALANCE * train[present].min():
        most, least = int(train.argmax()), int(present[train[present].argmin()])
        text = f"class imbalance in train: {train[most]} boxes of {names[most]}, {train[least]} of {names[least]}"
        found.append(Finding("warning", "class-imbalance", text))
    return found + _check_sizes(classes)


def _check_sizes(classes: dict[str, list[NDArray[np.int64]]]) -> list[Finding]:
    found = []
    for split in ("val", "test"):
        own = classes.get(split, [])
        if own and len(own) < FEW:
            limit = f"mAP differences below {resolvable(own):.3f} can't be told from chance"
            text = f"{split} has only {len(own)} images: {limit}"
            found.append(Finding("warning", "split-small", text))
    return found


def resolvable(classes: Sequence[NDArray[np.int64]]) -> float:
    """The smallest difference in mAP of two models that a split can resolve: a rule of thumb before any model exists.

    Average precision of a class is treated as a share estimated from the images that hold it (objects of one picture
    aren't independent, so pictures count, not boxes), at its largest variance p (1 - p) = 1/4. Two models are compared
    on the same images, with results correlated by 1/2, which makes the variance of the difference that of one model.
    The answer is 1.96 standard errors of the mean over the classes present (95 %); 1 when nothing can be told.
    """
    holding: dict[int, int] = {}
    for own in classes:
        for label in set(own.tolist()):
            holding[label] = holding.get(label, 0) + 1
    if not holding:
        return 1.0
    variance = sum(0.25 / count for count in holding.values()) / len(holding) ** 2
    return min(1.0, 1.96 * math.sqrt(variance))


def _list(names: Sequence[str], shown: int = 5) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def summarise(findings: Sequence[Finding], shown: int = 3) -> list[str]:
    """Warnings as a few lines for a report: one for each kind, naming the first files."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.code, []).append(finding)
    lines = []
    for group in groups.values():
        first = group[0]
        if len(group) == 1 or not first.file:
            lines += [str(finding) for finding in group]
            continue
        files = list(dict.fromkeys(Path(f.file).name for f in group if f.file))
        where = f" ({_list(files, shown)})" if files else ""
        lines.append(f"{len(group)} times: {first.message}{where}")
    return lines
