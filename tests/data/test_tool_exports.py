"""Label Studio's JSON and CVAT's XML, as those tools write them: what is read, what is told, and back again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from src.common.errors import UserError
from src.data.coco import read_coco
from src.data.cvat import read_cvat
from src.data.label_studio import read_label_studio
from src.data.prepare import prepare
from src.data.tool_exports import turned
from src.data.tool_plans import Options
from src.data.tools import run_tool
from src.data.types import RawDataset
from src.data.voc import read_voc
from tests.data.builders import box, coco_set, config, picture

SIZE = (200, 100)


def region(kind: str, size: tuple[int, int] = SIZE, **value: Any) -> dict[str, Any]:
    sides = {"original_width": size[0], "original_height": size[1], "image_rotation": 0}
    return {"type": kind, "from_name": "label", "to_name": "image", **sides, "value": value}


def rectangle(name: str, x: float, y: float, w: float, h: float, rotation: float = 0) -> dict[str, Any]:
    return region("rectanglelabels", x=x, y=y, width=w, height=h, rotation=rotation, rectanglelabels=[name])


def task(number: int, *results: dict[str, Any], image: str = "", **more: Any) -> dict[str, Any]:
    own = {"image": image or f"/data/upload/1/a1b2c3d4-{number}.png"}
    return {"id": number, "data": own, "annotations": [{"id": 1, "result": list(results)}], "predictions": [], **more}


def label_studio(folder: Path, tasks: list[dict[str, Any]]) -> Path:
    for number in range(1, 5):
        picture(folder / "images" / f"a1b2c3d4-{number}.png", number, SIZE)
    (folder / "project-1.json").write_text(json.dumps(tasks))
    return folder


def corners(data: RawDataset, at: int = 0) -> list[list[float]]:
    boxes = data.items[at].boxes
    return [[x - w / 2, y - h / 2, x + w / 2, y + h / 2] for x, y, w, h in boxes.tolist()]


def test_percent_are_of_each_side_and_shapes_count_by_their_box(tmp_path: Path) -> None:
    polygon = region("polygonlabels", points=[[10, 10], [30, 20], [20, 50]], polygonlabels=["cat"])
    ellipse = region("ellipselabels", x=50, y=50, radiusX=10, radiusY=20, rotation=0, ellipselabels=["dog"])
    folder = label_studio(tmp_path, [task(1, rectangle("dog", 10, 20, 30, 40), polygon, ellipse)])
    data = read_label_studio(folder)
    assert data.class_names == ["cat", "dog"]
    assert corners(data) == [[20, 20, 80, 60], [20, 10, 60, 50], [80, 30, 120, 70]]
    assert [data.class_names[c] for c in data.items[0].classes] == ["dog", "cat", "dog"]
    assert data.items[0].stated_size == SIZE


def test_a_turned_rectangle_is_turned_about_its_corner_in_px(tmp_path: Path) -> None:
    folder = label_studio(tmp_path, [task(1, rectangle("cat", 50, 50, 10, 10, rotation=90))])
    assert corners(read_label_studio(folder))[0] == pytest.approx([90, 50, 100, 70])
    assert turned((0, 0), (4, 2), 360, (0, 0)) == (0, 0, 4, 2)


def shown(point: tuple[float, float], turn: int) -> tuple[float, float]:
    """Where a point of a picture is seen while it is shown turned clockwise, px."""
    (x, y), (w, h) = point, SIZE
    return {0: (x, y), 90: (h - y, x), 180: (w - x, h - y), 270: (y, w - x)}[turn]


def as_label_studio_writes(corner: tuple[float, float], other: tuple[float, float], turn: int) -> dict[str, Any]:
    """A rectangle drawn on the turned view, as Label Studio's page serialises it: turned back, in percent of the file.

    Its `serialize` of regions turns by `-rotation` (releases up to 1.0), or draws on a stage that is turned as a whole
    (later ones); `original_width` and `original_height` are the file's in both.
    """
    (u, v), (w, h) = zip(corner, other, strict=True), SIZE
    back = {
        0: lambda a, b: (a, b),
        90: lambda a, b: (b, h - a),
        180: lambda a, b: (w - a, h - b),
        270: lambda a, b: (w - b, a),
    }[turn]
    xs, ys = zip(*(back(a, b) for a, b in zip(u, v, strict=True)), strict=True)
    drawn = rectangle("cat", min(xs) * 100 / w, min(ys) * 100 / h, (max(xs) - min(xs)) * 100 / w, 0)
    drawn["value"]["height"] = (max(ys) - min(ys)) * 100 / h
    return {**drawn, "image_rotation": turn}


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_box_drawn_on_a_turned_view_lies_on_the_file_itself(turn: int, tmp_path: Path) -> None:
    """The bright part of a picture, drawn around as it is seen, is found at its place in the file."""
    bright = (20.0, 30.0, 60.0, 50.0)
    seen = [shown((bright[0], bright[1]), turn), shown((bright[2], bright[3]), turn)]
    folder = label_studio(tmp_path, [task(1, as_label_studio_writes(seen[0], seen[1], turn))])
    data = read_label_studio(folder)
    assert corners(data)[0] == pytest.approx(bright)
    assert [f.code for f in data.findings if f.code == "image-rotated"] == (["image-rotated"] if turn else [])
    assert data.items[0].stated_size == SIZE


def test_an_export_for_a_picture_that_was_turned_itself_is_refused_by_name(tmp_path: Path) -> None:
    """Its sides are exchanged: the boxes belong to a file that isn't here."""
    drawn = rectangle("cat", 10, 10, 20, 20) | {"original_width": SIZE[1], "original_height": SIZE[0]}
    folder = label_studio(tmp_path, [task(1, drawn | {"image_rotation": 90}), task(2, rectangle("cat", 1, 1, 9, 9))])
    with pytest.raises(UserError, match=r"-1\.png.*100x200 px.*200x100.*turned by 90 degrees"):
        prepare(config("label_studio", path=folder), tmp_path / "o")


