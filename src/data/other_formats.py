"""Annotation formats that are not read, known by what their files hold: what each is, and what converts it.

Every format that is read has a reader of its own; for these there are converters that know them better than we would.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from src.common.errors import UserError

HEAD = 1 << 16  # bytes of a file that are looked at
LOOKED_AT = 200  # files of a folder


@dataclass(frozen=True)
class OtherFormat:
    """A format that is not read."""

    name: str
    remedy: str  # {dir}, {root} of the dataset and {file} stand for where it was found
    suffixes: tuple[str, ...]
    fits: Callable[[bytes], bool]  # the beginning of a file


def datumaro(name: str) -> str:
    """The words of Datumaro, which reads many formats and writes COCO with the pictures."""
    return (
        f"convert it: pip install 'datumaro[cli]'; datum convert -if {name} -i {{root}} -f coco_instances -o NEW "
        "-- --save-media; then data=coco data.path=NEW"
    )


def _keys(*keys: bytes, none: tuple[bytes, ...] = ()) -> Callable[[bytes], bool]:
    """Whether a JSON file begins with all of these keys, and with none of some others."""
    return lambda head: all(b'"%s"' % key in head for key in keys) and not any(b'"%s"' % key in head for key in none)


def _any(*fits: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
    return lambda head: any(fit(head) for fit in fits)


def _table(*names: str) -> Callable[[bytes], bool]:
    """Whether the first line of a table names all of these columns."""
    return lambda head: set(names) <= set(_first_row(head))


CORNERS = (
    ("xmin", "ymin", "xmax", "ymax"), ("x_min", "y_min", "x_max", "y_max"), ("x1", "y1", "x2", "y2"),
    ("left", "top", "right", "bottom"), ("left", "top", "width", "height"), ("x", "y", "w", "h"),
    ("x", "y", "width", "height"), ("bbox_x", "bbox_y", "bbox_width", "bbox_height"), ("bbox",),
)  # fmt: skip


def _first_row(head: bytes) -> list[str]:
    """The cells of the first line, lower case, whatever parts them."""
    line = head.decode("utf-8", "replace").partition("\n")[0].strip()
    comma = max(",;\t", key=line.count)
    rows = csv.reader([line], delimiter=comma)
    return [cell.strip().lstrip("#").lower() for cell in next(rows, [])]


def _plain_rows(head: bytes) -> bool:
    """Whether a table without a header has a name, four numbers and a name in its first line, or begins as AutoML's."""
    cells = _first_row(head)
    if cells and cells[0] in ("train", "validation", "test", "unassigned") and len(cells) >= 6:
        return True
    return len(cells) == 6 and all(_is_number(cell) for cell in cells[1:5]) and not _is_number(cells[5])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


