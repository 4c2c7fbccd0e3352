"""Precision, recall and F1 by threshold on val after every epoch, kept where `train.epoch_curves` asks for it.

A row of the history has each at one threshold only. The curves tell a network that got surer from one that got better:
in the first case F1 keeps its height and moves along the threshold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from src.common.figures import save_png
from src.common.whole_files import write_text

FOLDER, PICTURE = "epoch_curves", "epoch_curves.png"
POINTS = 101  # of a curve: thresholds 0, 0.01, … 1
GRID = np.linspace(0, 1, POINTS)
NAMES = ("precision", "recall", "f1")


def keep(out: Path, epoch: int, thresholds: ArrayLike, values: Mapping[str, ArrayLike]) -> None:
    """Write the curves of one epoch to `out/epoch_curves/`.

    Args:
        out: folder of the training.
        epoch: from 1.
        thresholds: [k] rising.
        values: precision, recall and f1 at them, means over classes, each [k].
    """
    at = np.asarray(thresholds, np.float64)
    rows = {name: np.interp(GRID, at, np.asarray(values[name], np.float64)) if len(at) else 0 * GRID for name in NAMES}
    content = {"epoch": epoch, "threshold": GRID.round(2).tolist()}
    content |= {name: np.nan_to_num(row).round(5).tolist() for name, row in rows.items()}
    write_text(out / FOLDER / f"{epoch:04d}.json", json.dumps(content) + "\n")


def draw(out: Path) -> Path | None:
    """Draw the kept curves of all epochs into one picture; None where none were kept."""
    kept = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((out / FOLDER).glob("*.json"))]
    if not kept:
        return None
    save_png(_figure(kept), out / PICTURE)
    return out / PICTURE


def _figure(kept: Sequence[Mapping[str, list[float]]]):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a Figure
    import matplotlib as mpl
    from matplotlib.figure import Figure

    colours = mpl.colormaps["viridis"]
    figure = Figure(figsize=(12, 3.4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    last = max(len(kept) - 1, 1)
    for i, curves in enumerate(kept):
        colour = colours(0.9 * i / last)
        found = np.array(curves["precision"]) + np.array(curves["recall"]) > 0
        left.plot(np.array(curves["recall"])[found], np.array(curves["precision"])[found], color=colour, lw=1)
        middle.plot(curves["threshold"], curves["f1"], color=colour, lw=1)
        right.plot(curves["threshold"], curves["recall"], color=colour, lw=1)
    titles = (("recall", "precision"), ("confidence threshold", "F1"), ("confidence threshold", "recall"))
    for axes, (x, y) in zip((left, middle, right), titles, strict=True):
        axes.set(xlabel=x, ylabel=y, xlim=(0, 1), ylim=(0, 1.02))
    epochs = mpl.cm.ScalarMappable(mpl.colors.Normalize(kept[0]["epoch"], kept[-1]["epoch"]), colours)  # type: ignore[arg-type]
    figure.colorbar(epochs, ax=right, label="epoch")
    return figure
