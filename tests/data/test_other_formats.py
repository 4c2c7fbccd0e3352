"""Formats that are not read are named by what their files hold, with what makes them one that is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from src.common.errors import UserError
from src.data.other_formats import FORMATS, other_format
from src.data.sources import read_source
from tests.data.builders import box, coco_set, config, picture, yolo_set

RECTANGLE = {"label": "cat", "points": [[5, 5], [30, 30]], "shape_type": "rectangle"}
LABELME: dict[str, Any] = {
    "version": "5.0",
    "flags": {},
    "shapes": [RECTANGLE],
    "imagePath": "a.png",
    "imageData": None,
}
VIA = {"filename": "a.png", "size": 9, "regions": [{"shape_attributes": {"name": "rect"}}], "file_attributes": {}}
SLY = {"tags": [], "objects": [{"classTitle": "cat", "points": {"exterior": [[1, 2], [30, 40]], "interior": []}}]}
BDD = [{"name": "a.png", "labels": [{"category": "car", "box2d": {"x1": 1, "y1": 2, "x2": 30, "y2": 40}}]}]
VOTT = {"asset": {"id": "1", "name": "a.png"}, "regions": [{"tags": ["cat"], "boundingBox": {"left": 1}}]}
DATUMARO = {"categories": {"label": {"labels": [{"name": "cat"}]}}, "items": [{"id": "a", "annotations": []}]}
CREATEML = [{"image": "a.png", "annotations": [{"label": "cat", "coordinates": {"x": 10, "y": 10}}]}]
PT = "<pt><x>1</x><y>2</y></pt>"
LABELME_XML = f"<annotation><object><name>cat</name><polygon>{PT * 3}</polygon></object></annotation>"
DLIB = "<dataset><images><image file='a.png'><box top='1' left='2' width='9' height='9'/></image></images></dataset>"
CASES: dict[str, tuple[str, Any, str, str]] = {  # file, content, words of the name, words of the remedy
    "labelme": ("a.json", LABELME, "LabelMe's JSON", "labelme2yolo --json_dir"),
    "via": ("via.json", {"a.png9": VIA}, "JSON of VIA", "COCO format"),
    "via-project": ("p.json", {"_via_settings": {}, "_via_img_metadata": {}}, "JSON of VIA", "COCO format"),
    "via-csv": ("v.csv", "#filename,file_size,region_count,region_shape_attributes\n", "CSV of VIA", "COCO format"),
    "createml": ("_annotations.createml.json", CREATEML, "CreateML", "-if roboflow_create_ml"),
    "supervisely": ("a.png.json", SLY, "Supervisely", "Export to COCO"),
    "bdd": ("labels.json", BDD, "BDD100K", "bdd100k.label.to_coco"),
    "vott": ("x-asset.json", VOTT, "VoTT's JSON", "-if vott_json"),
    "datumaro": ("default.json", DATUMARO, "Datumaro", "-if datumaro"),
    "labelbox": ("e.ndjson", {"data_row": {"id": "x"}, "projects": {}}, "Labelbox", "COCO JSON"),
    "ground-truth": ("o.manifest", {"source-ref": "s3://b/a.png"}, "SageMaker", "COCO JSON"),
    "open-images": ("b.csv", "ImageID,Source,LabelName,XMin,XMax\n", "Open Images", "from=openimages"),
    "vott-csv": ("t-export.csv", '"image","xmin","ymin","xmax","ymax","label"\n', "VoTT's CSV", "-if vott_csv"),
    "tensorflow-csv": ("l.csv", "filename;width;height;class;xmin;ymin;xmax;ymax\n", "table of boxes", "vott_csv"),
    "wheat-csv": ("w.csv", "image_id,width,height,bbox,source\n", "table of boxes", "vott_csv"),
    "retinanet-csv": ("r.csv", "a.png,5,5,30,30,cat\n", "table of boxes", "vott_csv"),
    "automl-csv": ("m.csv", "TRAIN,gs://b/a.png,cat,0.1,0.1,,,0.5,0.5,,\n", "table of boxes", "vott_csv"),
    "labelme-xml": ("a.xml", LABELME_XML, "XML of LabelMe", "-if label_me"),
    "dlib": ("train.xml", DLIB, "dlib", "COCO JSON"),
    "tfrecord": ("a.tfrecord", "\1\0\0", "TFRecord", "COCO"),
    "parquet": ("a.parquet", "PAR1\0", "Parquet", "COCO JSON"),
}


def written(folder: Path, case: str) -> Path:
    """A folder with a picture and an annotation file; returns the file."""
    name, content, _, _ = CASES[case]
    picture(folder / "a.png", 1)
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder / name


@pytest.mark.parametrize("kind", ["yolo", "coco", "voc", "label_studio", "cvat"])
@pytest.mark.parametrize("case", CASES)
def test_a_folder_and_a_file_are_named_whatever_was_asked_for(case: str, kind: str, tmp_path: Path) -> None:
    file = written(tmp_path / "d", case)
    for path in (file.parent, file):
        with pytest.raises(UserError) as told:
            read_source(config(kind, path=path), tmp_path / "base")
        words = f"{told.value.what} {told.value.remedy}"
        assert CASES[case][2] in words
        assert "which is not read" in words
        assert CASES[case][3] in told.value.remedy
        assert "{" not in told.value.remedy


def test_every_format_has_a_case() -> None:
    assert not [one.name for one in FORMATS if not any(name in one.name for _, _, name, _ in CASES.values())]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("results.csv", "epoch,train/box_loss,metrics/mAP50(B)\n1,2,3\n"),
        ("notes.csv", ""),
        ("empty.json", "{}"),
        ("broken.json", "{"),
        ("package.json", '{"name": "x", "label": "y"}'),
        ("a.xml", "<annotation><object><name>cat</name><bndbox/></object></annotation>"),
    ],
)
def test_other_files_are_no_annotations(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    assert other_format([tmp_path / name]) is None


def test_what_is_read_is_read_although_another_format_lies_beside_it(tmp_path: Path) -> None:
    made: dict[str, Callable[[], Path]] = {
        "yolo": lambda: yolo_set(tmp_path / "yolo", {"train": 2}),
        "coco": lambda: coco_set(tmp_path / "coco", {"train": [box(1, [1, 2, 10, 10])]}),
    }
    for kind, make in made.items():
        path = make()
        written(tmp_path / kind, "labelme")
        written(tmp_path / kind, "tensorflow-csv")
        assert read_source(config(kind, path=path), tmp_path / "base").items


def test_an_error_of_a_file_that_is_read_stays_its_own(tmp_path: Path) -> None:
    file = coco_set(tmp_path / "c", {"train": []}) / "annotations" / "instances_train.json"
    file.write_text('{"images": [], "annotations": []}')
    with pytest.raises(UserError, match="`categories` is missing"):
        read_source(config("coco", path=file), tmp_path / "base")


def test_a_picture_whose_label_is_of_another_format_is_told_so(tmp_path: Path) -> None:
    data = yolo_set(tmp_path, {"train": 2})
    (tmp_path / "labels" / "train" / "train000.txt").unlink()
    (tmp_path / "images" / "train" / "train000.json").write_text(json.dumps(LABELME))
    found = read_source(config("yolo", path=data), tmp_path / "base").findings
    assert any("this is LabelMe's JSON" in one.message and "labelme2yolo" in one.message for one in found)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("Car 0.00 0 -1.57 5.0 5.0 30.0 30.0 2.85 2.63 12.34 0.47 1.49 69.44 -1.56", "kitti_detection"),
        ("1 1 20 1 20 20 1 20 plane 0", "convert_dota_to_yolo_obb"),
        ("1,2,10,10,1,4,0,0", "parted by commas"),
    ],
)
def test_rows_of_other_programs_are_named_where_no_file_describes_the_folder(
    row: str, says: str, tmp_path: Path
) -> None:
    picture(tmp_path / "images" / "a.png", 1)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text(f"{row}\n")
    for kind in ("yolo", "coco", "voc"):
        with pytest.raises(UserError) as told:
            read_source(config(kind, path=tmp_path), tmp_path / "base")
        assert says in told.value.remedy
