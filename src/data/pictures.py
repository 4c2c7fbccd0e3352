"""Pictures of a prepared dataset: labelled samples, the class histogram, and where boxes lie and how large they are."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from src.common import image_loaders
from src.common.figures import save_png
from src.data import Sample
from src.data.layout import load_index
from src.data.samples import read_split
from src.data.types import SPLITS, no_boxes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.uint8]

GRID = (3, 4)  # rows and columns of the sample sheet
CELL_PX = 600  # a picture on the sheet is drawn from at most so many pixels a side
TOP = 0.06  # share of a picture's height that a class name takes
MANY_CLASSES = 30  # beyond, only the most frequent are drawn


def write_pictures(base: Path) -> list[Path]:
    """Draw `samples.png`, `classes.png` and `boxes.png` in a prepared folder, where they aren't there yet."""
    files = [base / name for name in ("samples.png", "classes.png", "boxes.png")]
    if all(file.is_file() for file in files):
        return files
    names = load_index(base)["class_names"]
    splits = {split: read_split(base, split) for split in SPLITS}
    splits = {split: own for split, own in splits.items() if own}
    for file, figure in zip(files, (_samples(splits, names), _classes(splits, names), _boxes(splits)), strict=True):
        save_png(figure, file)
    return files


def _figure(width: float, height: float) -> Figure:
    # Not pyplot: it keeps global state and may look for a display.
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["text.parse_math"] = False  # a class name with a dollar sign is no formula
    return Figure(figsize=(width, height), layout="constrained")


def _samples(splits: dict[str, list[Sample]], names: Sequence[str]) -> Figure:
    """A sheet of images, spread evenly over the splits, with their boxes; encrypted ones stay blank."""
    rows, columns = GRID
    figure = _figure(3 * columns, 3 * rows)
    chosen = _spread(splits, rows * columns)
    for number, (split, sample) in enumerate(chosen, start=1):
        axes = figure.add_subplot(rows, columns, number)
        _draw(axes, sample, names)
        axes.set_title(f"{split} · {Path(sample.image).name[:28]}", fontsize=7)
    return figure


def _spread(splits: dict[str, list[Sample]], count: int) -> list[tuple[str, Sample]]:
    chosen = []
    for i, (split, own) in enumerate(splits.items()):
        share = min(len(own), count // len(splits) + (i < count % len(splits)))
        chosen += [(split, own[j * len(own) // share]) for j in range(share)]
    return chosen


def _draw(axes: Axes, sample: Sample, names: Sequence[str]) -> None:
    from matplotlib.patches import Rectangle

    axes.set_axis_off()
    if image_loaders.is_private(sample.image):  # what is drawn is written, and logged, in clear
        axes.text(0.5, 0.5, "encrypted", ha="center", transform=axes.transAxes)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its size: the check has let it pass
        axes.imshow(_small(sample.image), extent=(0, sample.width, sample.height, 0))
    for (x1, y1, x2, y2), label in zip(sample.boxes.tolist(), sample.classes.tolist(), strict=True):
        color = f"C{label % 10}"
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=color, linewidth=1.2))
        inside = y1 < TOP * sample.height  # above the box it would lie outside the picture, which cuts it off
        patch = {"facecolor": color, "edgecolor": "none", "pad": 0.8}
        spot: dict[str, Any] = {"fontsize": 5, "color": "white", "va": "top" if inside else "bottom", "clip_on": True}
        axes.text(max(x1, 0), max(y1, 0), names[label][:16], bbox=patch, **spot)


def _small(path: str) -> Array:
    """A picture, upright, with at most CELL_PX pixels a side: (height, width, 3) uint8."""
    from PIL import Image, ImageOps

    content = image_loaders.through_loader(Path(path).read_bytes(), path) if image_loaders.active() else None
    with Image.open(path if content is None else io.BytesIO(content)) as image:
        image.draft("RGB", (2 * CELL_PX, 2 * CELL_PX))  # a JPEG is decoded at a fraction of its size
        small = image.convert("RGB")
        small.info["exif"] = image.getexif().tobytes()
    small.thumbnail((CELL_PX, CELL_PX))
    return np.asarray(ImageOps.exif_transpose(small))


def _classes(splits: dict[str, list[Sample]], names: Sequence[str]) -> Figure:
    """Boxes per class and split, most frequent class first."""
    counts = {
        s: np.bincount(np.concatenate([x.classes for x in own]), minlength=len(names)) for s, own in splits.items()
    }
    total = sum(counts.values(), np.zeros(len(names), np.int64))
    order = np.argsort(-total, kind="stable")[:MANY_CLASSES]
    figure = _figure(max(6, 0.35 * len(order)), 4)
    axes = figure.add_subplot()
    width = 0.8 / len(counts)
    for i, (split, own) in enumerate(counts.items()):
        axes.bar(np.arange(len(order)) + (i + 0.5) * width - 0.4, own[order], width, label=split)
    axes.set_xticks(np.arange(len(order)), [names[i][:20] for i in order.tolist()], rotation=60, ha="right", fontsize=8)
    shown = f" (the {len(order)} most frequent of {len(names)})" if len(order) < len(names) else ""
    axes.set_title(f"Boxes per class{shown}")
    axes.set_ylabel("boxes")
    figure.legend(loc="outside right upper")
    return figure


def _boxes(splits: dict[str, list[Sample]]) -> Figure:
    """Relative sizes and centres of all boxes."""
    samples = [sample for own in splits.values() for sample in own]
    scaled = [s.boxes / [s.width, s.height, s.width, s.height] for s in samples]
    boxes = np.concatenate([no_boxes(), *scaled])
    figure = _figure(11, 4.5)
    sizes, centres = figure.subplots(1, 2)
    counted = sizes.hist2d(
        *(boxes[:, 2:] - boxes[:, :2]).clip(0, 1).T, bins=40, range=[[0, 1], [0, 1]], cmap="viridis", cmin=1
    )
    sizes.set(title="Box sizes", xlabel="width / image width", ylabel="height / image height", aspect="equal")
    middle = ((boxes[:, 2:] + boxes[:, :2]) / 2).clip(0, 1)
    figure.colorbar(counted[3], ax=sizes, label="boxes")
    counted = centres.hist2d(*middle.T, bins=40, range=[[0, 1], [0, 1]], cmap="viridis", cmin=1)
    figure.colorbar(counted[3], ax=centres, label="boxes")
    centres.invert_yaxis()
    centres.set(title="Box centres", xlabel="x / image width", ylabel="y / image height", aspect="equal")
    return figure