VIA = "export it from VIA as COCO (Annotation > Export Annotations (COCO format)), then data=coco data.path=FILE"
LABELME = (
    "convert it: pip install labelme2yolo; labelme2yolo --json_dir {dir}; "
    "then data=yolo data.path={dir}/YOLODataset/dataset.yaml"
)
TABLE = (
    "save it with the columns image, xmin, ymin, xmax, ymax, label (corners in px) as train-export.csv beside the "
    f"pictures, which is VoTT's form, and {datumaro('vott_csv')}"
)
BY_HAND = "no converter is known here: write COCO JSON from it, then data=coco data.path=FILE"
JSON, XML, CSV = (".json",), (".xml",), (".csv", ".tsv")
FORMATS = (
    OtherFormat("LabelMe's JSON", LABELME, JSON, _keys(b"shapes", b"imagePath")),
    OtherFormat(
        "the JSON of VIA (VGG Image Annotator)",
        VIA,
        JSON,
        _any(_keys(b"_via_settings"), _keys(b"_via_img_metadata"), _keys(b"filename", b"regions", b"file_attributes")),
    ),
    OtherFormat(
        "CreateML's JSON",
        f"name the file _annotations.createml.json beside its pictures, and {datumaro('roboflow_create_ml')}",
        JSON,
        _keys(b"annotations", b"coordinates", b"label", none=(b"result", b"categories")),
    ),
    OtherFormat(
        "Supervisely's JSON",
        "export it from Supervisely by its app Export to COCO, then data=coco data.path=DIR",
        JSON,
        _any(_keys(b"objects", b"classTitle"), _keys(b"classes", b"shape", b"projectType")),
    ),
    OtherFormat(
        "BDD100K's (Scalabel's) JSON",
        "convert it: pip install bdd100k; python -m bdd100k.label.to_coco -m det -i {file} -o NEW.json; "
        "then data=coco data.path=NEW.json",
        JSON,
        _any(_keys(b"box2d"), _keys(b"frames", b"labels", b"poly2d")),
    ),
    OtherFormat("VoTT's JSON", datumaro("vott_json"), JSON, _keys(b"asset", b"regions", b"tags")),
    OtherFormat("Datumaro's JSON", datumaro("datumaro"), JSON, _keys(b"categories", b"items", none=(b"images",))),
    OtherFormat(
        "Labelbox's JSON",
        "convert it with Labelbox's own SDK, or write COCO JSON from it, then data=coco data.path=FILE",
        (".json", ".ndjson", ".jsonl"),
        _any(_keys(b"data_row", b"projects"), _keys(b"Labeled Data", b"Label")),
    ),
    OtherFormat(
        "SageMaker Ground Truth's manifest",
        BY_HAND,
        (".manifest", ".jsonl", ".json"),
        _keys(b"source-ref"),
    ),
    OtherFormat("the CSV of VIA (VGG Image Annotator)", VIA, CSV, _table("filename", "region_shape_attributes")),
    OtherFormat(
        "the CSV of Open Images",
        "python -m src.data download from=openimages writes its pictures and boxes as COCO; or write COCO JSON from it",
        CSV,
        _table("imageid", "labelname", "xmin"),
    ),
    OtherFormat("VoTT's CSV", datumaro("vott_csv"), CSV, _table("image", "xmin", "ymin", "xmax", "ymax", "label")),
    OtherFormat("a table of boxes (CSV)", TABLE, CSV, _any(*(_table(*names) for names in CORNERS), _plain_rows)),
    OtherFormat(
        "the XML of LabelMe (the web tool)",
        datumaro("label_me"),
        XML,
        lambda head: b"<annotation" in head and b"<polygon>" in head and b"<pt>" in head and b"<bndbox" not in head,
    ),
    OtherFormat(
        "dlib's XML (imglab)",
        BY_HAND,
        XML,
        lambda head: b"<dataset" in head and b"<box " in head and b"top=" in head and b"left=" in head,
    ),
    OtherFormat(
        "TFRecord",
        f"export COCO where it was made; {BY_HAND}",
        (".tfrecord", ".tfrecords", ".record"),
        lambda head: True,
    ),
    OtherFormat(
        "a table of Hugging Face's datasets (Parquet)",
        BY_HAND,
        (".parquet",),
        lambda head: head[:4] == b"PAR1",
    ),
)


def other_format(files: Iterable[Path]) -> tuple[OtherFormat, Path] | None:
    """The first file in a format that is not read."""
    suffixes = {suffix for one in FORMATS for suffix in one.suffixes}
    likely = [file for file in files if file.suffix.lower() in suffixes]
    for file in likely[:LOOKED_AT]:
        head = head_of(file)
        for one in FORMATS:
            if head and file.suffix.lower() in one.suffixes and one.fits(head):
                return one, file
    return None


def said_of(found: tuple[OtherFormat, Path]) -> str:
    """A format and what to do, in words."""
    one, file = found
    return f"this is {one.name} ({file.name}), which is not read: {_remedy(found)}"


def _remedy(found: tuple[OtherFormat, Path]) -> str:
    one, file = found
    root = file.parent.parent if file.parent.name.lower() == "annotations" else file.parent
    places = {"{dir}": str(file.parent), "{root}": str(root), "{file}": str(file)}
    text = one.remedy
    for word, place in places.items():
        text = text.replace(word, place)
    return text


def named(file: Path, otherwise: UserError) -> UserError:
    """The error that a file is of a format that is not read; `otherwise` where none is known."""
    found = other_format([file])
    if found is None:
        return otherwise
    return UserError(f"{file}: this is {found[0].name}, which is not read", remedy=_remedy(found))


def head_of(file: Path) -> bytes:
    """The beginning of a file without leading blanks; empty when it can't be read."""
    try:
        with open(file, "rb") as stream:
            return stream.read(HEAD).removeprefix(codecs.BOM_UTF8).lstrip()
    except OSError:
        return b""
