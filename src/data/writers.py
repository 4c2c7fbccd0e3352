"""Write a dataset to a new folder as YOLO, COCO or VOC: written aside and renamed, with a manifest of what was done."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from src.common import encryption, image_loaders
from src.common.errors import UserError
from src.common.whole_files import whole_folder, write_text
from src.data.coco import coco_json
from src.data.cvat import cvat_xml
from src.data.fingerprint import fingerprint, label_fingerprint
from src.data.label_studio import label_config, tasks_of
from src.data.labels import format_labels, to_corners
from src.data.layout import Ready
from src.data.naming import distinct
from src.data.types import SPLITS
from src.data.voc import voc_xml

Pixels = Callable[[Ready, Path], Ready]  # puts the image file at the path, and tells what it is now


@dataclass(frozen=True)
class Output:
    """What to write."""

    images: list[Ready]
    class_names: list[str]
    category_ids: list[int]
    manifest: dict[str, Any]


def write_dataset(output: Output, out: Path, to: str, pixels: Pixels) -> dict[str, Any]:
    """Write the dataset and return its manifest, which also lies in `out/manifest.json`.

    Raises:
        UserError: `out` exists, or `to` is no known format.
    """
    check_target(out, to)
    with whole_folder(out) as aside:
        done = FORMATS[to](output, aside, pixels)
        entries = [image.entry() for image in done]
        manifest = {
            **output.manifest,
            "format": to,
            "images": {split: sum(i.split == split for i in done) for split in SPLITS},
            "fingerprint": fingerprint(entries, output.class_names),
            "label_fingerprint": label_fingerprint(entries),
        }
        write_text(aside / "manifest.json", json.dumps(manifest, indent=1) + "\n")
    return manifest


def check_target(out: Path, to: str) -> None:
    """Refuse to write over anything.

    Raises:
        UserError: `out` exists, or `to` is no known format.
    """
    if to not in FORMATS:
        raise UserError("to is not a known format", value=to, remedy=f"to={', '.join(FORMATS)}")
    if out.exists() or out.is_symlink():
        raise UserError("out exists already, and nothing is ever written over", value=out, remedy="out=NEW_FOLDER")


def refuse_inside(out: Path, places: Iterable[Path]) -> None:
    """Refuse to write where the dataset itself is read from: its next reading would find the copies.

    Args:
        places: folders below which pictures or annotations of the dataset are looked for.

    Raises:
        UserError: `out` lies below one of them.
    """
    real = Path(os.path.realpath(out))
    for place in {Path(os.path.realpath(place)) for place in places}:
        if place in real.parents:
            text = f"out lies within the dataset, in {place}: its next reading would find the new files"
            raise UserError(text, value=out, remedy="out=NEW_FOLDER beside the dataset")


def copy_pixels(image: Ready, target: Path) -> Ready:
    """Copy the file."""
    shutil.copyfile(image.source, target)
    return image


def link_pixels(image: Ready, target: Path) -> Ready:
    """Link to the file; copied where links can't be made."""
    try:
        target.symlink_to(image.source.absolute())
    except OSError:
        shutil.copyfile(image.source, target)
    return image


def shrink_to(side: int) -> Pixels:
    """Scale so that the longer side has at most `side` pixels; smaller images stay as they are."""

    def pixels(image: Ready, target: Path) -> Ready:
        if max(image.width, image.height) <= side or image_loaders.active():  # only a loader can write its files
            return copy_pixels(image, target)
        from PIL import Image, ImageOps

        content = image.source.read_bytes()
        secret = encryption.is_encrypted(content)
        with Image.open(io.BytesIO(encryption.plain(content, str(image.source)))) as opened:
            # Boxes are those of the picture as shown, and a written file needs no rotation mark.
            shown = ImageOps.exif_transpose(opened)
            size = scaled(image.width, image.height, side)
            buffer = io.BytesIO()
            options = {"quality": 95} if opened.format in ("JPEG", "MPO", "WEBP") else {}
            kind = "JPEG" if opened.format == "MPO" else opened.format
            shown.resize(size, Image.Resampling.LANCZOS).save(buffer, kind, **options)
        shrunk = buffer.getvalue()
        if secret:
            shrunk = encryption.encrypt(shrunk, encryption.key_from_environment())
        target.write_bytes(shrunk)
        areas = image.areas * (size[0] * size[1] / (image.width * image.height))
        return replace(image, width=size[0], height=size[1], sha256=hashlib.sha256(shrunk).hexdigest(), areas=areas)

    return pixels


def stretch_from(bits: int) -> Pixels:
    """Write 16-bit images as 8-bit PNG, so that the largest value of `bits` bits becomes 255; copy all others."""
    top = (1 << max(bits, 1)) - 1

    def pixels(image: Ready, target: Path) -> Ready:
        import cv2

        if image_loaders.active():
            return copy_pixels(image, target)
        content = image.source.read_bytes()
        secret = encryption.is_encrypted(content)
        data = np.frombuffer(encryption.plain(content, str(image.source)), np.uint8)
        values = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        if values is None or values.dtype != np.uint16:
            return copy_pixels(image, target)
        eight = np.clip(values.astype(np.float64) * (255.0 / top) + 0.5, 0, 255).astype(np.uint8)
        written = cv2.imencode(".png", eight)[1].tobytes()
        if secret:
            written = encryption.encrypt(written, encryption.key_from_environment())
        target.write_bytes(written)
        return replace(image, sha256=hashlib.sha256(written).hexdigest())

    return pixels


