"""The kinds of datasets that people reported, each made small: how it is laid out, and what is right for it.

A case is read with the boxes that `judge` finds in its files, or refused with the words given. The names are those of
the collection that DETSWEEP_CASES may name, so that both are held to one table.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.data.builders import SIZE, picture

CD = ["cat", "dog"]
HEAD = "path: .\ntrain: images/train\nval: images/val\ntest: images/test\n"
COUNTS = {"train": 4, "val": 3, "test": 3}
THREE = {"train": 4, "val": 3, "test": 3}


@dataclass(frozen=True)
class Case:
    """One case."""

    name: str
    kind: str  # yolo, coco, voc
    build: Callable[[Path], object]
    classes: list[str] | None = None  # None: refused
    told: tuple[str, ...] = ()  # of the warnings when it is read, of the message when it is refused
    splits: dict[str, int] | None = None  # number of images, where the case says it
    beyond: str = "-"  # folder that the description names in no split
    real_splits: dict[str, int] | None = None  # of the collection's own, where it is larger


# --- YOLO


def images(folder: Path, counts: dict[str, int], suffix: str = ".jpg", base: str = "images", offset: int = 0) -> None:
    for number, (split, count) in enumerate(counts.items()):
        for i in range(count):
            picture(folder / base / split / f"{split}{i}{suffix}", offset + 100 * number + i)


def rows(folder: Path, text: str = "{c} 0.5 0.4 0.4 0.3\n", suffix: str = ".txt") -> None:
    """A label for every picture in images/, in labels/."""
    for i, path in enumerate(sorted((folder / "images").rglob("*.*"))):
        file = folder / "labels" / path.relative_to(folder / "images").with_suffix(suffix)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.format(c=i % 2))


def yolo(folder: Path, tail: str = "names: [cat, dog]\n", head: str = HEAD, **options: Any) -> None:
    images(folder, options.pop("counts", COUNTS), options.pop("pictures", ".jpg"))
    rows(folder, **options)
    (folder / "data.yaml").write_text(head + tail)


def pose(shape: str, row: str) -> Callable[[Path], None]:
    return lambda folder: yolo(folder, f"kpt_shape: {shape}\nnames: [person]\n", text=row)


def odd_formats(folder: Path) -> None:
    yolo(folder)
    for i, (suffix, kind) in enumerate({".avif": "AVIF", ".jp2": "JPEG2000", ".jfif": "JPEG", ".jpe": "JPEG"}.items()):
        picture(folder / "images/train" / f"phone{i}{suffix}", 900 + i, format=kind)
        (folder / "labels/train" / f"phone{i}.txt").write_text("1 0.5 0.5 0.25 0.5\n")


def all_avif(folder: Path) -> None:
    yolo(folder, pictures=".avif")


def twelve_bits(folder: Path) -> None:
    yolo(folder, pictures=".png")
    for i, path in enumerate(sorted((folder / "images").rglob("*.png"))):
        noise = np.random.Generator(np.random.PCG64(i)).integers(0, 4096, (SIZE[1], SIZE[0]))
        Image.fromarray(noise.astype(np.uint16)).save(path)


def lists(line: str) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        yolo(folder, head="path: .\ntrain: train.txt\nval: val.txt\n")
        sep = "\\" if "\\" in line else "/"
        for split in ("train", "val"):
            names = (f"{line}images{sep}{split}{sep}{split}{i}.jpg\n" for i in range(COUNTS[split]))
            (folder / f"{split}.txt").write_text("".join(names))

    return build


def colab(folder: Path) -> None:
    lists("/content/ds/")(folder)
    (folder / "data.yaml").write_text("train: /content/ds/train.txt\nval: /content/ds/val.txt\nnames: [cat, dog]\n")


def colab_list(folder: Path) -> None:
    lists("/content/ds/")(folder)


def darknet(folder: Path, *, yaml: bool = True) -> None:
    images(folder, {"frame_": 12}, ".PNG", base="obj_train_data")
    names = []
    for i, path in enumerate(sorted((folder / "obj_train_data/frame_").iterdir())):
        new = path.rename(folder / "obj_train_data" / path.name)
        new.with_suffix(".txt").write_text(f"{i % 2} 0.5 0.5 0.25 0.5\n")
        names.append(f"data/obj_train_data/{new.name}\n")
    (folder / "obj_train_data/frame_").rmdir()
    (folder / "train.txt").write_text("".join(names))
    (folder / "obj.names").write_text("cat\ndog\n")
    (folder / "obj.data").write_text("classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n")
    if yaml:
        (folder / "data.yaml").write_text("train: train.txt\nnames: [cat, dog]\n")


def beside(folder: Path) -> None:
    yolo(folder, head=HEAD.replace("train: images/train", "train: [images/train, more/images]"))
    for i in range(6):
        picture(folder / "more/images" / f"m{i}.jpg", 700 + i)
        (folder / "more/images" / f"m{i}.txt").write_text(f"{i % 2} 0.5 0.5 0.25 0.5\n")


def capitals(folder: Path) -> None:
    yolo(folder)
    for split, name in (("train", "Train"), ("val", "Valid"), ("test", "Test")):
        for kind in ("Images", "Labels"):
            (folder / name).mkdir(exist_ok=True)
            (folder / kind.lower() / split).rename(folder / name / kind)
    shutil.rmtree(folder / "images")
    shutil.rmtree(folder / "labels")
    (folder / "data.yaml").write_text("train: Train/Images\nval: Valid/Images\ntest: Test/Images\nnames: [cat, dog]\n")


def roboflow_yolo(folder: Path) -> None:
    yolo(folder)
    for split, name in (("train", "train"), ("val", "valid"), ("test", "test")):
        for kind in ("images", "labels"):
            (folder / name).mkdir(exist_ok=True)
            (folder / kind / split).rename(folder / name / kind)
    shutil.rmtree(folder / "images")
    shutil.rmtree(folder / "labels")
    head = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n"
    (folder / "data.yaml").write_text(head + "nc: 2\nnames: ['cat: big', 'dog']\nroboflow:\n  version: 1\n")


def label_studio_yolo(folder: Path) -> None:
    images(folder, {"shot ": 12})
    for path in list((folder / "images/shot ").iterdir()):
        path.rename(folder / "images" / path.name)
    (folder / "images/shot ").rmdir()
    rows(folder)
    (folder / "classes.txt").write_text("cat\ndog\n")
    (folder / "notes.json").write_text('{"categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]}')


def flat(folder: Path) -> None:
    label_studio_yolo(folder)
    for path in [p for p in (*(folder / "images").iterdir(), *(folder / "labels").iterdir()) if p.is_file()]:
        path.rename(folder / path.name)
    (folder / "data.yaml").write_text("path: .\ntrain: .\nnames: [cat, dog]\n")


def apple_double(folder: Path) -> None:
    yolo(folder)
    for path in list((folder / "images").rglob("*.jpg")):
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7" + bytes(40))


def checkpoints(folder: Path) -> None:
    yolo(folder)
    for source, split in (("train0", "train"), ("train1", "val")):
        (folder / "images" / split / ".ipynb_checkpoints").mkdir()
        copy = folder / "images" / split / ".ipynb_checkpoints" / f"{source}-checkpoint.jpg"
        shutil.copy(folder / "images/train" / f"{source}.jpg", copy)


def no_test(folder: Path) -> None:
    head = "train: ../images/train\nval: ../images/val\ntest: ../images/test\nnc: 2\n"
    yolo(folder, head=head, counts={"train": 6, "val": 4})


def empty_test(folder: Path) -> None:
    yolo(folder, counts={"train": 6, "val": 4})
    (folder / "images/test").mkdir()


def gbk(folder: Path) -> None:
    yolo(folder)
    (folder / "data.yaml").write_bytes((HEAD + "names: [安全帽, 反光衣]\n").encode("gb18030"))


def pages(folder: Path) -> None:
    yolo(folder)
    grey = [Image.open(p).convert("L") for p in sorted((folder / "images/train").iterdir())[:2]]
    grey[0].transpose(Image.Transpose.ROTATE_180).save(
        folder / "images/train/stack.tif", save_all=True, append_images=grey[1:]
    )
    (folder / "labels/train/stack.txt").write_text("0 0.5 0.5 0.25 0.5\n")


def classes_among_labels(folder: Path) -> None:
    yolo(folder)
    (folder / "labels/train/classes.txt").write_text("cat\ndog\n")


# --- COCO

BOX = [10, 20, 30, 15]
PLAIN = ({"id": 1, "name": "cat"}, {"id": 2, "name": "dog"})
PLACES = {split: (f"annotations/instances_{split}.json", f"images/{split}") for split in COUNTS}


def coco(
    folder: Path,
    places: dict[str, tuple[str, str]] = PLACES,
    categories: tuple[dict[str, Any], ...] = PLAIN,
    used: tuple[int, ...] = (1, 2),
    counts: dict[str, int] = COUNTS,
    named: Callable[[str], str] = lambda name: name,
    change: Callable[[dict[str, Any]], object] = lambda raw: None,
) -> None:
    """A COCO dataset: `places` says where the JSON file and the pictures of each split go."""
    number = 0
    for split, (file, where) in places.items():
        raw: dict[str, Any] = {"images": [], "annotations": [], "categories": list(categories)}
        for i in range(counts.get(split, 10)):
            path = picture(folder / where / f"im{number}.jpg", number)
            size = {"width": SIZE[0], "height": SIZE[1]}
            raw["images"].append({"id": i, "file_name": named(path.name), **size})
            own = {"id": i, "image_id": i, "category_id": used[i % len(used)], "bbox": BOX, "area": 450, "iscrowd": 0}
            raw["annotations"].append(own)
            number += 1
        change(raw)
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(json.dumps(raw))


GROUP = (
    {"id": 0, "name": "fish", "supercategory": "none"},
    {"id": 1, "name": "cod", "supercategory": "fish"},
    {"id": 2, "name": "eel", "supercategory": "fish"},
)
APPLES = (
    {"id": 0, "name": "apple", "supercategory": "none"},
    {"id": 1, "name": "apple", "supercategory": "apple"},
    {"id": 2, "name": "pear", "supercategory": "apple"},
)
FROM_ZERO = ({"id": 0, "name": "cat"}, {"id": 1, "name": "dog"})
ROBOFLOW = {
    split: (f"{name}/_annotations.coco.json", name)
    for split, name in (("train", "train"), ("val", "valid"), ("test", "test"))
}


def label_studio(file: str, named: Callable[[str], str]) -> Callable[[Path], None]:
    return lambda folder: coco(folder, {"": (file, "images")}, FROM_ZERO, (0, 1), named=named)


def ids(cast: Callable[[int], object]) -> Callable[[Path], None]:
    def change(raw: dict[str, Any]) -> None:
        for row in raw["images"]:
            row["id"] = cast(row["id"])
        for row in raw["annotations"]:
            row["image_id"] = cast(row["image_id"])

    return lambda folder: coco(folder, change=change)


def two_ids(raw: dict[str, Any]) -> None:
    for row in list(raw["images"]):
        raw["images"].append({**row, "id": row["id"] + 100})
        raw["annotations"].append(
            {"id": row["id"] + 100, "image_id": row["id"] + 100, "category_id": 2, "bbox": [2, 3, 9, 8]}
        )


def polygons_only(raw: dict[str, Any]) -> None:
    for row in raw["annotations"]:
        del row["bbox"]
        row["segmentation"] = [[10, 20, 40, 20, 40, 35, 10, 35]]


def boxed(box: list[float]) -> Callable[[Path], None]:
    def change(raw: dict[str, Any]) -> None:
        for row in raw["annotations"]:
            row["bbox"] = box

    return lambda folder: coco(folder, change=change)


def turned(folder: Path) -> None:
    coco(folder)
    mark = Image.Exif()
    mark[0x0112] = 6
    for i, path in enumerate(sorted((folder / "images").rglob("*.jpg"))):
        picture(path, i, exif=mark)


def other_suffix(folder: Path) -> None:
    coco(folder)
    for path in list((folder / "images").rglob("*.jpg")):
        path.rename(path.with_suffix(".JPG"))


# --- VOC


def xml(filename: str, boxes: list[tuple[str, list[float]]], size: tuple[int, int] = SIZE) -> str:
    objects = ""
    for name, box in boxes:
        order = zip(("xmax", "xmin", "ymin", "ymax"), (box[2], box[0], box[1], box[3]), strict=True)
        inner = "".join(f"<{tag}>{value}</{tag}>" for tag, value in order)
        objects += f"<object><name>{name}</name><difficult>0</difficult><bndbox>{inner}</bndbox></object>"
    shape = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    return f"<annotation><folder>x</folder><filename>{filename}</filename>{shape}{objects}</annotation>"


def voc(
    folder: Path,
    count: int = 12,
    place: Callable[[int], tuple[str, str]] = lambda i: (f"JPEGImages/p{i}.jpg", f"Annotations/p{i}.xml"),
    filename: Callable[[int], str] = lambda i: f"p{i}.jpg",
    size: Callable[[int], tuple[int, int]] = lambda i: SIZE,
) -> None:
    """A VOC dataset; `place` says where picture and annotation number i go."""
    for i in range(count):
        image, file = (folder / part for part in place(i))
        picture(image, i, format="JPEG")
        file.parent.mkdir(parents=True, exist_ok=True)
        boxes: list[tuple[str, list[float]]] = [("cat", [1.5, 2.25, 20 + i, 30.0]), (" dog ", [12, 13, 40, 41])]
        file.write_text(xml(filename(i), boxes, size(i)))


def swapped(folder: Path) -> None:
    voc(folder, 10)
    (folder / "Annotations/p2.xml").write_text(xml("p2.jpg", [("cat", [50, 20, 10, 40])]))


def nested(folder: Path) -> None:
    def day(i: int) -> str:
        return f"day{i // 6 + 1}/p{i % 6}"

    voc(folder, 12, lambda i: (f"JPEGImages/{day(i)}.jpg", f"Annotations/{day(i)}.xml"), lambda i: f"{day(i)}.jpg")
    (folder / "ImageSets/Main").mkdir(parents=True)
    (folder / "ImageSets/Main/default.txt").write_text("".join(f"{day(i)}\n" for i in range(12)))


def trainval(folder: Path) -> None:
    voc(folder, 14)
    (folder / "ImageSets/Main").mkdir(parents=True)
    (folder / "ImageSets/Main/trainval.txt").write_text("".join(f"p{i}\n" for i in range(10)))
    (folder / "ImageSets/Main/test.txt").write_text("".join(f"p{i}\n" for i in range(10, 14)))


def voc_flat(folder: Path) -> None:
    def name(i: int) -> str:
        return "train" if i < 6 else "valid" if i < 9 else "test"

    voc(folder, 12, lambda i: (f"{name(i)}/p{i}.jpg", f"{name(i)}/p{i}.xml"))


def beside_suffixes(suffixes: tuple[str, ...], xmls: tuple[str, ...] = (".xml",)) -> Callable[[Path], None]:
    def place(i: int) -> tuple[str, str]:
        return f"JPEGImages/p{i}{suffixes[i % len(suffixes)]}", f"Annotations/p{i}{xmls[i % len(xmls)]}"

    return lambda folder: voc(folder, 12, place)


def no_size(folder: Path) -> None:
    def place(i: int) -> tuple[str, str]:
        return f"JPEGImages/p{i}{'.JPG' if i % 2 else '.jpeg'}", f"Annotations/p{i}.xml"

    voc(folder, 10, place, lambda i: f"p{i}" if i != 3 else "holiday.png", lambda i: SIZE if i % 2 else (0, 0))


SEEDED = "a seeded, class-stratified split was made"
CASES = [
    Case("01a-pose-2x3", "yolo", pose("[2, 3]", "0 0.5 0.4 0.2 0.2 0.45 0.45 2 0.55 0.42 1\n"), ["person"],
         splits=THREE),
    Case("01c-pose-17x3", "yolo", pose("[17, 3]", "0 0.5 0.4 0.2 0.2" + " 0.5 0.4 2" * 17 + "\n"), ["person"],
         splits=THREE),
    Case("02-roboflow-coco-layout", "coco", lambda f: coco(f, ROBOFLOW, GROUP), ["cod", "eel"], ("groups others",),
         THREE),
    Case("03-coco-group-category", "coco", lambda f: coco(f, categories=GROUP), ["cod", "eel"],
         (r"category 0 \(fish\) groups others",), THREE),
    Case("03b-coco-same-name-twice", "coco", lambda f: coco(f, categories=APPLES), ["apple", "pear"],
         ("groups others",), THREE),
    Case("04-labelstudio-coco", "coco", label_studio("result.json", lambda n: f"images\\{n}"), CD, (SEEDED,)),
    Case("04b-labelstudio-renamed-absurl", "coco",
         label_studio("annotations/instances_train.json", lambda n: f"/data/local-files/?d=shots%2F{n}"), CD,
         ("the only picture called",)),
    Case("04b-labelstudio-renamed-back", "coco",
         label_studio("annotations/instances_train.json", lambda n: f"images\\{n}"), CD),
    Case("04b-labelstudio-renamed-slash", "coco",
         label_studio("annotations/instances_train.json", lambda n: f"images/{n}"), CD),
    Case("05-cvat-coco-default", "coco",
         lambda f: coco(f, {"": ("annotations/instances_default.json", "images/default")}), CD, (SEEDED,)),
    Case("05b-cvat-coco-Train", "coco",
         lambda f: coco(f, {"train": ("annotations/instances_Train.json", "images/Train"),
                            "val": ("annotations/instances_Validation.json", "images/Validation")},
                        counts={"train": 5, "val": 3}), CD, splits={"train": 5, "val": 3, "test": 0}),
    Case("06-coco-ids-str", "coco", ids(str), CD, splits=THREE),
    Case("06-coco-ids-float", "coco", ids(float), CD, splits=THREE),
    Case("07-names-yes-no", "yolo", lambda f: yolo(f, "names: [yes, no]\n"), ["yes", "no"], splits=THREE),
    Case("07b-names-odd-scalars", "yolo", lambda f: yolo(f, "names: {0: on, 1: 007, 2: 1e3, 3: 0x1F}\n"),
         ["on", "007", "1e3", "0x1F"], splits=THREE, real_splits={"train": 8, "val": 4, "test": 4}),
    Case("08-avif-jp2-jfif", "yolo", odd_formats, CD, splits={"train": 8, "val": 3, "test": 3}),
    Case("08b-all-avif", "yolo", all_avif, CD, splits=THREE),
    Case("09-12bit-in-16bit", "yolo", twelve_bits, None,
         ("16-bit file", "12 bits", "of 65535", "0 to 15 of 255", "src.data stretch")),
    Case("10-voc-size0-stem-floats", "voc", no_size, CD, ("<filename> says holiday.png",)),
    Case("10b-voc-swapped", "voc", swapped, None, (r"p2\.xml", r"object 1 \(cat\): xmin \d0, ymin 20, xmax 10",)),
    Case("10c-voc-upper-XML-suffix", "voc", beside_suffixes((".JPG",), (".XML", ".xml")), CD),
    Case("10d-voc-nested", "voc", nested, CD),
    Case("10e-voc-trainval", "voc", trainval, CD, splits={"train": 9, "val": 1, "test": 4}),
    Case("11-voc-flat", "voc", voc_flat, CD, splits={"train": 6, "val": 3, "test": 3}),
    Case("12-yaml-backslash", "yolo",
         lambda f: yolo(f, head=HEAD.replace("images/", "images\\")), CD, splits=THREE),
    Case("13-list-backslash", "yolo", lists(".\\"), CD, splits={"train": 4, "val": 3, "test": 0},
         beyond="images/test"),
    Case("14-cvat-ultralytics", "yolo", lists("data/"), CD, splits={"train": 4, "val": 3, "test": 0},
         beyond="images/test"),
    Case("15-cvat-yolo11-darknet", "yolo", darknet, CD, (SEEDED,)),
    Case("15b-darknet-alone", "yolo", lambda f: darknet(f, yaml=False), CD, (SEEDED,)),
    Case("16-labels-beside-in-images", "yolo", beside, CD, ("lies beside the picture",),
         {"train": 10, "val": 3, "test": 3}),
    Case("17-capital-folders", "yolo", capitals, CD, splits=THREE, real_splits={"train": 5, "val": 3, "test": 3}),
    Case("17b-TXT-suffix", "yolo", lambda f: yolo(f, suffix=".TXT"), CD, splits=THREE),
    Case("18-coco-exif-labelstudio", "coco", turned, None, ("EXIF rotation turns it", r"im0\.jpg")),
    Case("19-coco-one-picture-two-ids", "coco", lambda f: coco(f, change=two_ids), CD, ("its boxes were put together",),
         THREE),
    Case("20-coco-segmentation-only", "coco", lambda f: coco(f, change=polygons_only), CD, splits=THREE),
    Case("22b-dota-style", "yolo", lambda f: yolo(f, text="50 20 80 50 50 80 20 50 cat 0\n"), None,
         (r"train0\.txt:1: DOTA",)),
    Case("23-coco-xyxy", "coco", boxed([30, 20, 60, 40]), None,
         (r"instances_train\.json", r"box \[\d+, \d+, \d+, \d+\] of annotation 0", r"im0\.jpg",
          r"would lie inside as \[x1, y1, x2, y2\]")),
    Case("24-roboflow-yolo-download", "yolo", roboflow_yolo, ["cat: big", "dog"], splits=THREE,
         real_splits={"train": 5, "val": 3, "test": 3}),
    Case("25-labelstudio-yolo", "yolo", label_studio_yolo, CD, ("there is no data.yaml", SEEDED)),
    Case("36-appledouble-dataset", "yolo", apple_double, CD, ("hidden files and folders were skipped: 10",), THREE),
    Case("37b-voc-same-filename", "voc",
         lambda f: voc(f, filename=lambda i: "p0.jpg"), CD, ("11 times: <filename> says",)),
    Case("37c-voc-JPG-filename-jpg", "voc", beside_suffixes((".JPG",)), CD),
    Case("37d-voc-half-JPG", "voc", beside_suffixes((".jpg", ".JPG")), CD),
    Case("38a-test-key-no-folder", "yolo", no_test, CD, ("there is no test split",),
         {"train": 6, "val": 4, "test": 0}),
    Case("38b-test-folder-empty", "yolo", empty_test, CD, ("holds no images: there is no test split",),
         {"train": 6, "val": 4, "test": 0}),
    Case("39-yaml-gbk", "yolo", gbk, None, (r"data\.yaml:5: not UTF-8", "save the file as UTF-8", "GB18030")),
    Case("40-names-text-keys", "yolo", lambda f: yolo(f, "names: {'0': cat, '1': dog}\n"), CD, splits=THREE),
    Case("41-list-colab-absolute", "yolo", colab, None, ("`/content/ds` is not there", "write `train: train.txt`")),
    Case("41b-list-colab", "yolo", colab_list, None,
         ("none of the 4 images", "`/content/ds` is missing here", "sed -i")),
    Case("42-ipynb-checkpoints", "yolo", checkpoints, CD, ("hidden files and folders were skipped: 2",), THREE),
    Case("43-multipage-tiff", "yolo", pages, CD, splits={"train": 5, "val": 3, "test": 3}),
    Case("44-labelimg-classes-in-labels", "yolo", classes_among_labels, CD, splits=THREE),
    Case("45-flat-folder", "yolo", flat, CD, (SEEDED,)),
    Case("46-coco-normalised", "coco", boxed([0.1, 0.2, 0.5, 0.4]), None,
         (r"\[0\.1, 0\.2, 0\.5, 0\.4\] of annotation 0", r"im0\.jpg", r"within 0\.\.1", "shares, not pixels")),
    Case("49-coco-other-suffix", "coco", other_suffix, CD, (r"im\d\.jpg; letters of another case or",), THREE),
]  # fmt: skip
