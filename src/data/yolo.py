"""Read a user's dataset in the YOLO layout, from any `data.yaml` that Ultralytics takes.

Splits may be folders, text files that list images, single images, or lists of these; paths are absolute, relative to
`path:` or to the file. Only images and label files are read: a `download:` key and `labels/*.cache` pickles never are.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from src.data.labels import parse_labels
from src.data.types import IMAGE_SUFFIXES, SPLITS, Finding, RawDataset, RawItem
from src.errors import UserError
from src.files import read_regular

YAML = 1 << 24  # bytes of a data.yaml at most
KEYS = {"train": ("train",), "val": ("val", "validation", "valid"), "test": ("test",)}


def read_yolo(path: Path) -> RawDataset:
    """Read the dataset that `path` (a data.yaml, or a folder that holds one) describes.

    Raises:
        UserError: the file or a path in it doesn't exist, isn't YAML, or has no usable `names`.
    """
    file = _find_yaml(path)
    raw = _load_yaml(file)
    names = class_names(raw, file)
    root = _root(raw, file)
    data = RawDataset(names, [], origin=str(path))
    seen: dict[str, list[Path]] = {}
    for split in SPLITS:
        key = next((k for k in KEYS[split] if raw.get(k)), None)
        if key is None:
            continue
        images = _images_of(raw[key], key, root, file)
        if not images:
            raise UserError(
                f"{file}: the split `{key}` holds no images", value=raw[key], remedy="name a folder of images"
            )
        seen[split] = images
    if not seen:
        raise UserError(f"{file}: none of the keys train, val, test names images", remedy="add `train: images/train`")
    _merge_equal_splits(seen, data, file)
    for split, images in seen.items():
        data.items += [read_item(image, split, data.findings) for image in images]
    data.findings += _orphans(data.items)
    return data


def _merge_equal_splits(seen: dict[str, list[Path]], data: RawDataset, file: Path) -> None:
    """A val or test that is train itself (as in Ultralytics' coco8 and coco128) is no split at all: drop it."""
    train = set(seen.get("train", []))
    for split in ("val", "test"):
        if split in seen and set(seen[split]) == train:
            del seen[split]
            text = f"`{split}` names the same images as `train`, so it was not used: a seeded split takes its place"
            data.findings.append(Finding("warning", "split-same-images", text, str(file)))


def _find_yaml(path: Path) -> Path:
    if path.is_dir():
        found = sorted([*path.glob("*.yaml"), *path.glob("*.yml")])
        named = [p for p in found if p.stem == "data"]
        if len(named or found) != 1:
            raise UserError("data.path is a folder without one data.yaml", value=path, remedy="data.path=DIR/data.yaml")
        return (named or found)[0]
    if not path.is_file():
        raise UserError("data.path does not exist", value=path, remedy="data.path=DIR/data.yaml of your dataset")
    return path


def _load_yaml(file: Path) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(read_regular(file, YAML))
    except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError, RecursionError) as error:
        reason = str(error).split("\n")[0]
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else str(file)
        raise UserError(f"{where}: not valid YAML ({reason})", remedy="mend the file: https://yaml.org") from None
    if not isinstance(raw, dict):
        raise UserError(f"{file}: expected keys such as `names` and `train`", value=type(raw).__name__)
    return raw


def class_names(raw: dict[str, Any], file: Path) -> list[str]:
    """The `names` of a data.yaml, a list or a mapping from 0, or made up from `nc`.

    Raises:
        UserError: missing, empty, or a mapping whose ids aren't 0, 1, 2, …
    """
    names, count = raw.get("names"), raw.get("nc")
    if names is None and isinstance(count, int) and 0 < count <= 10_000:
        return [f"class_{i}" for i in range(count)]
    if isinstance(names, dict):
        ids = sorted(names, key=str) if not all(isinstance(k, int) for k in names) else sorted(names)
        if ids != list(range(len(ids))):
            raise UserError(f"{file}: `names` must number its classes 0, 1, 2, …", value=str(ids)[:80])
        names = [names[i] for i in ids]
    if not isinstance(names, list) or not names or not all(isinstance(n, (str, int, float)) for n in names):
        raise UserError(f"{file}: `names` is missing or not a list of class names", remedy="add `names: [cat, dog]`")
    if isinstance(count, int) and count != len(names):
        raise UserError(
            f"{file}: `nc` is {count}, but `names` has {len(names)}", remedy="make them agree, or leave nc out"
        )
    return [str(name) for name in names]


