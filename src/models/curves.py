"""The curves of a training as one picture: losses on train and val, accuracy, and the learning rate, by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from src.common.figures import save_png
from src.models.gradients import LARGEST, NORM

FILE = "results.png"
COLUMNS, HEIGHT, WIDTH = 3, 2.4, 4.0  # panels beside each other, and the inches of one
ACCURACY = ("val/mAP50-95", "val/mAP50")
SHARES = ("val/precision", "val/recall", "val/f1")


def panels(names: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Title and figures of every panel that a training's figures give."""
    losses = [name.removeprefix("train/") for name in names if name.startswith("train/")]
    wanted = [(loss, [f"train/{loss}", f"val/{loss}"]) for loss in losses]
    wanted += [("mAP", list(ACCURACY)), ("precision, recall, F1", list(SHARES)), ("learning rate", ["lr"])]
    wanted += [("length of the gradient", [NORM, LARGEST])]
    known = [(title, [name for name in figures if name in names]) for title, figures in wanted]
    return [(title, figures) for title, figures in known if figures]


def draw_curves(history: Sequence[dict[str, float]], out: Path) -> Path:
    """Draw a training's figures by epoch to `out/results.png`.

    Args:
        history: a row per epoch, as `epoch_metrics` gives them, with `epoch`.
        out: folder of the training.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    drawn = panels(list(history[0]))
    rows = -(-len(drawn) // COLUMNS)
    figure = Figure(figsize=(COLUMNS * WIDTH, rows * HEIGHT + 0.3))
    epochs = [row["epoch"] for row in history]
    for place, (title, names) in enumerate(drawn, start=1):
        axes = figure.add_subplot(rows, COLUMNS, place)
        for name in names:
            label = name.removeprefix("val/") if "loss" not in name else name.partition("/")[0]
            axes.plot(epochs, [row[name] for row in history], marker=".", label=label)
        axes.set_title(title, fontsize=9)
        axes.tick_params(labelsize=7)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(names) > 1:
            axes.legend(fontsize=7)
    # Set by hand: a layout that is computed takes longer than the drawing.
    figure.subplots_adjust(left=0.05, right=0.99, top=1 - 0.3 / (rows * HEIGHT), bottom=0.07, hspace=0.3, wspace=0.18)
    target = out / FILE
    save_png(figure, target)
    return target
