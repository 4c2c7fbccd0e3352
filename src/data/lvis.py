"""What LVIS adds to COCO JSON: pictures named by address alone, and classes that were not looked for everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from src.data.types import Finding


def picture_name(row: Mapping[str, Any]) -> str:
    """The name of an image's picture: its `file_name`, or else folder and name of its `coco_url`; "" without both.

    LVIS v1 has the latter alone. Its folder counts, since its val holds pictures of train2017 too.
    """
    name, url = row.get("file_name"), row.get("coco_url")
    if isinstance(name, str) and name:
        return name
    try:
        parts = PurePosixPath(urlsplit(url).path).parts[-2:] if isinstance(url, str) else ()
    except ValueError:  # an address such as http://[
        return ""
    return "/".join(part for part in parts if part not in ("/", "..", "."))


def partly_labelled(images: Sequence[Mapping[str, Any]], file: Path) -> list[Finding]:
    """A word on images in which only some classes were looked for, which is not heeded here."""
    keys = ("neg_category_ids", "not_exhaustive_category_ids")
    count = sum(1 for row in images if any(key in row for key in keys))
    if not count:
        return []
    text = (
        f"in {count} images only some classes were looked for (`{keys[0]}`, `{keys[1]}`), which is not heeded: an "
        "object without a label is background in training, and finding it is a false alarm, so mAP is below LVIS's own"
    )
    return [Finding("warning", "labels-partial", text, str(file))]