def test_the_last_annotation_that_was_not_skipped_counts_and_predictions_never(tmp_path: Path) -> None:
    first = task(1)
    first["annotations"] = [
        {"result": [rectangle("cat", 0, 0, 10, 10)]},
        {"result": [rectangle("dog", 0, 0, 20, 20)]},
        {"result": [rectangle("cat", 0, 0, 50, 50)], "was_cancelled": True},
    ]
    only_predicted = {**task(2), "annotations": [], "predictions": [{"result": [rectangle("cat", 0, 0, 9, 9)]}]}
    background = task(3)
    folder = label_studio(tmp_path, [first, only_predicted, background])
    data = read_label_studio(folder)
    assert [item.image.stem[-1] for item in data.items] == ["1", "3"], "nobody annotated the second: no background"
    assert corners(data) == [[0, 0, 40, 20]]
    assert any("1 of 3 tasks" in f.message for f in data.findings)


def test_the_shorter_form_is_read_too(tmp_path: Path) -> None:
    sides = {"original_width": 200, "original_height": 100}
    own = {"x": 10, "y": 10, "width": 10, "height": 10, "rotation": 0, "rectanglelabels": ["cat"], **sides}
    folder = label_studio(tmp_path, [{"id": 1, "image": "/data/local-files/?d=x/a1b2c3d4-1.png", "label": [own]}])
    assert corners(read_label_studio(folder)) == [[20, 10, 40, 20]]


def test_what_has_no_box_is_told_and_what_is_broken_is_an_error(tmp_path: Path) -> None:
    brush = region("brushlabels", format="rle", rle=[1], brushlabels=["cat"])
    lacking = region("rectanglelabels", x=1, y="?", width=1, height=1, rectanglelabels=["cat"])
    folder = label_studio(tmp_path, [task(1, rectangle("cat", 0, 0, 10, 10), brush, lacking)])
    data = read_label_studio(folder)
    found = {f.code: f for f in data.findings}
    assert "1 brushlabels" in found["shape-left-out"].message
    assert found["label-malformed"].level == "error"


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><labels><label><name>dog</name></label><label><name>cat &amp; co</name></label></labels></task></meta>
  <image id="0" name="Train/p1.png" subset="Train" width="200" height="100">
    <box label="cat &amp; co" source="manual" occluded="0" xtl="10.5" ytl="20" xbr="60" ybr="40" z_order="0">
      <attribute name="late">yes</attribute>
    </box>
    <box label="dog" occluded="0" xtl="100" ytl="40" xbr="140" ybr="60" rotation="90.0" z_order="0"></box>
    <polygon label="dog" points="1.0,2.0;11.0,2.0;6.0,22.0" z_order="0"></polygon>
    <mask label="dog" rle="3, 4" left="5" top="6" width="10" height="20" z_order="0"></mask>
    <points label="dog" points="1,1" z_order="0"></points>
  </image>
  <image id="1" name="Train/p2.png" subset="Train" width="200" height="100"></image>
