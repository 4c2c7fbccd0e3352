"""Read a user's dataset in the YOLO layout, from any `data.yaml` that Ultralytics takes or what stands in for one.

Splits may be folders, text files that list images, single images, or lists of these; paths are absolute, relative to
`path:` or to the file. Only images and label files are read: a `download:` key and `labels/*.cache` pickles never are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from src.common.errors import UserError
from src.data.columns import read_shape
from src.data.folders import NOT_READ, inventory, skipped, unread
from src.data.hints import encrypted_elsewhere
from src.data.types import SPLITS, Finding, RawDataset
from src.data.yolo_labels import broken_pairs, find_label, label_path, read_item
from src.data.yolo_paths import MissingError, Pictures, pictures_of, root_of
from src.data.yolo_yaml import class_names, describe

__all__ = ["class_names", "label_path", "read_item", "read_yolo"]

KEYS = {"train": ("train",), "val": ("val", "validation", "valid"), "test": ("test",)}


def read_yolo(path: Path) -> RawDataset:
    """Read the dataset that `path` (a data.yaml, an obj.data, or a folder that holds one, or classes.txt) describes.

    Raises:
        UserError: the file or a path in it doesn't exist, isn't YAML, or has no usable `names`.
    """
    described = describe(path)
    raw, file = described.raw, described.file
    names, shape = class_names(raw, file), read_shape(raw.get("kpt_shape"), file)
    root = described.root or root_of(raw.get("path"), file)
    data = RawDataset(names, [], described.findings, origin=str(path))
    seen: dict[str, list[Path]] = {}
    hidden: list[Path] = []
    for split in SPLITS:
        key = next((k for k in KEYS[split] if raw.get(k)), None)
        images = _images_of(raw[key], key, root, file, data.findings, hidden) if key else []
        if images:
            seen[split] = images
    if not seen:
        raise UserError(
            f"{file}: none of the keys train, val, test names images; there is: {inventory(root)}",
            remedy="add `train: images/train`",
        )
    _merge_equal_splits(seen, data, file)
    for split, images in seen.items():
        data.items += [read_item(image, split, data.findings, shape) for image in images]
    data.findings += [*broken_pairs(data.items, root), *skipped(list(dict.fromkeys(hidden)), root)]
    return data


def _images_of(value: Any, key: str, root: Path, file: Path, findings: list[Finding], hidden: list[Path]) -> list[Path]:
    """The images of a split, without those that nobody labelled and nobody can read. A test that isn't there is none.

    Hidden files that were skipped are added to `hidden`.

    Raises:
        UserError: a path doesn't exist or holds no images, and the split isn't `test`.
    """
    try:
        found = pictures_of(value, key, root, file)
    except MissingError as error:
        if key != "test":
            raise
        findings.append(_no_test(file, value, f"names nothing ({error.what.partition('; there is')[0]})"))
        return []
    hidden += found.hidden
    findings += found.findings
    labelled = [path for path in found.others if find_label(path)[0]]
    findings += unread([path for path in found.others if path not in labelled], root)
    images = sorted({*found.images, *labelled}) if labelled else found.images
    if not images and key == "test":
        findings.append(_no_test(file, value, "holds no images"))
    elif not images:
        raise _empty(found, value, key, root, file)
    return images


def _no_test(file: Path, value: object, reason: str) -> Finding:
    text = f"`test: {str(value)[:80]}` {reason}: there is no test split"
    return Finding("warning", "split-test-empty", text, str(file))


def _empty(found: Pictures, value: object, key: str, root: Path, file: Path) -> UserError:
    said = f"; {len(found.others)} files there can't be read: {NOT_READ}" if found.others else ""
    return UserError(
        f"{file}: the split `{key}` holds no images{said}; there is: {inventory(root)}",
        value=value,
        remedy=encrypted_elsewhere(root) or "name a folder of images",
    )


def _merge_equal_splits(seen: dict[str, list[Path]], data: RawDataset, file: Path) -> None:
    """A val or test that is train itself (as in Ultralytics' coco8 and coco128) is no split at all: drop it.

    So is a test that is val itself.
    """
    train = set(seen.get("train", []))
    for split in ("val", "test"):
        if split in seen and set(seen[split]) == train:
            del seen[split]
            text = f"`{split}` names the same images as `train`, so it was not used: a seeded split takes its place"
            data.findings.append(Finding("warning", "split-same-images", text, str(file)))
    if "test" in seen and set(seen["test"]) == set(seen.get("val", [])):
        del seen["test"]
        text = "`test` names the same images as `val`, which selects: there is no test split"
        data.findings.append(Finding("warning", "split-same-images", text, str(file)))
