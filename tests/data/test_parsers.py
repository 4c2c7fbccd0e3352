"""No input makes a parser raise anything but its own error, and what it accepts it gives back exactly."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from faster_coco_eval.core.mask import encode
from hypothesis import given, settings
from hypothesis import strategies as st

from src.common.errors import UserError
from src.data.coco import coco_json, read_coco
from src.data.coco_masks import bounds
from src.data.fingerprint import Entry, fingerprint
from src.data.folders import spellings
from src.data.labels import canonical, format_labels, parse_labels, to_corners
from src.data.scan import look_at
from src.data.types import no_boxes, no_classes
from src.data.voc import VocError, parse_voc, voc_xml
from src.data.yolo import read_yolo
from tests.data.builders import picture

share = st.floats(0, 1, allow_subnormal=False)
rows = st.lists(st.tuples(st.integers(0, 99), share, share, share, share), max_size=8)
words = st.sampled_from(["0", "1", "0.5", "nan", "-inf", "1e999", "1_0", "٣", "x", "", "-", "0x1", "1e-400", "\x00"])
near_labels = st.lists(st.lists(words, max_size=9).map(" ".join), max_size=5).map("\n".join)


@given(st.one_of(st.binary(max_size=200), near_labels.map(str.encode)))
def test_labels_never_raise(data: bytes) -> None:
    labels = parse_labels(data)
    assert np.isfinite(labels.boxes).all()
    assert len(labels.boxes) == len(labels.classes) == len(labels.lines)


@given(rows)
def test_labels_are_exact(table: list[tuple[int, float, float, float, float]]) -> None:
    boxes = np.array([r[1:] for r in table], np.float64).reshape(-1, 4)
    classes = np.array([r[0] for r in table], np.int64)
    labels = parse_labels(format_labels(boxes, classes).encode())
    assert not labels.problems
    assert np.array_equal(labels.boxes, boxes)
    assert labels.classes.tolist() == classes.tolist()


@given(st.one_of(st.binary(max_size=200), near_labels.map(str.encode)), st.integers(1, 4), st.integers(2, 3))
def test_labels_of_poses_never_raise(data: bytes, points: int, numbers: int) -> None:
    labels = parse_labels(data, (points, numbers))
    assert np.isfinite(labels.boxes).all()
    assert len(labels.boxes) == len(labels.written) == len(labels.lines)


@given(rows.filter(bool), st.integers(1, 20), st.integers(2, 3))
def test_a_declared_pose_counts_by_its_box(
    table: list[tuple[int, float, float, float, float]], points: int, numbers: int
) -> None:
    extra = " 0.5 0.25 2" if numbers == 3 else " 0.5 0.25"
    text = "".join(f"{c} {' '.join(map(repr, box))}{extra * points}\n" for c, *box in table)
    labels = parse_labels(text.encode(), (points, numbers))
    assert labels.boxes.tolist() == [list(row[1:]) for row in table]
    wrong = parse_labels(text.encode(), (points + 1, numbers))
    assert len(wrong.problems) == len(table)
    assert all(f"found {5 + points * numbers}" in p.message for p in wrong.problems)


@given(st.lists(st.booleans(), min_size=1, max_size=200), st.integers(1, 12))
def test_the_box_of_a_mask_is_that_of_its_pixels(pixels: list[bool], height: int) -> None:
    """Runs as COCO counts them, down the columns, as a list and packed into text by another's encoder."""
    mask = np.array(pixels[: len(pixels) // height * height] or [True] * height, bool).reshape(-1, height).T
    flat = np.concatenate([[False], mask.T.reshape(-1)])
    edges = np.flatnonzero(np.diff(np.concatenate([flat.astype(int), [-1]])))
    runs = np.diff(np.concatenate([[0], edges])).tolist()
    size = [int(n) for n in mask.shape]
    packed = encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
    text = packed.decode() if isinstance(packed, bytes) else packed
    ys, xs = np.nonzero(mask)
    expected = [xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1] if len(xs) else None
    for counts in (runs, text):
        assert bounds({"size": size, "counts": counts}) == expected


@given(st.one_of(st.text(max_size=30), st.text(alphabet="./\\%2F?d=:data", max_size=30)))
def test_spellings_never_raise_and_begin_with_what_is_written(text: str) -> None:
    found = list(spellings(text))
    assert found[:1] == ([text.strip()] if text.strip() else [])


def test_polygon_becomes_its_box() -> None:
    labels = parse_labels(b"2 0.1 0.2 0.5 0.2 0.5 0.6\n")
    assert np.allclose(labels.boxes, [[0.3, 0.4, 0.4, 0.4]])


def test_byte_order_mark_and_windows_lines() -> None:
    labels = parse_labels(b"\xef\xbb\xbf0 0.5 0.5 0.1 0.1\r\n1 0.5 0.5 0.1 0.1\r\n")
    assert labels.classes.tolist() == [0, 1]
    assert labels.lines == [1, 2]


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
image_row = st.fixed_dictionaries(
    {"id": st.integers(0, 3) | junk, "file_name": st.just("a.png") | junk}, optional={"width": junk, "height": junk}
)
annotation_row = st.fixed_dictionaries(
    {
        "image_id": st.integers(0, 3) | junk,
        "category_id": st.integers(0, 3) | junk,
        "bbox": st.lists(st.floats() | st.integers(), min_size=4, max_size=4) | junk,
    },
    optional={"id": junk, "iscrowd": junk},
)
category_row = st.fixed_dictionaries({"id": st.integers(0, 3) | junk, "name": st.text(max_size=3) | junk})
near_coco = st.fixed_dictionaries(
    {
        "images": st.lists(image_row, max_size=3) | junk,
        "annotations": st.lists(annotation_row, max_size=4) | junk,
        "categories": st.lists(category_row, min_size=1, max_size=3) | junk,
    }
)


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(near_coco.map(json.dumps).map(str.encode), junk.map(json.dumps).map(str.encode), st.binary(max_size=60))
)
def test_coco_raises_only_its_own_error(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "annotations").mkdir()
        (folder / "images" / "train").mkdir(parents=True)
        (folder / "annotations" / "instances_train.json").write_bytes(data)
        try:
            found = read_coco(folder)
        except UserError:
            return
        assert all(np.isfinite(item.boxes).all() for item in found.items)
        assert all((item.classes < len(found.class_names)).all() for item in found.items)


pixel = st.floats(0, 5000, allow_subnormal=False)


@given(st.lists(st.tuples(pixel, pixel, pixel, pixel, st.booleans()), max_size=5))
def test_voc_is_exact(objects: list[tuple[float, float, float, float, bool]]) -> None:
    text = voc_xml("a <b>.jpg", (640, 480), [("cat & dog", box[:4], box[4]) for box in objects])
    parsed = parse_voc(text.encode())
    assert parsed.corners == [box[:4] for box in objects]
    assert parsed.difficult == [box[4] for box in objects]
    assert parsed.size == (640, 480)
    assert set(parsed.names) <= {"cat & dog"}


tags = st.sampled_from(["annotation", "object", "name", "bndbox", "xmin", "ymin", "xmax", "ymax", "size", "width"])
near_xml = st.recursive(
    st.text(alphabet="0123456789.enaif-<&", max_size=6),
    lambda inner: st.tuples(tags, st.lists(inner, max_size=5)).map(lambda t: f"<{t[0]}>{''.join(t[1])}</{t[0]}>"),
    max_leaves=20,
)


@given(st.one_of(st.binary(max_size=100), near_xml.map(lambda t: f"<annotation>{t}</annotation>".encode())))
def test_voc_raises_only_its_own_error(data: bytes) -> None:
    try:
        parsed = parse_voc(data)
    except VocError:
        return
    assert np.isfinite(np.array(parsed.corners)).all()


def test_entities_are_refused() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY x "' + b"y" * 100 + b'">]><annotation><filename>&x;</filename></annotation>'
    with pytest.raises(VocError, match="entities"):
        parse_voc(bomb)


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=60),
        junk.map(json.dumps).map(str.encode),  # JSON is YAML
        st.fixed_dictionaries({"names": junk, "train": junk | st.just("images")}, optional={"val": junk, "nc": junk})
        .map(json.dumps)
        .map(str.encode),
        st.text(alphabet="abc:-[]{}&*!\n '\"#|>%@`,?", max_size=40).map(str.encode),
    )
)
def test_data_yaml_raises_only_its_own_error(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "data.yaml"
        file.write_bytes(data)
        (Path(name) / "images").mkdir()
        (Path(name) / "images" / "a.png").write_bytes(b"")
        try:
            found = read_yolo(file)
        except UserError:
            return
        assert found.class_names


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2000), st.integers(0, 255), st.booleans())
def test_damaged_images_never_raise(at: int, value: int, cut: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        data = bytearray(picture(Path(name) / "a.jpg", 1).read_bytes())
        at %= len(data)
        data[at] = value
        (Path(name) / "a.jpg").write_bytes(data[:at] if cut else data)
        facts = look_at(Path(name) / "a.jpg")
        assert facts.error or (facts.width and facts.height and facts.thumb)


@given(rows.filter(bool), st.integers(1, 4000), st.integers(1, 4000), st.randoms())
def test_pixel_round_trip_is_exact_and_keeps_the_fingerprint(
    table: list[tuple[int, float, float, float, float]], width: int, height: int, random: object
) -> None:
    """Six-digit labels (as tools write them) through COCO's pixels and back."""
    boxes = np.array([r[1:] for r in table], np.float64).reshape(-1, 4).round(6)
    classes = np.array([r[0] for r in table], np.int64)
    corners = to_corners(boxes, width, height)
    ids = list(range(100))
    raw = coco_json([("a", width, height, corners, classes, no_boxes(), no_classes())], [str(i) for i in ids], ids)
    back = np.array([a["bbox"] for a in raw["annotations"]]).reshape(-1, 4)
    assert np.abs(back - np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])).max() < 1e-6
    again = np.hstack([back[:, :2] + back[:, 2:] / 2, back[:, 2:]]) / [width, height, width, height]
    order = np.argsort([hash((i, 7)) for i in range(len(classes))])
    assert canonical(again[order], classes[order]) == canonical(boxes, classes)


def test_fingerprint_is_free_of_order_but_not_of_content() -> None:
    one = Entry("train", "aa", np.array([[0.5, 0.5, 0.1, 0.1]]), np.array([1]), no_boxes(), no_classes())
    two = Entry("val", "bb", no_boxes(), no_classes(), no_boxes(), no_classes())
    moved = Entry("val", "aa", one.boxes, one.classes, no_boxes(), no_classes())
    crowd = Entry("train", "aa", no_boxes(), no_classes(), one.boxes, one.classes)
    base = fingerprint([one, two], ["a", "b"])
    assert fingerprint([two, one], ["a", "b"]) == base
    others = [
        fingerprint([moved, two], ["a", "b"]),
        fingerprint([one, two], ["a", "c"]),
        fingerprint([one], ["a", "b"]),
    ]
    assert len({base, *others, fingerprint([crowd, two], ["a", "b"])}) == 5
