"""VOC's, CVAT's and Label Studio's files as other programs spell them: no object is missing without a word."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from src.common.errors import UserError
from src.data.cvat import read_cvat
from src.data.label_studio import read_label_studio
from src.data.types import raise_errors
from src.data.voc import VocError, parse_voc, read_voc
from tests.data.builders import picture
from tests.data.cases import voc, xml
from tests.data.test_tool_exports import SIZE, label_studio, rectangle, region, task

PLAIN = xml("p.jpg", [("cat", [1, 2, 9, 10]), ("dog", [3, 4, 20, 30])])
DECLARED = '<?xml version="1.0"?>'


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace("<annotation>", '<annotation xmlns="http://a.b/voc">'),
        PLAIN.replace("annotation>", "Annotation>").replace("object>", "Object>"),
        PLAIN.replace("xmin", "XMin").replace("bndbox", "BndBox").replace("name>", "NAME>"),
        f"\n \n{DECLARED}{PLAIN}",
        PLAIN.replace("<object>", "<objects><object>", 1).replace("</annotation>", "</objects></annotation>"),
    ],
)
def test_tags_are_known_in_any_spelling(text: str) -> None:
    parsed = parse_voc(text.encode())
    assert parsed.names == ["cat", "dog"]
    assert parsed.corners == [(1, 2, 9, 10), (3, 4, 20, 30)]
    assert not parsed.problems


@pytest.mark.parametrize(
    ("word", "hard"), [("1", True), ("True", True), (" 1 ", True), ("yes", True), ("0", False), ("false", False)]
)
def test_difficult_is_a_mark_in_any_spelling(word: str, hard: bool) -> None:
    assert parse_voc(PLAIN.replace(">0</difficult>", f">{word}</difficult>").encode()).difficult == [hard, hard]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.replace("object>", "item>"), "2 <bndbox> stand in no <object>"),
        (lambda t: t.replace("<xmin>1<", "<xmin>1,5<"), r"object 1 \(cat\) has no complete bndbox: .* xmin '1,5'"),
        (lambda t: t.replace("bndbox>", "robndbox>"), "has no bndbox, but a robndbox, which is not read"),
        (lambda t: t.replace("</bndbox>", "</bndbox><bndbox/>"), "has 2 bndbox"),
        (lambda t: t.replace("<name>cat</name>", "").replace("<name>dog</name>", ""), "object 1 has no name"),
        (lambda t: "<!DOCTYPE annotation>" + t, "take the <!DOCTYPE"),
        (lambda t: t[:-20], "not valid XML"),
    ],
)
def test_what_all_files_lack_is_told_with_the_file(tmp_path: Path, change: Callable[[str], str], said: str) -> None:
    """Where no file gives a class, "no annotation names a class" hid why."""
    voc(tmp_path, 3)
    for file in (tmp_path / "Annotations").iterdir():
        file.write_text(change(PLAIN))
    with pytest.raises(UserError, match=rf"(?s)Annotations/p\d\.xml: .*{said}"):
        raise_errors(read_voc(tmp_path).findings, "")


def test_entities_stay_refused() -> None:
    with pytest.raises(VocError, match="entities are not allowed"):
        parse_voc(b'<!DOCTYPE a [<!ENTITY b "c">]><annotation/>')


def test_empty_lists_are_named(tmp_path: Path) -> None:
    voc(tmp_path, 3)
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    (tmp_path / "ImageSets/Main/train.txt").write_text("\n")
    with pytest.raises(UserError, match="the lists in ImageSets name no image"):
        read_voc(tmp_path)


def cvat(folder: Path, shape: str, name: str = 'name="1.png"', encoding: str = "utf-8") -> Path:
    picture(folder / "images" / "1.png", 1, SIZE)
    head = f'<?xml version="1.0" encoding="{encoding}"?><annotations>'
    labels = "<meta><task><labels><label><name>cat</name></label></labels></task></meta>"
    image = f'<image id="7" {name} width="{SIZE[0]}" height="{SIZE[1]}">{shape}</image>'
    (folder / "annotations.xml").write_bytes(f"{head}{labels}{image}</annotations>".encode(encoding))
    return folder


BOX = '<box label="{}" xtl="8" ytl="8" xbr="28" ybr="24"/>'


def test_cvat_is_read_in_the_encoding_that_it_declares(tmp_path: Path) -> None:
    data = read_cvat(cvat(tmp_path, BOX.format("猫"), encoding="gb2312"))
    assert data.class_names == ["cat", "猫"]


def test_a_picture_of_cvat_without_a_name_is_an_error_of_its_own(tmp_path: Path) -> None:
    """It was the folder, that "can't be read"."""
    with pytest.raises(UserError, match="image '7' has no `name`"):
        read_cvat(cvat(tmp_path, BOX.format("cat"), name=""))


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ('<points label="cat" points="1,1"/>', "no image has a labelled box .*1 points"),
        (BOX.format("cat").replace('"8"', '"1_0"'), "lacks its label or its numbers: .*'1_0'"),
    ],
)
def test_where_cvat_gives_no_box_what_it_gives_is_told(tmp_path: Path, shape: str, said: str) -> None:
    with pytest.raises(UserError, match=f"(?s){said}"):
        read_cvat(cvat(tmp_path, shape))


def test_where_label_studio_gives_no_box_what_it_gives_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no task has a labelled box .*1 labels"):
        read_label_studio(label_studio(tmp_path, [task(1, region("labels", x=1, y=1, width=5, height=5))]))
    broken = rectangle("cat", 1, 2, 3, 4)
    broken["value"]["x"] = "1"
    with pytest.raises(UserError, match="task 1: a rectanglelabels lacks"):
        read_label_studio(label_studio(tmp_path, [task(1, broken)]))


def test_what_of_label_studio_is_not_heeded_is_told(tmp_path: Path) -> None:
    """Further labels of a shape and a turned picture; a byte-order mark hides nothing."""
    two = rectangle("cat", 10, 10, 20, 20)
    two["value"]["rectanglelabels"] = ["cat", "red"]
    folder = label_studio(tmp_path, [task(1, {**two, "image_rotation": 90})])
    file = folder / "project-1.json"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    (folder / "label_config.xml").write_text("<View><Label value='dog'/><Label value=\"cat\"/></View>")
    data = read_label_studio(folder)
    assert data.class_names == ["dog", "cat"]
    assert {"label-several", "image-rotated"} <= {finding.code for finding in data.findings}


def test_createml_is_not_taken_for_label_studio(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 1)
    rows = [{"image": "a.png", "annotations": [{"label": "cat", "coordinates": {"x": 9, "y": 9}}]}]
    (tmp_path / "_annotations.createml.json").write_text(json.dumps(rows))
    with pytest.raises(UserError, match="no JSON export of Label Studio"):
        read_label_studio(tmp_path)
