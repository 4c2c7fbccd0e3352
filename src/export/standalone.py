"""Parts of the script that is written beside every artifact: `src.export.script` copies them out of this file.

They are code of this program like any other, so that they are checked and tested as such, and they need numpy alone.
Names in capitals stand for what the script of an artifact sets by its record.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

HEIGHT, WIDTH = 640, 640
NAMES: list[str] = []
FILE = Path("model")
NMS = False
BLOCK = 64


class Detector:  # replaced by that of the artifact
    """Stands for the class that the script defines."""

    def __init__(self, path: Path, threads: int) -> None: ...

    def __call__(self, image: np.ndarray, conf: float, iou: float, most: int) -> Any:
        """Boxes, scores, classes."""


def read_picture(path: Path) -> np.ndarray:
    """A picture as uint8 [height, width, 3], red first, turned upright.

    OpenCV reads it, else Pillow; .npy files need neither.
    """
    if path.suffix == ".npy":
        image = np.load(path, allow_pickle=False)
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ValueError(f"expected uint8 [height, width, 3], found {image.dtype} {list(image.shape)}")
        return np.asarray(image)
    try:
        import cv2
    except ImportError:
        from PIL import Image, ImageOps

        with Image.open(path) as opened:
            return np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError("this is no picture")
    return np.ascontiguousarray(image[:, :, ::-1])


def resize(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Bilinear, in the fixed-point arithmetic of OpenCV's cv2.resize and equal to it bit for bit."""
    high, wide = image.shape[:2]
    pixels = image.astype(np.int64)
    if (high, wide) == (2 * height, 2 * width):  # OpenCV takes the mean of four here
        total = pixels[::2, ::2] + pixels[1::2, ::2] + pixels[::2, 1::2] + pixels[1::2, 1::2]
        return np.asarray((total + 2) >> 2, np.uint8)
    left, x_share = neighbours(wide, width)
    top, y_share = neighbours(high, height)
    x_share[(left < 0) | (left >= wide - 1)] = 0
    left = left.clip(0, wide - 1)
    after, before = np.rint(x_share * 2048).astype(np.int64), np.rint((1 - x_share) * 2048).astype(np.int64)
    below, above = np.rint(y_share * 2048).astype(np.int64), np.rint((1 - y_share) * 2048).astype(np.int64)
    right = np.minimum(left + 1, wide - 1)
    rows = (pixels[:, left] * before[None, :, None] + pixels[:, right] * after[None, :, None]) >> 4
    upper = (rows[top.clip(0, high - 1)] * above[:, None, None]) >> 16
    lower = (rows[(top + 1).clip(0, high - 1)] * below[:, None, None]) >> 16
    return np.asarray(((upper + lower + 2) >> 2).clip(0, 255), np.uint8)


