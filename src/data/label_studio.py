"""Read and write Label Studio's own JSON: a list of tasks, or its shorter form (JSON-MIN).

Coordinates are percent of the picture's sides; a turned rectangle is turned about its upper left corner. Of several
annotations of a task the last that was not skipped counts. A task that nobody annotated is no background: it is left
out. Predictions are never taken for labels.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from src.common.errors import UserError
from src.data.folders import split_in, split_of
from src.data.hints import looks_like_label_studio, not_found
from src.data.text_files import read_json, read_text
from src.data.tool_exports import Corners, Labelled, around, dataset_of, left_out, refuse_boxless, turned
from src.data.types import Finding, RawDataset

LABELS = {"rectanglelabels": "rectanglelabels", "polygonlabels": "polygonlabels", "ellipselabels": "ellipselabels"}
OTHERS = ("brushlabels", "keypointlabels", "rectangle", "polygon", "ellipse", "brush", "keypoint", "vector", "bitmask")
LOCAL = "/data/local-files/?d="
UPLOADED = re.compile(r"/upload/(?:\d+/)?[0-9a-f]{8}-([^/]+)$")  # what it names a picture that came through its page
REMEDY = "export from Label Studio as JSON, and put the file beside the pictures"


def read_label_studio(path: Path) -> RawDataset:
    """Read an export: a JSON file, or a folder with one or several.

    Raises:
        UserError: there is none, it is no export of Label Studio, or none of its pictures is there.
    """
    files = [path] if path.is_file() else sorted(p for p in path.glob("*.json") if looks_like_label_studio(p))
    folder = path.parent if path.is_file() else path
    if not files:
        raise not_found(path, "label_studio", "no JSON export of Label Studio lies here", REMEDY)
    findings: list[Finding] = []
    shapes: Counter[str] = Counter()
    pictures = [p for file in files for p in _read(file, findings, shapes)]
    findings += left_out(shapes, files[0], "boxes, polygons and ellipses have one")
    refuse_boxless(pictures, findings, f"{files[0]}: no task has a labelled box", "annotate, and export again")
    return dataset_of(files[0], folder, pictures, _class_names(folder), findings)


def _class_names(folder: Path) -> list[str]:
    """Classes in the order of the labelling interface, where `label_config.xml` lies beside the export."""
    file = folder / "label_config.xml"
    if not file.is_file():
        return []
    text = read_text(file)
    found = re.findall(r"<Label\s[^>]*?value=([\"'])(.*?)\1", text)
    return list(dict.fromkeys(_unescaped(value) for _, value in found))


def _read(file: Path, findings: list[Finding], shapes: Counter[str]) -> Iterator[Labelled]:
    tasks = read_json(file)
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise UserError(f"{file}: expected a list of tasks, as Label Studio exports it", remedy=REMEDY)
    skipped = 0
    drawn: list[dict[str, Any]] = []
    for number, task in enumerate(tasks, start=1):
        name, regions = _image(task), _regions(task)
        if not name:
            findings.append(_problem(f"task {_id(task, number)} names no picture in its `data`", file))
        elif regions is None:
            skipped += 1
        else:
            drawn += regions
            yield _labelled(task, name, regions, file, findings, shapes, _id(task, number))
    findings += _odd(drawn, file)
    if skipped:
        text = f"{skipped} of {len(tasks)} tasks have no annotation (or skipped ones only) and were left out"
        findings.append(Finding("warning", "task-unlabelled", text, str(file)))


def _odd(regions: Sequence[dict[str, Any]], file: Path) -> list[Finding]:
    """A word on shapes of which a part is not heeded: further labels, and the turn of the whole picture."""
    values = [region["value"] for region in regions if isinstance(region.get("value"), dict)]
    several = sum(isinstance(own := value.get(key), list) and len(own) > 1 for value in values for key in LABELS)
    rotated = sum(region.get("image_rotation") not in (None, 0) for region in regions)
    told = []
    if several:
        text = f"{several} shapes have several labels, of which the first is the class: give one control its own labels"
        told.append(Finding("warning", "label-several", text, str(file)))
    if rotated:
        text = (
            f"{rotated} shapes were drawn while the picture was shown turned (`image_rotation`): Label Studio writes "
            "their place on the file itself, so they are read without that turn"
        )
        told.append(Finding("warning", "image-rotated", text, str(file)))
    return told


def _id(task: dict[str, Any], number: int) -> str:
    return str(task.get("id", f"number {number}"))[:24]


def _image(task: dict[str, Any]) -> str:
    """The picture of a task: the first text of its data that looks like one."""
    data = task.get("data", task)
    data = data if isinstance(data, dict) else {}
    words = [str(data[key]) for key in ("image", "img", "ocr") if isinstance(data.get(key), str)]
    words += [v for v in data.values() if isinstance(v, str) and re.search(r"\.\w{3,5}$", v)]
    return words[0] if words else ""


def _regions(task: dict[str, Any]) -> list[dict[str, Any]] | None:
    """What was drawn; None where nobody annotated."""
    made = task.get("annotations", task.get("completions"))
    if isinstance(made, list):
        done = [a for a in made if isinstance(a, dict) and not a.get("was_cancelled")]
        return [r for r in done[-1].get("result") or [] if isinstance(r, dict)] if done else None
    short = [v for key, v in task.items() if key != "data" and _is_short(v)]
    return [{"value": r, **r} for own in short for r in own] or None


def _is_short(value: object) -> TypeGuard[list[dict[str, Any]]]:
    """Whether a key of the shorter form holds shapes."""
    return isinstance(value, list) and bool(value) and all(isinstance(r, dict) and "original_width" in r for r in value)


def _labelled(
    task: dict[str, Any],
    name: str,
    regions: Sequence[dict[str, Any]],
    file: Path,
    findings: list[Finding],
    shapes: Counter[str],
    number: str,
) -> Labelled:
    data = task.get("data")
    word = str(data.get("split", "")) if isinstance(data, dict) else ""
    found = Labelled(name.removeprefix(LOCAL) if name.startswith(LOCAL) else name, split_of(word), None)
    found.split = found.split or split_in(file.stem)
    if (uploaded := UPLOADED.search(name)) is not None:
        found.before = uploaded[1]
    for region in regions:
        kind = str(region.get("type") or next((k for k in (*LABELS, *OTHERS) if k in region), ""))
        value = region.get("value")
        if kind not in LABELS or not isinstance(value, dict):
            if kind in OTHERS or kind.endswith("labels"):
                shapes[kind] += 1
            continue
        size, corners = _size(region), None
        labels = value.get(LABELS[kind])
        if size is not None and isinstance(labels, list) and labels:
            corners = _corners(kind, value, size)
        if corners is None or size is None:
            text = f"task {number}: a {kind} lacks its label, its numbers or the picture's size: {str(value)[:80]}"
            findings.append(_problem(text, file))
            continue
        found.size = size
        found.names.append(str(labels[0]))  # type: ignore[index]  # looked at above
        found.corners.append(corners)
        found.written.append(f"{str(value)[:120]} of task {number}")
    return found


def _size(region: dict[str, Any]) -> tuple[int, int] | None:
    width, height = region.get("original_width"), region.get("original_height")
    if _is_number(width) and _is_number(height) and 0 < width < 1e6 and 0 < height < 1e6:
        return int(width), int(height)
    return None


def _corners(kind: str, value: dict[str, Any], size: tuple[int, int]) -> Corners | None:
    """Px of a shape in percent; None where numbers are missing."""
    x_px, y_px = size[0] / 100, size[1] / 100
    if kind == "polygonlabels":
        points = value.get("points")
        if not isinstance(points, list) or len(points) < 3 or not all(_is_point(p) for p in points):
            return None
        return around([(x * x_px, y * y_px) for x, y in points])
    keys = ("x", "y", "radiusX", "radiusY") if kind == "ellipselabels" else ("x", "y", "width", "height")
    numbers, turn = [value.get(key) for key in keys], value.get("rotation", 0)
    if not all(map(_is_number, numbers)) or not _is_number(turn):
        return None
    x, y, w, h = (float(v) for v in numbers)  # type: ignore[arg-type]
    x, y, w, h = x * x_px, y * y_px, w * x_px, h * y_px
    if kind == "ellipselabels":
        return turned((x - w, y - h), (2 * w, 2 * h), turn, (x, y))
    return turned((x, y), (w, h), turn, (x, y))


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_point(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))


def _problem(text: str, file: Path) -> Finding:
    return Finding("error", "label-malformed", text, str(file))


def tasks_of(
    images: Sequence[tuple[str, int, int, Any, Any]], split: str, names: Sequence[str]
) -> list[dict[str, Any]]:
    """Tasks that Label Studio imports, with the boxes as finished annotations.

    Args:
        images: (path below the folder, width, height, boxes [n, 4] x1 y1 x2 y2 px, classes [n]).
        split: kept in the data of each task.
        names: of the classes.
    """
    return [
        {
            "id": number,
            "data": {"image": f"{LOCAL}{path}", "split": split},
            "annotations": [{"result": [_region(b, names[c], w, h) for b, c in zip(boxes, classes, strict=True)]}],
        }
        for number, (path, w, h, boxes, classes) in enumerate(images, start=1)
    ]


def _region(box: Sequence[float], name: str, width: int, height: int) -> dict[str, Any]:
    x1, y1, x2, y2 = (float(v) for v in box)
    value = {
        "x": 100 * x1 / width,
        "y": 100 * y1 / height,
        "width": 100 * (x2 - x1) / width,
        "height": 100 * (y2 - y1) / height,
        "rotation": 0,
        "rectanglelabels": [name],
    }
    size = {"original_width": width, "original_height": height, "image_rotation": 0}
    return {"type": "rectanglelabels", "from_name": "label", "to_name": "image", **size, "value": value}


def label_config(names: Sequence[str]) -> str:
    """The labelling interface for these classes, to be pasted into a project's settings."""
    labels = "\n".join(f'    <Label value="{_escaped(name)}"/>' for name in names)
    head = '<View>\n  <Image name="image" value="$image"/>\n  <RectangleLabels name="label" toName="image">\n'
    return f"{head}{labels}\n  </RectangleLabels>\n</View>\n"


ENTITIES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"))


def _escaped(name: str) -> str:
    for sign, entity in ENTITIES:
        name = name.replace(sign, entity)
    return name


def _unescaped(text: str) -> str:
    for sign, entity in reversed(ENTITIES):
        text = text.replace(entity, sign)
    return text