def _root(raw: dict[str, Any], file: Path) -> Path:
    base = file.absolute().parent
    stated = raw.get("path")
    if stated in (None, ""):
        return base
    candidates = [base / str(stated), Path(str(stated)).absolute()]
    for candidate in candidates:
        if candidate.is_dir():
            return Path(os.path.normpath(candidate))
    # Exported datasets often keep the `path:` of another machine; paths beside the file then still work.
    return base


def _images_of(value: Any, key: str, root: Path, file: Path) -> list[Path]:
    entries = value if isinstance(value, list) else [value]
    images: list[Path] = []
    for entry in entries:
        if not isinstance(entry, str):
            raise UserError(f"{file}: `{key}` must be a path or a list of paths", value=entry)
        images += _expand(_existing(entry, key, root, file), root)
    return sorted(set(images))


def _existing(entry: str, key: str, root: Path, file: Path) -> Path:
    """The path that an entry means; `../x` may also mean `x`, as in Roboflow's exports."""
    tries = [root / entry, *([root / entry[3:]] if entry.startswith("../") else []), file.absolute().parent / entry]
    try:
        for candidate in tries:
            if candidate.exists():
                return Path(os.path.normpath(candidate))
    except (OSError, ValueError):
        pass
    raise UserError(
        f"{file}: the path of `{key}` does not exist",
        value=entry[:200],
        remedy=f"paths are relative to `path:` ({root}) or absolute",
    )


def _expand(path: Path, root: Path) -> list[Path]:
    if path.is_dir():
        return images_under(path)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return [path]
    try:
        lines = read_regular(path).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: can't be read as a list of images ({error})") from None
    return [_listed(line.strip(), path, root) for line in lines if line.strip()]


def _listed(line: str, path: Path, root: Path) -> Path:
    tries = [path.parent / line, root / line]
    chosen = next((p for p in tries if p.exists()), tries[0])
    return Path(os.path.normpath(chosen))


def images_under(folder: Path) -> list[Path]:
    """Image files below a folder, sorted."""
    found: list[Path] = []
    seen: set[str] = set()  # real folders, so that a link to a parent ends
    for base, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(base)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        found += [Path(base, f) for f in files if Path(f).suffix.lower() in IMAGE_SUFFIXES]
    return sorted(found)


def label_path(image: Path) -> Path:
    """Ultralytics' rule: the last folder `images` of the path becomes `labels`, and the suffix `.txt`."""
    head, found, tail = str(image).rpartition("/images/")
    path = f"{head}/labels/{tail}" if found else str(image)
    return Path(path.rpartition(".")[0] + ".txt")


def read_item(image: Path, split: str, findings: list[Finding]) -> RawItem:
    """Read the labels that belong to an image; problems go to `findings`."""
    item = RawItem(image, split, relative=True)
    file = label_path(image)
    try:
        data = read_regular(file)
    except FileNotFoundError:
        return item
    except OSError as error:
        findings.append(
            Finding("error", "label-malformed", f"can't be read ({error.strerror})", str(file), image=str(image))
        )
        return item
    labels = parse_labels(data)
    item.label_file, item.boxes, item.classes, item.lines = str(file), labels.boxes, labels.classes, labels.lines
    findings += [Finding("error", p.code, p.message, str(file), p.line, str(image)) for p in labels.problems]
    return item


def _orphans(items: list[RawItem]) -> list[Finding]:
    """Label files in the `labels` folders of the read images that belong to no image at all, listed or not."""
    expected = {item.label_file for item in items}
    pictures = {folder: label_path(folder / "x.jpg").parent for folder in {item.image.parent for item in items}}
    findings = []
    for images, labels in sorted(pictures.items()):
        if images == labels or not labels.is_dir():
            continue
        stems = {path.stem for path in images.iterdir()} | {"classes"}
        orphans = [f for f in labels.glob("*.txt") if str(f) not in expected and f.stem not in stems]
        text = "this label file has no image"
        findings += [Finding("warning", "label-without-image", text, str(f)) for f in sorted(orphans)]
    return findings
