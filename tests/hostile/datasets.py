"""Hostile datasets: descriptions, labels and pictures that lie, are torn, or would run code."""

from __future__ import annotations

import functools
import io
import json
import os
import pickle
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.data.builders import picture, yolo_set
from tests.hostile.case import HOME, MARKER, REFUSED, SKIPPED, TAKEN, Case, instead, payload
from tests.hostile.words import Evil

CHECK = ("check", "data=yolo", f"data.path={HOME}/in/data.yaml", f"outputs={HOME}/outputs", "pictures=true")
SKIP = (*CHECK, "data.on_error=skip")
BAD = "train000"  # the picture that is made hostile


def sound(home: Path) -> Path:
    """A small sound dataset."""
    return yolo_set(home / "in", {"train": 4, "val": 2, "test": 2})


# --- data.yaml

HEAD = "train: images/train\nval: images/val\n"
YAML: dict[str, str | bytes] = {
    "python-object": HEAD + "names: !!python/object/apply:os.system ['{payload}']\n",
    "python-new": HEAD + "names: !!python/object/new:subprocess.Popen [['sh','-c','{payload}']]\n",
    "python-name": HEAD + "names: !!python/name:os.system\n",
    "python-module": HEAD + "names: !!python/module:antigravity\n",
    "download-script": HEAD + "names: [a]\ndownload: |\n  import os\n  os.system('{payload}')\ntrain: images/none\n",
    "download-address": "names: [a]\ndownload: http://127.0.0.1:1/x.zip\ntrain: images/none\n",
    "laughs": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + HEAD + "names: *i\n",
    "recursive": HEAD + "names: &n [*n]\n",
    "deep": HEAD + "names: " + "[" * 3000 + "]" * 3000 + "\n",
    "nul": b"train: images/train\x00\nnames: [a]\n",
    "nul-in-path": 'train: "images/train\\0"\nnames: [a]\n',
    "binary": bytes(range(256)) * 4,
    "utf-16": "train: images/train\nnames: [a".encode("utf-16"),
    "empty": "",
    "a-list": "- train\n- val\n",
    "a-word": "train",
    "unbalanced": "names: [a, b\ntrain: images/train\n",
    "tabs": "train:\timages/train\n\tnames: [a]\n",
    "no-names": HEAD,
    "names-empty": HEAD + "names: []\n",
    "names-gap": HEAD + "names: {0: a, 2: b}\n",
    "names-text-ids": HEAD + "names: {a: 0}\n",
    "names-nested": HEAD + "names: [[a], [b]]\n",
    "names-null": HEAD + "names: [null, a]\n",
    "nc-endless": HEAD + "nc: 99999999999999999999\n",
    "nc-negative": HEAD + "nc: -4\n",
    "nc-differs": HEAD + "nc: 5\nnames: [a, b]\n",
    "train-number": "train: 5\nnames: [a]\n",
    "train-mapping": "train: {a: b}\nnames: [a]\n",
    "train-missing": "train: images/none\nnames: [a]\n",
    "train-root": "train: /proc/1\nval: /proc/1\nnames: [a]\n",
    "train-endless": "train: /dev/zero\nnames: [a, b]\n",
    "train-random": "train: /dev/urandom\nnames: [a, b]\n",
    "train-pipe": "train: pipe\nnames: [a, b]\n",
    "train-passwd": "train: /etc/passwd\nnames: [a, b]\n",
    "train-long": "train: " + "x" * 10000 + "\nnames: [a]\n",
    "train-shell": "train: '$(touch {marker})'\nnames: [a]\n",
    "path-object": HEAD + "path: [a, b]\nnames: 3\n",
    "number-endless": HEAD + "names: [a]\nnc: " + "9" * 5000 + "\n",
    "timestamp": HEAD + "names: 2020-01-01\n",
}  # fmt: skip

