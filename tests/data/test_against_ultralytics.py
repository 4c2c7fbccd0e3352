"""Whatever YOLO folder Ultralytics reads without a complaint is read here with the same boxes, on the same pictures."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from src.data.yolo import read_yolo
from tests.data.builders import picture

NEAR = 1e-6
PICTURES = {".jpg": "JPEG", ".JPG": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".bmp": "BMP", ".webp": "WEBP",
            ".tif": "TIFF", ".avif": "AVIF", ".jp2": "JPEG2000"}  # fmt: skip
share = st.integers(1, 98).map(lambda v: v / 100)


@st.composite
def box_rows(draw: st.DrawFn) -> list[str]:
    rows = []
    for _ in range(draw(st.integers(0, 4))):
        x, y = draw(share), draw(share)
        w, h = draw(st.floats(0.01, 1)) * 2 * min(x, 1 - x), draw(st.floats(0.01, 1)) * 2 * min(y, 1 - y)
        rows.append(f"{draw(st.integers(0, 1))} {x:.6f} {y:.6f} {w:.6f} {h:.6f}")
    return rows


@st.composite
def polygon_rows(draw: st.DrawFn) -> list[str]:
    rows = []
    for _ in range(draw(st.integers(1, 3))):
        points = draw(st.lists(st.floats(0, 1, width=32), min_size=6, max_size=12).filter(lambda v: len(v) % 2 == 0))
        assume(np.ptp(points[::2]) > 0.01 and np.ptp(points[1::2]) > 0.01)
        rows.append(" ".join([str(draw(st.integers(0, 1))), *(f"{v:.6f}" for v in points)]))
    return rows


@st.composite
def folders(draw: st.DrawFn) -> dict[str, Any]:
    """How a dataset is laid out."""
    kind = draw(st.sampled_from(["box", "box", "polygon", "pose2", "pose3"]))
    rows = polygon_rows() if kind == "polygon" else box_rows()
    return {
        "kind": kind,
        "layout": draw(st.sampled_from(["images/{}", "{}/images", "images/{}/deep", "pictures/{}", "images/x y/{}"])),
        "suffixes": draw(st.lists(st.sampled_from(sorted(PICTURES)), min_size=1, max_size=3)),
        "names": draw(st.sampled_from(["list", "numbers", "texts", "count", "nc text"])),
        "as_list": draw(st.booleans()),
        "bom": draw(st.booleans()),
        "windows": draw(st.booleans()),
        "hidden": draw(st.booleans()),
        "root": draw(st.sampled_from([None, "absolute", "elsewhere"])),
        "test": draw(st.sampled_from([None, "missing", "empty"])),
        "train": draw(st.lists(rows, min_size=1, max_size=4)),
        "val": draw(st.lists(rows, min_size=1, max_size=2)),
        "unlabelled": draw(st.integers(0, 1)),
    }


def lay_out(folder: Path, how: dict[str, Any]) -> Path:
    """Write the dataset; returns its data.yaml."""
    names: Any = {"list": ["a", "b"], "numbers": {0: "a", 1: "b"}, "texts": {"0": "a", "1": "b"}}.get(how["names"])
    content: dict[str, Any] = {"names": names} if names else {"nc": "2" if how["names"] == "nc text" else 2}
    points = {"pose2": [2, 2], "pose3": [2, 3]}.get(how["kind"])
    if points:
        content["kpt_shape"] = points
    if how["root"]:
        content["path"] = str(folder if how["root"] == "absolute" else folder / "conf/..")
        (folder / "conf").mkdir()
    for number, split in enumerate(("train", "val")):
        place = how["layout"].format(split)
        paths = []
        for i, rows in enumerate([*how[split], *([None] * how["unlabelled"])]):
            suffix = how["suffixes"][i % len(how["suffixes"])]
            path = picture(folder / place / f"{split} {i}{suffix}", 90 * number + i, format=PICTURES[suffix])
            paths.append(f"./{place}/{path.name}")
            if rows is not None:
                write_label(path, rows, how)
        if how["hidden"]:
            (folder / place / "._x.jpg").write_bytes(b"\0\5\x16\7")
        content[split] = place
        if how["as_list"]:
            (folder / f"{split}.txt").write_text("\n".join(paths), encoding="utf-8-sig" if how["bom"] else "utf-8")
            content[split] = f"{split}.txt"
    if how["test"]:
        content["test"] = "images/test"
    if how["test"] == "empty":
        (folder / "images/test").mkdir(parents=True)
    (folder / "data.yaml").write_text(yaml.safe_dump(content))
    return folder / "data.yaml"


def write_label(image: Path, rows: list[str], how: dict[str, Any]) -> None:
    """The rows of a picture, with key points where the dataset declares them."""
    extra = {"pose2": " 0.25 0.5 0.5 0.25", "pose3": " 0.25 0.5 2 0.5 0.25 1"}.get(how["kind"], "")
    head, found, tail = str(image).rpartition("/images/")
    file = Path(f"{head}/labels/{tail}" if found else image).with_suffix(".txt")
    file.parent.mkdir(parents=True, exist_ok=True)
    text = ("\r\n" if how["windows"] else "\n").join(row + extra for row in rows)
    file.write_bytes(text.encode("utf-8-sig" if how["bom"] else "utf-8"))


def theirs(file: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, np.ndarray[Any, Any]]] | None:
    """What Ultralytics reads, [n, 5] by name of picture and split; None when it complains."""
    from ultralytics.data import utils
    from ultralytics.data.dataset import YOLODataset

    monkeypatch.setattr(utils, "check_font", lambda *args, **kwargs: None)  # it may download one
    data = utils.check_det_dataset(str(file), autodownload=False)
    found: dict[str, dict[str, np.ndarray[Any, Any]]] = {}
    for split in ("train", "val"):
        dataset = YOLODataset(img_path=data[split], data=data, task="detect", augment=False)
        wanted = len(dataset.get_img_files(data[split]))
        if len(dataset.labels) != wanted:
            return None
        found[split] = {
            Path(own["im_file"]).name: np.hstack([own["cls"].reshape(-1, 1), own["bboxes"].reshape(-1, 4)])
            for own in dataset.labels
        }
    return found


PLAIN: dict[str, Any] = {
    "kind": "box", "layout": "images/{}", "suffixes": [".jpg"], "names": "list", "as_list": False, "bom": False,
    "windows": False, "hidden": True, "root": None, "test": "missing", "unlabelled": 1,
    "train": [["0 0.5 0.5 0.2 0.2", "1 0.4 0.5 0.2 0.1"], []], "val": [["1 0.5 0.5 0.25 0.5"]],
}  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(folders())
@example(PLAIN)
@example({**PLAIN, "layout": "pictures/{}", "kind": "pose3", "names": "texts"})
@example({**PLAIN, "as_list": True, "bom": True, "windows": True, "suffixes": [".avif", ".JPG"]})
def test_the_same_boxes(how: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as home, pytest.MonkeyPatch.context() as monkeypatch:
        ours, copy = Path(home) / "ours", Path(home) / "copy"  # Ultralytics writes caches beside the labels
        ours.mkdir()
        lay_out(ours, how)
        shutil.copytree(ours, copy)
        text = (copy / "data.yaml").read_text().replace(str(ours), str(copy))
        (copy / "data.yaml").write_text(text)
        wanted = theirs(copy / "data.yaml", monkeypatch)
        assume(wanted is not None and any(len(v) for v in wanted["train"].values()))
        data = read_yolo(ours / "data.yaml")
    assert wanted is not None
    assert [f for f in data.findings if f.level == "error"] == []
    for split, images in wanted.items():
        found = {i.image.name: np.hstack([i.classes.reshape(-1, 1), i.boxes]) for i in data.items if i.split == split}
        assert set(found) == set(images)
        for name, rows in images.items():
            own = np.unique(found[name].round(9), axis=0)  # Ultralytics sorts, and drops what is there twice
            rows = np.unique(rows.astype(np.float64).round(9), axis=0)
            assert own.shape == rows.shape, name
            order = [np.lexsort(t.round(4).T[::-1]) for t in (own, rows)]
            assert np.abs(own[order[0]] - rows[order[1]]).max(initial=0) < NEAR, name
