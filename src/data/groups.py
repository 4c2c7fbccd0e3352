"""Which images of a split belong together, so that evaluation draws them together: `data.group`, and near duplicates.

Frames of one video, or pictures of one site, are no independent evidence. `data.group` is a regular expression that is
searched in the image's file name and, where the name doesn't match, in its path below the folder that all images share.
What its first group captures (the whole match where it has none) names the image's group. Images that look the same
(`src.data.duplicates`) are one group too, and groups that share an image are one. Nothing of it changes the prepared
data, its fingerprint or what is trained.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from src.common.errors import UserError
from src.data.check import Checked
from src.data.duplicates import groups_of
from src.data.layout import load_index

KEY = "data.group"
LOOK_ALIKE = "look_alike"  # among the notes of a prepared folder's index
EXAMPLE = "for example 'data.group=\"^(video[0-9]+)_\"', or data.group=null for every image by itself"


def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern of `data.group`.

    Raises:
        UserError: it is no regular expression.
    """
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise UserError(f"{KEY} is no regular expression ({error})", value=pattern, remedy=EXAMPLE) from None


def image_groups(base: Path, split: str, pattern: str | None) -> list[int]:
    """The group of each image of a split in the order of `read_split`: the index of the group's first image.

    Args:
        base: the prepared folder.
        split: train, val or test.
        pattern: `data.group`.

    Raises:
        UserError: the folder is damaged, or the pattern is no regular expression.
    """
    index = load_index(base)
    rows = sorted(index["splits"][split])
    place = {str(row[0]): i for i, row in enumerate(rows)}
    linked = [[place[name] for name in names] for names in index["notes"].get(LOOK_ALIKE, {}).get(split, [])]
    if pattern is not None:
        linked += _captured(compiled(pattern), _paths(index, rows)).values()
    return groups_of(len(rows), [(own[0], other) for own in linked for other in own[1:]])


def check_groups(base: Path, pattern: str | None) -> None:
    """Refuse a `data.group` that says nothing about val.

    Raises:
        UserError: it is no regular expression, matches no image of val, or puts all of them in one group.
    """
    if pattern is None:
        return
    index = load_index(base)
    rows = sorted(index["splits"]["val"])
    captured = _captured(compiled(pattern), _paths(index, rows))
    if rows and not captured:
        shown = _paths(index, rows[:1])[0]
        raise UserError(f"{KEY} matches no image of val, such as {shown!r}", value=pattern, remedy=EXAMPLE)
    if len(rows) > 1 and len(set(image_groups(base, "val", pattern))) == 1:
        what = f"{KEY} puts all {len(rows)} images of val in one group, from which no interval can be told"
        raise UserError(what, value=pattern, remedy="capture what tells videos or sites apart; " + EXAMPLE)


def look_alike(checked: Sequence[Checked], names: Sequence[str]) -> dict[str, list[list[str]]]:
    """By split, the names of images that look the same, two or more at a time: what an index notes for later."""
    found: dict[tuple[str, int], list[str]] = {}
    for c, name in zip(checked, names, strict=True):
        found.setdefault((c.split, c.group), []).append(name)
    groups: dict[str, list[list[str]]] = {}
    for (split, _), own in found.items():
        if len(own) > 1:
            groups.setdefault(split, []).append(sorted(own))
    return groups


def _captured(pattern: re.Pattern[str], paths: Sequence[str]) -> dict[str, list[int]]:
    """Positions of the images by what the pattern captures; images that it doesn't match are left out."""
    found: dict[str, list[int]] = {}
    for i, path in enumerate(paths):
        hit = pattern.search(path.rpartition("/")[2]) or pattern.search(path)
        if hit:
            # A first group that took no part in the match captures nothing; the match itself then names the group.
            name = (hit.group(1) if pattern.groups else None) or hit.group(0)
            found.setdefault(name, []).append(i)
    return found


def _paths(index: dict[str, Any], rows: Sequence[Sequence[Any]]) -> list[str]:
    """The path of each image below the folder that all images of the source share; its name where it was generated."""
    sources = [str(row[6]) for own in index["splits"].values() for row in own if row[6]]
    shared = os.path.commonpath([Path(path).parent for path in sources]) if sources else ""
    return [os.path.relpath(row[6], shared).replace(os.sep, "/") if row[6] else str(row[0]) for row in rows]