YAML |= {
    "key-points-endless": HEAD + "names: [a, b]\nkpt_shape: [99999999999, 3]\n",
    "key-points-negative": HEAD + "names: [a, b]\nkpt_shape: [-1, 3]\n",
    "key-points-nested": HEAD + "names: [a, b]\nkpt_shape: [[[17]], 3]\n",
    "names-in-gbk": HEAD.encode() + "names: [安全帽]\n".encode("gb18030"),
    "train-backslashes": "train: " + "..\\" * 400 + "etc\nnames: [a]\n",
    "train-encoded": "train: '" + "%2e%2e%2f" * 400 + "etc/passwd'\nnames: [a]\n",
    "train-address": "train: 'http://[::1/a?d=%00'\nnames: [a]\n",
    "train-deep": "train: " + "a/" * 4000 + "\nnames: [a]\n",
}

ODD = {  # sound, if strange
    "class-names": HEAD
    + "names: ['../../x', '$\\frac{x', '=cmd|calc', '<script>x</script>', \"a\\nb|c\", '\u202e', '', '  ']\n",
    "path-of-another-machine": HEAD + "path: C:\\Users\\x\nnames: [a, b]\n",
    "test-endless": HEAD + "names: [a, b]\ntest: " + "y" * 10000 + "\n",
    "names-yes-no": HEAD + "names: [yes, no]\n",
    "byte-order-mark": "\ufeff" + HEAD + "names: [a, b]\n",
}


def yaml_case(name: str, text: str | bytes) -> Case:
    def build(home: Path) -> None:
        sound(home)
        os.mkfifo(home / "in" / "pipe")
        content = text.encode() if isinstance(text, str) else text
        content = content.replace(b"{payload}", payload(home).replace("'", "").encode())
        (home / "in" / "data.yaml").write_bytes(content.replace(b"{marker}", str(home / MARKER).encode()))

    return Case("data.yaml", name, "src.data", CHECK, build, (TAKEN,) if name in ODD else (REFUSED,))


# --- labels

LABELS: dict[str, bytes] = {
    "words": b"cat on the left\n",
    "four-columns": b"0 0.5 0.5 0.5\n",
    "six-columns": b"0 0.5 0.5 0.5 0.5 0.9\n",
    "nan": b"0 nan 0.5 0.5 0.5\n",
    "inf": b"0 0.5 inf 0.5 0.5\n",
    "overflow": b"0 1e999 0.5 0.5 0.5\n",
    "negative-size": b"0 0.5 0.5 -0.5 0.5\n",
    "zero-size": b"0 0.5 0.5 0 0\n",
    "outside": b"0 5 5 1 1\n",
    "in-pixels": b"0 32 24 10 10\n",
    "class-negative": b"-1 0.5 0.5 0.5 0.5\n",
    "class-unknown": b"7 0.5 0.5 0.5 0.5\n",
    "class-endless": b"99999999999999999999999 0.5 0.5 0.5 0.5\n",
    "class-float": b"0.5 0.5 0.5 0.5 0.5\n",
    "class-nan": b"nan 0.5 0.5 0.5 0.5\n",
    "binary": bytes(range(256)),
    "nul": b"0 0.5 0.5 0.5 0.5\x00\n",
    "utf-16": "0 0.5 0.5 0.5 0.5\n".encode("utf-16"),
    "other-digits": "0 ٠.٥ 0.5 0.5 0.5\n".encode(),
    "underscores": b"0 0_0.5 0.5 0.5 0.5\n",
    "a-pickle": pickle.dumps({"labels": []}),
    "long-line": b"0 " + b"0.5 " * 100_001 + b"\n",
    "polygon-of-two": b"0 0.5 0.5 0.5 0.5 0.5\n",
    "polygon-nan": b"0 nan nan 0.1 0.1 0.2 0.2\n",
    "commas": b"0,0.5,0.5,0.5,0.5\n",
    "hexadecimal": b"0 0x1p-1 0.5 0.5 0.5\n",
    "dota": b"50 20 80 50 50 80 20 50 cat 0\n",
    "kitti": b"Car 0 0 -1.5 61 17 72 28 1.5 1.7 4.1 1 1.7 13 -1.6\n",
    "key-points": b"0 0.5 0.5 0.2 0.2" + b" 0.5 0.5 2" * 17 + b"\n",
    "key-points-endless": b"0 0.5 0.5 0.2 0.2" + b" 0.5 0.5 2" * 100_001 + b"\n",
    "first-word-long": b"x" * 1_000_000 + b" 0.5 0.5 0.5 0.5\n",
}
SPECIAL: dict[str, Callable[[Path], object]] = {
    "a-folder": instead(Path.mkdir),
    "a-pipe": instead(os.mkfifo),
    "a-device": instead(lambda label: label.symlink_to("/dev/zero")),
    "a-loop": instead(lambda label: label.symlink_to(label.name)),
}