</annotations>
"""


def cvat(folder: Path, text: str = CVAT) -> Path:
    for number in (1, 2):
        picture(folder / "images" / "Train" / f"p{number}.png", number, SIZE)
    (folder / "annotations.xml").write_text(text)
    return folder


def test_cvats_shapes_labels_and_subsets(tmp_path: Path) -> None:
    data = read_cvat(cvat(tmp_path))
    assert data.class_names == ["dog", "cat & co"], "in the order of the task's labels"
    assert corners(data) == [
        pytest.approx([10.5, 20, 60, 40]),
        pytest.approx([110, 30, 130, 70]),
        [1, 2, 11, 22],
        [5, 6, 15, 26],
    ]
    assert [item.split for item in data.items] == ["train", "train"]
    assert len(data.items[1].classes) == 0
    assert any("1 points" in f.message for f in data.findings)


VIDEO = "<annotations><track id='0' label='a'><box frame='0' xtl='1' ytl='1' xbr='2' ybr='2'/></track></annotations>"
BOMB = "<!DOCTYPE a [<!ENTITY b 'c'>]>" + VIDEO


@pytest.mark.parametrize(
    ("text", "says"),
    [(VIDEO, "CVAT for video"), (BOMB, "not allowed"), ("<annotation/>", "expected <annotations>"), ("<", "not valid")],
)
def test_what_is_no_cvat_for_images_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as told:
        read_cvat(cvat(tmp_path, text))
    assert "CVAT for images" in told.value.remedy


def test_pictures_are_found_under_the_name_that_they_had_before_the_upload(tmp_path: Path) -> None:
    box = rectangle("dog", 10, 20, 30, 40)
    places = ["a1b2c3d4-1.png", "0badcafe-2.png", "a1b2c3d4-3.png", "0badcafe-3.png"]
    folder = label_studio(tmp_path, [task(i, box, image=f"/data/upload/7/{name}") for i, name in enumerate(places)])
    for old in (folder / "images").iterdir():
        old.unlink()
    for number in range(1, 4):
        picture(folder / "images" / f"{number}.png", number, SIZE)
    data = read_label_studio(folder)
    assert [item.image.name for item in data.items][:2] == ["1.png", "2.png"]
    assert sum("what an upload puts before the name" in f.message for f in data.findings) == 2
    assert not any(item.image.is_file() for item in data.items[2:]), "two uploads had the name 3.png"


@pytest.mark.parametrize(
    ("content", "says"),
    [("{}", "no JSON export"), ('[{"annotations": 1', "not valid JSON"), ('[1, "annotations"]', "list of tasks")],
)
def test_what_is_no_export_of_label_studio_is_refused(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(UserError, match=says):
        read_label_studio(tmp_path)


def test_pictures_that_are_nowhere_are_told(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(
        json.dumps([task(1, rectangle("cat", 0, 0, 10, 10), image="s3://bucket/gone.png")])
    )
    picture(tmp_path / "other.png", 1)
    with pytest.raises(UserError, match="none of the 1 images"):
        read_label_studio(tmp_path)


def test_another_tools_folder_is_told_with_the_words_that_read_it(tmp_path: Path) -> None:
    """Also one of the right tool whose file lies deeper."""
    studio = label_studio(tmp_path / "studio", [task(1, rectangle("cat", 0, 0, 10, 10))])
    (studio / "label_config.xml").write_text("<View/>")
    drawn = cvat(tmp_path / "deep" / "cvat")
    for read, folder, words in (
        (read_cvat, studio, f"data=label_studio data.path={studio}"),
        (read_coco, studio, f"data=label_studio data.path={studio}"),
        (read_label_studio, drawn, f"data=cvat data.path={drawn / 'annotations.xml'}"),
        (read_coco, drawn, f"data=cvat data.path={drawn / 'annotations.xml'}"),
        (read_voc, drawn, f"data=cvat data.path={drawn / 'annotations.xml'}"),
        (read_cvat, drawn.parent, f"data=cvat data.path={drawn / 'annotations.xml'}"),
        (read_cvat, tmp_path / "nowhere", "CVAT for images"),
    ):
        with pytest.raises(UserError) as told:
            read(folder)
        assert words in told.value.remedy, (read, folder)


@pytest.mark.parametrize("to", ["label_studio", "cvat"])
def test_there_and_back_the_dataset_is_the_same(tmp_path: Path, to: str) -> None:
    rows = [box(1, [1.25, 2.5, 10, 12.75]), box(2, [20, 8, 30.5, 7], category=90, image=2)]
    own = coco_set(tmp_path / "own", {"train": rows, "val": [box(1, [3, 4, 5, 6])]})
    plain = config("coco", path=own)
    manifest = run_tool("convert", plain, Options(out=str(tmp_path / "new"), to=to), tmp_path / "o")
    back = prepare(config(to, path=tmp_path / "new"), tmp_path / "o").ref
    assert back.fingerprint == manifest["fingerprint"] == prepare(plain, tmp_path / "o").ref.fingerprint
    assert manifest["crowd_regions_lost"] == 0
    crowded = coco_set(tmp_path / "crowd", {"train": [*rows, box(3, [0, 0, 9, 9], crowd=1)], "val": rows})
    again = run_tool("convert", config("coco", path=crowded), Options(out=str(tmp_path / "c"), to=to), tmp_path / "o")
    assert again["crowd_regions_lost"] == 1
