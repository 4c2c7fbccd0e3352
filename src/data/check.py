"""Run all checks on a raw dataset: what is wrong with its files, its boxes, and what its splits share.

The result is a `Checked`: relative boxes and facts beside each image, ready to be split and laid out. With
`on_error="skip"` the images that an error names are left out, and each is listed; the user's files stay as they are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from src.common.errors import UserError
from src.data import gate
from src.data.duplicates import exact_groups, groups_of, near_pairs
from src.data.fingerprint import Entry
from src.data.scan import ImageFacts, Scanner, thumbs
from src.data.types import Areas, Boxes, Classes, Finding, RawDataset, RawItem, raise_errors

# Errors of labels that are there: their picture is not called a background.
NO_BACKGROUND = ("label-elsewhere", "label-malformed", "box-non-finite", "label-twice", "label-ambiguous")
# Where a picture found in two splits is left out: evaluation stays as it was, and the split opened last wins.
KEEP_ORDER = {"train": 0, "val": 1, "test": 2}


@dataclass(frozen=True)
class Checked:
    """An image that passed, with its facts and relative boxes."""

    item: RawItem
    facts: ImageFacts
    split: str
    boxes: Boxes
    classes: Classes
    areas: Areas  # [n] px², NaN where the source gives none
    ignored: Boxes
    group: int  # images of one group look the same and must not be split apart

    def entry(self) -> Entry:
        """What counts for a fingerprint."""
        return Entry(self.split, self.facts.sha256, self.boxes, self.classes, self.ignored, self.item.ignored_classes)


def check_dataset(
    data: RawDataset, scanner: Scanner, on_error: str, tolerated: Collection[str] = ()
) -> tuple[list[Checked], list[Finding]]:
    """Check every image and box.

    Args:
        on_error: `stop` raises when there are errors; `skip` leaves those images out.
        tolerated: codes of errors that count as warnings, since the caller is about to mend them.

    Returns:
        The images that passed, and every finding (with `skip`, errors too).

    Raises:
        UserError: no images, no boxes, or errors and `on_error` is `stop`.
    """
    if not data.items:
        raise_errors(data.findings, data.origin)  # why there are none
        raise UserError(f"{data.origin}: the dataset has no images", remedy="name a folder that holds images")
    check_names(data.class_names, data.origin)
    facts = scanner.scan([item.image for item in data.items], data.origin)
    boxes, ignored = gate.relative_boxes(data.items, facts)
    findings = [*data.findings, *alike(data.class_names), *mixed_splits(data), *gate.check_images(data.items, facts)]
    findings += gate.check_boxes(data.items, facts, boxes, len(data.class_names))
    pairs = [(a, b) for a, b in near_pairs(thumbs(facts)).tolist()]
    findings += shared_images(data.items, facts, pairs)
    findings = _once([replace(f, level="warning") if f.code in tolerated else f for f in findings])
    if on_error == "stop":
        raise_errors(findings, data.origin)
    # An error without an image (an annotation of an image that isn't listed) has left out what it names already.
    # One without a split leaves the image out of all of them; of a picture in two splits, the copy named alone goes.
    bad = {(f.image, f.split) for f in findings if f.level == "error" and f.image}
    repeated = {f.image for f in findings if f.code == "box-duplicate"}
    passed = [
        _checked(item, facts[i], boxes[i], ignored[i], group, repeated)
        for i, (item, group) in enumerate(zip(data.items, _groups(facts, pairs), strict=True))
        if not bad & {(str(item.image), ""), (str(item.image), item.split)}
    ]
    if not passed:
        raise UserError(
            f"{data.origin}: no image is left after the faulty ones were skipped", remedy="mend the dataset"
        )
    if not any(len(c.classes) for c in passed):
        raise UserError(
            f"{data.origin}: no image has a box ({_why_none(passed)})",
            remedy="check that labels/ mirrors images/, or the annotations",
        )
    return passed, findings


def check_names(names: Sequence[str], origin: str) -> None:
    """Refuse classes that can't be told apart by name: other layouts know them by nothing else.

    Raises:
        UserError: a class without a name, or two of one name.
    """
    remedy = "give each class a name of its own, or make them one class"
    first: dict[str, int] = {}
    for number, name in enumerate(names):
        if not name.strip():
            raise UserError(f"{origin}: class {number} has no name", value=repr(name), remedy=remedy)
        if first.setdefault(name, number) != number:
            text = f"{origin}: classes {first[name]} and {number} have one name"
            raise UserError(text, value=repr(name[:80]), remedy=remedy)


def alike(names: Sequence[str]) -> list[Finding]:
    """A word on classes whose names differ by case, blanks, `_` and `-` alone: seldom is more than one class meant."""
    same: dict[str, list[str]] = {}
    for number, name in enumerate(names):
        bare = re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", name)).strip().casefold()
        same.setdefault(bare, []).append(f"{number} {name[:40]!r}")
    text = "classes {} differ by case or blanks alone, and count as several: name them alike if they are one"
    return [Finding("warning", "class-alike", text.format(" and ".join(own))) for own in same.values() if len(own) > 1]


def _why_none(passed: Sequence[Checked]) -> str:
    """Whether annotations are missing, or hold nothing."""
    labelled = [c for c in passed if c.item.label_file]
    if not labelled:
        return f"{len(passed)} images, none with a label file, e.g. {passed[0].item.image}"
    first = labelled[0].item.label_file
    return f"{len(passed)} images, {len(labelled)} with a label file, all without boxes, e.g. {first}"


def _once(findings: Sequence[Finding]) -> list[Finding]:
    """Findings without warnings that an error of the same image and kind has overtaken."""
    told = {(f.code, f.image) for f in findings if f.level == "error"}
    # A picture whose labels are broken or elsewhere is no background, and isn't used as one.
    told |= {
        (code, f.image)
        for f in findings
        for code in ("image-without-label", "label-empty")
        if f.level == "error" and f.code in NO_BACKGROUND
    }
    return [f for f in findings if f.level == "error" or not f.image or (f.code, f.image) not in told]


def mixed_splits(data: RawDataset) -> list[Finding]:
    """Images of no split beside images of some: a seeded split would break those that there are."""
    named = {item.split for item in data.items} - {""}
    loose = [item for item in data.items if not item.split]
    if not named or not loose:
        return []
    text = f"belongs to no split, while others belong to {', '.join(sorted(named))}: name its file or folder by a split"
    return [Finding("error", "split-missing", text, str(i.image), image=str(i.image), split="") for i in loose]


def _checked(
    item: RawItem, facts: ImageFacts, boxes: Boxes, ignored: Boxes, group: int, repeated: Collection[str]
) -> Checked:
    classes = item.classes
    areas = item.areas if len(item.areas) else np.full(len(classes), np.nan)
    if str(item.image) in repeated:
        keep = gate.unique_boxes(boxes, classes)
        boxes, classes, areas = boxes[keep], classes[keep], areas[keep]
    return Checked(item, facts, item.split, boxes, classes, areas, ignored, group)


def _groups(facts: Sequence[ImageFacts], near: Sequence[tuple[int, int]]) -> list[int]:
    exact = [(group[0], other) for group in exact_groups([f.sha256 for f in facts]) for other in group[1:]]
    return groups_of(len(facts), [*exact, *near])


def shared_images(
    items: Sequence[RawItem], facts: Sequence[ImageFacts], near: Sequence[tuple[int, int]]
) -> list[Finding]:
    """Duplicates: the same bytes in two splits are an error; a picture alike in two, or twice in one, is a warning."""
    findings = []
    exact = [f.sha256 if not f.error else "" for f in facts]
    for group in exact_groups(exact):
        ordered = sorted(group, key=lambda i: (-KEEP_ORDER.get(items[i].split, 0), str(items[i].image)))
        kept = items[ordered[0]]
        findings += [_duplicate(items[i], kept) for i in ordered[1:]]
    for a, b in near:
        one, two = items[a], items[b]
        if one.split != two.split and exact[a] != exact[b] and exact[a] and exact[b]:
            text = f"looks the same as {two.image} in {two.split}: {one.split} and {two.split} may leak into each other"
            findings.append(
                Finding("warning", "near-duplicate-across-splits", text, str(one.image), image=str(one.image))
            )
    return findings


def _duplicate(item: RawItem, kept: RawItem) -> Finding:
    path = str(item.image)
    if item.split != kept.split:
        text = (
            f"the same image is in {item.split or 'no split'} and, as {kept.image}, in {kept.split or 'no split'}: "
            "results there would be too good"
        )
        return Finding("error", "duplicate-across-splits", text, path, image=path, split=item.split)
    where = f" of {item.split}" if item.split else ""
    return Finding("warning", "duplicate", f"the same image as {kept.image}{where}", path, image=path)


def with_split(checked: Checked, split: str) -> Checked:
    """The same image in another split."""
    return replace(checked, split=split)


def classes_by_split(checked: Sequence[Checked]) -> dict[str, list[Classes]]:
    """Per split, the class ids of each image."""
    result: dict[str, list[Classes]] = {"train": [], "val": [], "test": []}
    for c in checked:
        result.setdefault(c.split, []).append(np.asarray(c.classes))
    return {split: own for split, own in result.items() if own}