def scaled(width: int, height: int, side: int) -> tuple[int, int]:
    """Width and height after shrinking the longer side to `side`."""
    factor = min(1.0, side / max(width, height))
    return max(1, round(width * factor)), max(1, round(height * factor))


def _write_yolo(output: Output, base: Path, pixels: Pixels) -> list[Ready]:
    done = []
    for image in output.images:
        target = base / "images" / image.split / image.name
        label = base / "labels" / image.split / f"{Path(image.name).stem}.txt"
        target.parent.mkdir(parents=True, exist_ok=True)
        label.parent.mkdir(parents=True, exist_ok=True)
        done.append(pixels(image, target))
        label.write_text(format_labels(done[-1].boxes, done[-1].classes), encoding="utf-8", newline="")
    splits = {split: f"images/{split}" for split in SPLITS if any(i.split == split for i in done)}
    content = {**splits, "names": dict(enumerate(output.class_names))}
    write_text(base / "data.yaml", yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    return done


def _write_coco(output: Output, base: Path, pixels: Pixels) -> list[Ready]:
    done = []
    for split in SPLITS:
        own = [image for image in output.images if image.split == split]
        if not own:
            continue
        (base / "images" / split).mkdir(parents=True)
        written = [pixels(image, base / "images" / split / image.name) for image in own]
        rows, areas = [_row(image) for image in written], [image.areas for image in written]
        content = coco_json(rows, output.class_names, output.category_ids, areas)
        write_text(base / "annotations" / f"instances_{split}.json", json.dumps(content) + "\n")
        done += written
    return done


def _row(image: Ready) -> tuple[str, int, int, Any, Any, Any, Any]:
    boxes = to_corners(image.boxes, image.width, image.height)
    ignored = to_corners(image.ignored, image.width, image.height)
    return image.name, image.width, image.height, boxes, image.classes, ignored, image.ignored_classes


def _write_voc(output: Output, base: Path, pixels: Pixels) -> list[Ready]:
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (base / folder).mkdir(parents=True)
    done = []
    lists: dict[str, list[str]] = {}
    for image, name in zip(output.images, flat_names(output.images), strict=True):
        written = pixels(image, base / "JPEGImages" / name)
        stem = Path(name).stem
        (base / "Annotations" / f"{stem}.xml").write_text(_xml(written, name, output.class_names), encoding="utf-8")
        lists.setdefault(image.split, []).append(f"{stem}\n")
        done.append(written)
    for split, stems in lists.items():
        write_text(base / "ImageSets" / "Main" / f"{split}.txt", "".join(stems))
    write_text(base / "classes.txt", "".join(f"{name}\n" for name in output.class_names))
    return done


def flat_names(images: Sequence[Ready]) -> list[str]:
    """Names that are unique without their split, since VOC keeps all images in one folder."""
    stems: dict[str, int] = {}
    for image in images:
        stem = Path(image.name).stem.lower()
        stems[stem] = stems.get(stem, 0) + 1
    names = [i.name if stems[Path(i.name).stem.lower()] == 1 else f"{i.split}-{i.name}" for i in images]
    return distinct(names, [""] * len(names))


def _write_label_studio(output: Output, base: Path, pixels: Pixels) -> list[Ready]:
    done = []
    for split in SPLITS:
        own = [image for image in output.images if image.split == split]
        if not own:
            continue
        written = _under_images(own, base, pixels)
        rows = [(f"images/{split}/{i.name}", *_row(i)[1:5]) for i in written]
        tasks = tasks_of([(n, w, h, b.tolist(), c.tolist()) for n, w, h, b, c in rows], split, output.class_names)
        write_text(base / f"tasks_{split}.json", json.dumps(tasks) + "\n")
        done += written
    write_text(base / "label_config.xml", label_config(output.class_names))
    return done


def _write_cvat(output: Output, base: Path, pixels: Pixels) -> list[Ready]:
    done = _under_images(output.images, base, pixels)
    rows = [(f"{i.split}/{i.name}", i.split, *_row(i)[1:5]) for i in done]
    images = [(n, s, w, h, b.tolist(), c.tolist()) for n, s, w, h, b, c in rows]
    write_text(base / "annotations.xml", cvat_xml(images, output.class_names))
    return done


def _under_images(images: Sequence[Ready], base: Path, pixels: Pixels) -> list[Ready]:
    """The image files as images/<split>/<name>."""
    for split in {image.split for image in images}:
        (base / "images" / split).mkdir(parents=True, exist_ok=True)
    return [pixels(image, base / "images" / image.split / image.name) for image in images]


def _xml(image: Ready, name: str, names: Sequence[str]) -> str:
    _, width, height, boxes, classes, ignored, ignored_classes = _row(image)
    objects = [(names[c], box, False) for box, c in zip(boxes.tolist(), classes.tolist(), strict=True)]
    objects += [(names[c], box, True) for box, c in zip(ignored.tolist(), ignored_classes.tolist(), strict=True)]
    return voc_xml(name, (width, height), objects)


FORMATS: dict[str, Callable[[Output, Path, Pixels], list[Ready]]] = {
    "yolo": _write_yolo,
    "coco": _write_coco,
    "voc": _write_voc,
    "label_studio": _write_label_studio,
    "cvat": _write_cvat,
}
KEEP_REGIONS = frozenset({"coco", "voc"})  # formats that can hold regions to ignore