def written(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def label_case(name: str, change: Callable[[Path], object], *, skip: bool) -> Case:
    def build(home: Path) -> None:
        sound(home)
        change(home / "in" / "labels" / "train" / f"{BAD}.txt")

    words, ends = (SKIP, (SKIPPED,)) if skip else (CHECK, (REFUSED,))
    return Case("labels", f"{name}-{'skip' if skip else 'stop'}", "src.data", words, build, ends, names=BAD)


def label_cache(home: Path) -> None:
    """Pickles that Ultralytics would load, beside the labels and in place of them."""
    sound(home)
    evil = pickle.dumps(Evil(str(home / MARKER)), protocol=2)
    for place in ("labels/train.cache", "labels/val.cache", "labels.cache", "labels/train/train000.cache"):
        (home / "in" / place).write_bytes(evil)
    array = np.empty(1, object)
    array[0] = Evil(str(home / MARKER))
    for place in ("labels/test.cache", "images/train/train000.npy"):
        with open(home / "in" / place, "wb") as stream:
            np.save(stream, array, allow_pickle=True)


def scan_cache(home: Path) -> None:
    """Our own cache of checks, replaced by pickles and by wrong JSON."""
    sound(home)
    folder = home / "outputs" / "datasets" / ".scan"
    folder.mkdir(parents=True)
    for i in range(3):
        (folder / f"{i}.json").write_bytes(pickle.dumps(Evil(str(home / MARKER)), protocol=2))


# --- pictures


def encoded(kind: str, size: tuple[int, int] = (64, 48), mode: str = "RGB", **options: object) -> bytes:
    """A random picture's file."""
    buffer = io.BytesIO()
    noise = np.random.Generator(np.random.PCG64(7)).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(noise).convert(mode).save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def png(width: int, height: int, depth: int = 8, colour: int = 2, data: bytes = b"", extra: bytes = b"") -> bytes:
    """A PNG by hand: its header may promise anything."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    )


def text_bomb() -> bytes:
    body = b"Comment\0\0" + zlib.compress(bytes(200_000_000), 9)
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    return png(8, 8, data=bytes(8 * 25), extra=chunk)


def animated() -> bytes:
    buffer = io.BytesIO()
    frames = [Image.new("P", (64, 48), c) for c in (1, 2, 3)]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def sixteen_bit() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray((np.arange(64 * 48).reshape(48, 64) * 20).astype(np.uint16)).save(buffer, "PNG")
    return buffer.getvalue()


def float_tiff() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((48, 64), np.nan, np.float32)).save(buffer, "TIFF")
    return buffer.getvalue()


def exif(orientation: int) -> bytes:
    marks = Image.Exif()
    marks[0x0112] = orientation
    return encoded("JPEG", exif=marks)


REFUSE, ODDLY = (REFUSED,), (TAKEN,)
PICTURES: dict[str, tuple[str, Callable[[], bytes], bool]] = {  # suffix, bytes, whether it is sound
    "empty": (".jpg", lambda: b"", False),
    "text": (".jpg", lambda: b"not a picture", False),
    "html": (".png", lambda: b"<html><script>alert(1)</script></html>", False),
    "svg": (".png", lambda: b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", False),
    "a-pickle": (".png", lambda: pickle.dumps([1]), False),
    "zip": (".jpg", lambda: b"PK\x03\x04" + bytes(200), False),
    "noise": (".jpg", lambda: random.Random(1).randbytes(5000), False),
    "1x1": (".png", lambda: encoded("PNG", (1, 1)), False),
    "1x5000": (".png", lambda: encoded("PNG", (1, 5000)), False),
    "9x9": (".png", lambda: encoded("PNG", (9, 9)), False),
    "promises-60000x60000": (".png", lambda: png(60000, 60000), False),
    "promises-2-billion": (".png", lambda: png(2**31 - 1, 2**31 - 1), False),
    "promises-13000x13000": (".png", lambda: png(13000, 13000, data=bytes(100)), False),
    "zero-wide": (".png", lambda: png(0, 10), False),
    "bomb": (".png", lambda: png(30000, 30000, 1, 0, bytes(30000 * 3751)), False),
    "text-bomb": (".png", text_bomb, False),
    "no-pixels": (".png", lambda: png(64, 48, data=b""), False),
    "bad-checksum": (".png", lambda: encoded("PNG")[:40] + b"\xff" + encoded("PNG")[41:], False),
    "tiff-of-nan": (".tif", float_tiff, False),
    "gif-as-png": (".png", animated, False),
    "gif-as-jpg": (".jpg", animated, False),
    "ico-as-png": (".png", lambda: encoded("ICO"), False),
    "ppm-as-bmp": (".bmp", lambda: encoded("PPM"), False),
    "png-as-jpg": (".jpg", lambda: encoded("PNG"), True),
    "jpg-as-png": (".png", lambda: encoded("JPEG"), True),
    "webp-as-jpg": (".jpg", lambda: encoded("WEBP"), True),
    "cmyk": (".jpg", lambda: encoded("JPEG", mode="CMYK"), True),
    "grey": (".jpg", lambda: encoded("JPEG", mode="L"), True),
    "one-bit": (".png", lambda: encoded("PNG", mode="1"), True),
    "palette": (".png", lambda: encoded("PNG", mode="P"), True),
    "with-alpha": (".png", lambda: encoded("PNG", mode="RGBA"), True),
    "16-bit": (".png", sixteen_bit, True),
    "exif-6": (".jpg", lambda: exif(6), True),
    "exif-99": (".jpg", lambda: exif(99), True),
    "animated-webp": (".webp", lambda: encoded("WEBP", save_all=True,
                                               append_images=[Image.new("RGB", (64, 48))]), True),
    "bytes-after-the-end": (".jpg", lambda: encoded("JPEG") + b"<?php evil() ?>", True),
}  # fmt: skip


def twelve_bit() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray((np.arange(64 * 48).reshape(48, 64)).astype(np.uint16)).save(buffer, "PNG")
    return buffer.getvalue()


PICTURES |= {
    "avif": (".avif", lambda: encoded("AVIF"), True),
    "jpeg-2000": (".jp2", lambda: encoded("JPEG2000"), True),
    "jfif": (".jfif", lambda: encoded("JPEG"), True),
    "avif-as-jpg": (".jpg", lambda: encoded("AVIF"), True),
    "avif-torn": (".avif", lambda: encoded("AVIF")[:-40], False),
    "jpeg-2000-torn": (".jp2", lambda: encoded("JPEG2000")[:200], False),
    "jpeg-2000-promises": (".jp2", lambda: promising(encoded("JPEG2000")), False),
    "heic": (".heic", lambda: b"\0\0\0\x18ftypheic" + bytes(200), False),
    "gif": (".gif", animated, False),
    "svg-by-name": (".svg", lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", False),
    "raw-by-name": (".dng", lambda: encoded("TIFF"), False),
    "12-bit": (".png", twelve_bit, False),
}


def promising(data: bytes) -> bytes:
    """JPEG 2000 whose two headers promise 100,000 x 100,000 pixels."""
    side = struct.pack(">I", 100_000)
    at = data.index(b"ihdr") + 4
    size = data.index(b"\xff\x51") + 6
    return data[:at] + side * 2 + data[at + 8 : size] + side * 2 + data[size + 8 :]


def picture_case(name: str, suffix: str, make: Callable[[], bytes], is_sound: bool, *, skip: bool) -> Case:
    def build(home: Path) -> None:
        sound(home)
        (home / "in" / "images" / "train" / f"{BAD}.jpg").unlink()
        (home / "in" / "images" / "train" / f"{BAD}{suffix}").write_bytes(make())

    ends = (TAKEN,) if is_sound else (SKIPPED,) if skip else (REFUSED,)
    words = SKIP if skip else CHECK
    return Case("images", name, "src.data", words, build, ends, names="" if is_sound else BAD)


def truncated(count: int = 24) -> list[Case]:
    """Pictures cut or scribbled upon at random places: taken where a reader can't tell, else named."""
    rng = random.Random(42)
    found = []
    for i in range(count):
        kind, suffix = rng.choice(
            [("JPEG", ".jpg"), ("PNG", ".png"), ("WEBP", ".webp"), ("BMP", ".bmp"), ("TIFF", ".tif")]
        )
        data = bytearray(encoded(kind))
        if i % 2:
            del data[rng.randrange(1, len(data)) :]
        else:
            for _ in range(rng.randrange(1, 30)):
                data[rng.randrange(len(data))] = rng.randrange(256)
        case = picture_case(f"mutated-{i}-{kind.lower()}", suffix, functools.partial(bytes, data), False, skip=True)
        found.append(Case(case.kind, case.name, case.module, case.words, case.build, (SKIPPED, TAKEN)))
    return found


def special_pictures() -> list[Case]:
    """Pictures that are no files."""

    def placed(name: str, change: Callable[[Path], object]) -> Case:
        def build(home: Path) -> None:
            sound(home)
            path = home / "in" / "images" / "train" / f"{BAD}.jpg"
            path.unlink()
            change(path)

        return Case("images", name, "src.data", CHECK, build, (REFUSED, TAKEN))

    def tree(path: Path) -> None:
        path.with_name("up").symlink_to("..")

    return [
        placed("pipe", os.mkfifo),
        placed("endless-device", lambda p: p.symlink_to("/dev/zero")),
        placed("terminal-device", lambda p: p.symlink_to("/dev/tty")),
        placed("link-to-itself", lambda p: p.symlink_to(p.name)),
        placed("link-to-nothing", lambda p: p.symlink_to("/none")),
        placed("link-to-passwd", lambda p: p.symlink_to("/etc/passwd")),
        placed("folder-called-jpg", lambda p: p.mkdir()),
        placed("folder-loop", tree),
        placed("name-formula", lambda p: picture(p.with_name("=cmd|calc'!A0.jpg"), 77)),
        placed("name-newline", lambda p: picture(p.with_name("a\nb<script>.jpg"), 78)),
        placed("name-not-unicode", lambda p: picture(p.with_name("x.jpg"), 79).rename(
            os.fsdecode(os.fsencode(p.parent) + b"/\xff\xfe.jpg"))),
        placed("name-long", lambda p: picture(p.with_name("y" * 240 + ".jpg"), 80)),
    ]  # fmt: skip


# --- COCO and VOC


def coco_case(name: str, change: Callable[[Any], object]) -> Case:
    from tests.data.builders import box, coco_set

    def build(home: Path) -> None:
        coco_set(home / "in", {"train": [box(1, [1, 1, 9, 9])], "val": [box(1, [1, 1, 9, 9])]})
        file = home / "in" / "annotations" / "instances_train.json"
        content = json.loads(file.read_text())
        answer = change(content)
        file.write_text(answer if isinstance(answer, str) else json.dumps(content))

    words = ("check", "data=coco", f"data.path={HOME}/in", f"outputs={HOME}/outputs")
    ends = (REFUSED, TAKEN) if name == "size-text" else (REFUSED,)  # the picture itself says its size
    return Case("annotations", f"coco-{name}", "src.data", words, build, ends)


def coco_cases() -> list[Case]:
    def first(key: str, field: str, value: object) -> Callable[[Any], object]:
        return lambda content: content[key][0].update({field: value})

    return [
        coco_case("torn", lambda c: json.dumps(c)[:80]),
        coco_case("deep", lambda c: "[" * 100_000),
        coco_case("a-list", lambda c: "[]"),
        coco_case("outside", first("images", "file_name", "../../../etc/passwd")),
        coco_case("absolute", first("images", "file_name", "/etc/passwd")),
        coco_case("nul", first("images", "file_name", "a\0b.png")),
        coco_case("no-name", lambda c: c["images"][0].pop("file_name")),
        coco_case("name-number", first("images", "file_name", 7)),
        coco_case("size-text", first("images", "width", "wide")),
        coco_case("box-short", first("annotations", "bbox", [1, 2])),
        coco_case("box-text", first("annotations", "bbox", ["a", "b", "c", "d"])),
        coco_case("box-nan", first("annotations", "bbox", [float("nan")] * 4)),
        coco_case("box-endless", first("annotations", "bbox", [1e308] * 4)),
        coco_case("box-null", first("annotations", "bbox", None)),
        coco_case("category-unknown", first("annotations", "category_id", 5)),
        coco_case("category-list", first("annotations", "category_id", [1])),
        coco_case("image-unknown", first("annotations", "image_id", 99)),
        coco_case("images-number", lambda c: c.update(images=3)),
    ]


# --- layouts: what is found by looking around must not be led astray


def layout_case(name: str, kind: str, lay: Callable[[Path], object], ends: tuple[str, ...] = REFUSE) -> Case:
    def build(home: Path) -> None:
        lay(home / "in")

    words = ("check", f"data={kind}", f"data.path={HOME}/in", f"outputs={HOME}/outputs")
    return Case("layouts", name, "src.data", words, build, ends)


def _loop(folder: Path) -> None:
    yolo_set(folder, {"train": 4, "val": 2})
    (folder / "images" / "train" / "up").symlink_to(".")
    (folder / "self").symlink_to("self")


def _without(description: str, text: str | bytes) -> Callable[[Path], object]:
    """A YOLO folder that another file than data.yaml describes."""

    def lay(folder: Path) -> None:
        yolo_set(folder, {"train": 4, "val": 2}).unlink()
        (folder / description).write_bytes(text if isinstance(text, bytes) else text.encode())

    return lay


def _hidden(folder: Path) -> None:
    yolo_set(folder, {"train": 4, "val": 2})
    for name in ("._train000.jpg", ".evil.jpg", ".DS_Store"):
        (folder / "images" / "train" / name).write_bytes(b"\0\5\x16\7" * 9)
    os.mkfifo(folder / "labels" / "train" / "._train000.txt")
    (folder / "images" / "train" / ".ipynb_checkpoints").symlink_to("/")


def _coco_named(name: str) -> Callable[[Path], object]:
    from tests.data.builders import box, coco_set

    def lay(folder: Path) -> None:
        coco_set(folder, {"train": [box(1, [1, 1, 9, 9])], "val": [box(1, [1, 1, 9, 9])]})
        for split in ("train", "val"):
            file = folder / "annotations" / f"instances_{split}.json"
            raw = json.loads(file.read_text())
            for row in raw["images"]:
                row["file_name"] = name
            file.write_text(json.dumps(raw))

    return lay


def _voc_listed(line: str) -> Callable[[Path], object]:
    def lay(folder: Path) -> None:
        for stem in "abcd":
            picture(folder / "JPEGImages" / f"{stem}.jpg", ord(stem))
            (folder / "Annotations").mkdir(exist_ok=True)
            (folder / "Annotations" / f"{stem}.xml").write_text(XML.format(BOX.format(1)))
        (folder / "ImageSets" / "Main").mkdir(parents=True)
        (folder / "ImageSets" / "Main" / "train.txt").write_text(f"a\nb\n{line}\n")
        (folder / "ImageSets" / "Main" / "val.txt").write_text("c\nd\n")

    return lay


def layout_cases() -> list[Case]:
    names = {
        "coco-up": "../../../../../etc/passwd",
        "coco-encoded-up": "%2e%2e%2f" * 30 + "etc%2fpasswd",
        "coco-query": "/data/local-files/?d=..%2F..%2F..%2F..%2Fetc%2Fpasswd",
        "coco-backslash-up": "..\\..\\..\\..\\etc\\passwd",
        "coco-broken-address": "http://[::1/a.png",
        "coco-long": "a/" * 3000 + "b.png",
        "coco-dot": ".",
    }
    return [
        layout_case("loops", "yolo", _loop, (TAKEN,)),
        layout_case("hidden", "yolo", _hidden, (TAKEN,)),
        layout_case("classes", "yolo", _without("classes.txt", "cat\ndog\n"), (TAKEN,)),
        layout_case("classes-binary", "yolo", _without("classes.txt", bytes(range(256)))),
        layout_case("classes-empty", "yolo", _without("classes.txt", "")),
        layout_case("darknet-nothing", "yolo", _without("obj.data", "classes = 2\n")),
        layout_case(
            "darknet-up", "yolo", _without("obj.data", "names = ../../../../etc/passwd\ntrain = /etc/passwd\n")
        ),
        layout_case("darknet-endless", "yolo", _without("obj.data", "names = /dev/zero\ntrain = /dev/zero\n")),
        layout_case("nothing-for-yolo", "yolo", lambda folder: folder.mkdir(exist_ok=True)),
        layout_case("nothing-for-coco", "coco", lambda folder: folder.mkdir(exist_ok=True)),
        layout_case("nothing-for-voc", "voc", lambda folder: folder.mkdir(exist_ok=True)),
        *(layout_case(key, "coco", _coco_named(name)) for key, name in names.items()),
        layout_case("voc-list-up", "voc", _voc_listed("../../../etc/passwd")),
        layout_case("voc-list-nul", "voc", _voc_listed("a\0b")),
        layout_case("voc-list-long", "voc", _voc_listed("a/" * 3000), (TAKEN,)),
    ]


XML = "<annotation><size><width>64</width><height>48</height></size>{}</annotation>"
BOX = "<object><name>cat</name><bndbox><xmin>{}</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"
VOC = {
    "laughs": '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {b} "{("&" + a + ";") * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "]><annotation><object><name>&i;</name></object></annotation>",
    "outside-entity": '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><annotation><object><name>&e;</name>'
    "</object></annotation>",
    "torn": XML.format(BOX.format(1))[:60],
    "words": XML.format(BOX.format("left")),
    "nan": XML.format(BOX.format("nan")),
    "nothing": "",
    "no-box": XML.format("<object><name>cat</name></object>"),
    "deep": "<a>" * 50_000,
}


def voc_case(name: str, text: str) -> Case:
    def build(home: Path) -> None:
        base = home / "in"
        for stem in ("a", "b", "c", "d"):
            picture(base / "JPEGImages" / f"{stem}.jpg", ord(stem))
            file = base / "Annotations" / f"{stem}.xml"
            file.parent.mkdir(exist_ok=True)
            file.write_text(text if stem == "a" else XML.format(BOX.format(1)))
        lists = base / "ImageSets" / "Main"
        lists.mkdir(parents=True)
        (lists / "train.txt").write_text("a\nb\n")
        (lists / "val.txt").write_text("c\nd\n")

    words = ("check", "data=voc", f"data.path={HOME}/in", f"outputs={HOME}/outputs")
    return Case("annotations", f"voc-{name}", "src.data", words, build, (REFUSED,))


def cases() -> list[Case]:
    """All of them."""
    found = [yaml_case(name, text) for name, text in (YAML | ODD).items()]
    found.append(Case("data.yaml", "label-caches-that-run-code", "src.data", CHECK, label_cache, (TAKEN,)))
    found.append(Case("data.yaml", "scan-caches-that-run-code", "src.data", CHECK, scan_cache, (TAKEN,)))
    changes: dict[str, Callable[[Path], object]] = {
        name: functools.partial(written, text) for name, text in LABELS.items()
    }
    for i, (name, change) in enumerate((changes | SPECIAL).items()):
        found.append(label_case(name, change, skip=bool(i % 2)))
    for i, (name, (suffix, make, is_sound)) in enumerate(PICTURES.items()):
        found.append(picture_case(name, suffix, make, is_sound, skip=bool(i % 2)))
    return [
        *found,
        *truncated(),
        *special_pictures(),
        *coco_cases(),
        *layout_cases(),
        *(voc_case(n, t) for n, t in VOC.items()),
    ]