def neighbours(old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """For each new pixel: the old one before its centre, and how far it lies towards the next one, 0..1."""
    place = ((np.arange(new) + 0.5) * (old / new) - 0.5).astype(np.float32)
    before = np.floor(place).astype(np.int64)
    return before, (place - before).astype(np.float32)


def place_letterbox(width: int, height: int) -> tuple[int, int, int, int, int]:
    """New width and height of a picture, where it goes (left, top), and the grey around it: as large as fits."""
    ratio = min(WIDTH / width, HEIGHT / height)
    wide, high = min(int(np.ceil(width * ratio)), WIDTH), min(int(np.ceil(height * ratio)), HEIGHT)
    return wide, high, round((WIDTH - wide) / 2 - 0.1), round((HEIGHT - high) / 2 - 0.1), 114


def place_stretch(width: int, height: int) -> tuple[int, int, int, int, int]:
    """New width and height of a picture, where it goes (left, top), and the grey around it: both sides made to fit."""
    return WIDTH, HEIGHT, 0, 0, 114


def place_shortest_side(width: int, height: int) -> tuple[int, int, int, int, int]:
    """New width and height of a picture, where it goes (left, top), and the black beside it: by its shorter side."""
    ratio = min(WIDTH / width, HEIGHT / height, min(HEIGHT, WIDTH) / min(height, width))
    return max(int(width * ratio), 1), max(int(height * ratio), 1), 0, 0, 0


def corners_of(boxes: np.ndarray) -> np.ndarray:
    """Centre and size [n, 4] to corners [n, 4]."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def suppress(boxes: np.ndarray, classes: np.ndarray, iou: float, most: int) -> list[int]:
    """Indices of the boxes that stay, best first: a box goes that overlaps a better one of its class by more."""
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    left = np.arange(len(boxes))
    kept: list[int] = []
    while left.size and len(kept) < most:
        best, left = left[0], left[1:]
        kept.append(int(best))
        width = np.minimum(boxes[best, 2], boxes[left, 2]) - np.maximum(boxes[best, 0], boxes[left, 0])
        height = np.minimum(boxes[best, 3], boxes[left, 3]) - np.maximum(boxes[best, 1], boxes[left, 1])
        overlap = width.clip(0) * height.clip(0)
        union = area[best] + area[left] - overlap
        left = left[~((overlap > iou * union) & (union > 0) & (classes[left] == classes[best]))]
    return kept


def suppress_turned(boxes: np.ndarray, classes: np.ndarray, iou: float, most: int) -> list[int]:
    """Indices of the boxes [n, 5] (centre, size, angle) that stay, best first.

    A box goes if any better one of its class overlaps it by more; the overlap is ProbIoU (Llerena et al., 2021).
    """
    wide, high = boxes[:, 2] ** 2 / 12, boxes[:, 3] ** 2 / 12
    cos, sin = np.cos(boxes[:, 4]), np.sin(boxes[:, 4])
    a, b, c = wide * cos**2 + high * sin**2, wide * sin**2 + high * cos**2, (wide - high) * cos * sin
    kept: list[int] = []
    for i in range(len(boxes)):
        if len(kept) == most:
            break
        sums = a[:i] + a[i], b[:i] + b[i], c[:i] + c[i]
        dx, dy = boxes[:i, 0] - boxes[i, 0], boxes[:i, 1] - boxes[i, 1]
        spread = sums[0] * sums[1] - sums[2] ** 2
        near = (sums[0] * dy**2 + sums[1] * dx**2) / (spread + 1e-7) * 0.25
        skew = sums[2] * -dx * dy / (spread + 1e-7) * 0.5
        sizes = (a[:i] * b[:i] - c[:i] ** 2).clip(0) * max(a[i] * b[i] - c[i] ** 2, 0)
        distance = near + skew + np.log(spread / (4 * np.sqrt(sizes) + 1e-7) + 1e-7) * 0.5
        overlap = 1 - np.sqrt(1 - np.exp(-distance.clip(1e-7, 100)) + 1e-7)
        if not ((overlap > iou) & (classes[:i] == classes[i])).any():
            kept.append(i)
    return kept


def upright(boxes: np.ndarray) -> np.ndarray:
    """The upright boxes (corners) around boxes [n, 5] of centre, size and angle."""
    cos, sin = np.abs(np.cos(boxes[:, 4])), np.abs(np.sin(boxes[:, 4]))
    wide, high = np.abs(boxes[:, 2]), np.abs(boxes[:, 3])
    half = np.stack([wide * cos + high * sin, wide * sin + high * cos], axis=1) / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def best_of(scores: np.ndarray, conf: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Score, box and class of what is above `conf`, best first, of scores [classes, boxes]."""
    best = scores.max(axis=0)
    boxes = np.flatnonzero(best > conf)
    order = np.argsort(-best[boxes], kind="stable")[:30_000]
    boxes = boxes[order]
    return best[boxes], boxes, scores[:, boxes].argmax(axis=0)


def name_of(number: int) -> str:
    """The name of a class, or its number where nothing tells."""
    return NAMES[number] if number < len(NAMES) else str(number)


def leave(text: str) -> NoReturn:
    """Say what is wrong, and end."""
    print(text, file=sys.stderr)
    raise SystemExit(2)


def main() -> None:
    """Print what is found in pictures."""
    parser = argparse.ArgumentParser(description=f"Detections of {FILE.name}: file, class, score, corners in px.")
    parser.add_argument("pictures", nargs="+", type=Path, help="pictures, or .npy files of uint8 [height, width, 3]")
    parser.add_argument("--model", type=Path, default=FILE, help="another file of the same model")
    parser.add_argument("--conf", type=float, default=0.25, help="lowest score")
    parser.add_argument("--iou", type=float, default=0.7, help="overlap above which two boxes are one")
    parser.add_argument("--most", type=int, default=300, help="boxes of one picture")
    parser.add_argument("--threads", type=int, default=0, help="0 = as the engine likes")
    parser.add_argument("--json", action="store_true", help="a JSON object for each box")
    args = parser.parse_args()
    if not (0 <= args.conf <= 1 and 0 <= args.iou <= 1 and args.most >= 1 and args.threads >= 0):
        leave("--conf and --iou lie in 0..1, --most is at least 1, --threads at least 0")
    if not args.model.exists():
        leave(f"{args.model}: no such file")
    detector = Detector(args.model, args.threads)
    for path in args.pictures:
        try:
            image = read_picture(path)
        except (OSError, ValueError, EOFError) as error:
            leave(f"{path}: can't be read ({error})")
        except ImportError:
            leave(f"{path}: install opencv-python or pillow to read pictures, or give a .npy file")
        boxes, scores, classes = detector(image, args.conf, args.iou, args.most)
        for box, score, number in zip(boxes.tolist(), scores.tolist(), classes.tolist(), strict=True):
            if args.json:
                row = {"file": str(path), "class": number, "name": name_of(number), "score": score, "box": box}
                print(json.dumps(row))
            else:
                print(path, name_of(number), f"{score:.4f}", *(f"{v:.1f}" for v in box), sep="\t")
