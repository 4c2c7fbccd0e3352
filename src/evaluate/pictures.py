"""What a detector's detections on a split look like: curves, confusion matrix, and pictures with labels beside boxes.

Drawn from the detections that the figures come from, so that nothing runs again for them and every family of detectors
has the same pictures. Small ones, since every trial has them: what is not in them stands in the records.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.common import image_loaders
from src.common.colours import class_colour
from src.common.figures import save_png
from src.common.matrix import condensed
from src.common.whole_files import whole_file
from src.data import Sample
from src.evaluate.errors import split_errors
from src.evaluate.matching import Detected, Floats, Matches
from src.evaluate.precision import RECALL_POINTS, ground_truths_per_class
from src.evaluate.thresholds import Curve, curve
from src.inference import load_image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVES, MATRIX, BOXES = "curves.png", "confusion_matrix.png", "boxes.jpg"
MOST_CLASSES = 20  # that are shown one by one
EXAMPLES, SIDE = 6, 256  # pictures, and px of one; its labels on the left, what was found on the right
FIXED = {"left": 0.07, "right": 0.98, "top": 0.9, "bottom": 0.16, "wspace": 0.2}  # a layout takes longer than drawing


def draw_evaluation(
    matches: Matches, detections: Sequence[Detected], samples: Sequence[Sample], names: Sequence[str], out: Path
) -> list[Path]:
    """Draw `curves.png`, `confusion_matrix.png` and `boxes.jpg` into a folder.

    Args:
        matches: of the detections and the labels.
        detections: one item per image.
        samples: the images with their labels, in the same order.
        names: of the classes.
        out: folder.

    Returns:
        The files. Pictures that must not be shown in clear are left out; where all must not, there is no `boxes.jpg`.
    """
    found = curve(matches)
    threshold = float(found.thresholds[found.best]) if found.best >= 0 else 0.5
    save_png(_curves(matches, found, threshold), out / CURVES)
    save_png(_matrix(matches, threshold, names), out / MATRIX)
    _examples(detections, samples, names, threshold, out / BOXES)
    return drawn_in(out)


def drawn_in(out: Path) -> list[Path]:
    """The pictures that were drawn into a folder."""
    return [out / name for name in (CURVES, MATRIX, BOXES) if (out / name).is_file()]


def precision_at(matches: Matches) -> Floats:
    """COCO's precision by recall at the first IoU threshold, 0.5: [n_classes, 101], NaN without ground truth."""
    totals = ground_truths_per_class(matches)
    found = np.full((matches.n_classes, len(RECALL_POINTS)), np.nan)
    for c in np.flatnonzero(totals):
        own = (matches.dets.classes == c) & ~matches.dropped[:, 0]
        hits = np.cumsum(matches.matched[own, 0] >= 0)
        precision = hits / np.arange(1, len(hits) + 1)
        envelope = np.r_[np.maximum.accumulate(precision[::-1])[::-1], 0.0]
        found[c] = envelope[np.searchsorted(hits / totals[c], RECALL_POINTS)]
    return found


def _curves(matches: Matches, found: Curve, threshold: float) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6))
    left, right = figure.subplots(1, 2)
    by_class = precision_at(matches)
    known = by_class[~np.isnan(by_class[:, 0])]
    if 1 < len(known) <= MOST_CLASSES:
        left.plot(RECALL_POINTS, known.T, color="0.75", lw=0.8)
    if len(known):
        left.plot(RECALL_POINTS, known.mean(axis=0), lw=2)
    left.set(xlabel="recall", ylabel="precision", title="IoU 0.5, mean over classes", xlim=(0, 1), ylim=(0, 1.02))
    for label, values in (("precision", found.precision), ("recall", found.recall), ("F1", found.f1)):
        right.plot(found.thresholds, values, lw=1.2, label=label)
    right.axvline(threshold, color="0.6", lw=0.8, ls="--")
    right.set(xlabel="confidence threshold", title=f"best F1 at {threshold:.2f}", xlim=(0, 1), ylim=(0, 1.02))
    right.legend(fontsize=8)
    figure.subplots_adjust(**FIXED)
    return figure


def _matrix(matches: Matches, threshold: float, names: Sequence[str]) -> Figure:
    from matplotlib.figure import Figure

    shown, others, cells = condensed(split_errors(matches, threshold).matrix.tolist(), MOST_CLASSES)
    own = [*(names[c][:20] for c in shown), *(["other classes"] if others else [])]
    counts = np.array(cells, dtype=np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.4 + 0.36 * len(counts)
    figure = Figure(figsize=(side, side))
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(counts)), [*own, "missed"], rotation=90, fontsize=7)
    axes.set_yticks(range(len(counts)), [*own, "background"], fontsize=7)
    axes.set(xlabel="called", ylabel="is")
    axes.set_title(f"objects at confidence {threshold:.2f}, IoU 0.5", fontsize=8)
    _write_counts(axes, counts, shares)
    figure.subplots_adjust(left=1.25 / side, right=1 - 0.1 / side, top=1 - 0.3 / side, bottom=1.25 / side)
    return figure


def _write_counts(axes: Axes, counts: Floats, shares: Floats) -> None:
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[row, column] > 0.6 else "black"
            axes.text(column, row, f"{count:g}", ha="center", va="center", fontsize=6, color=colour)


def _examples(
    detections: Sequence[Detected], samples: Sequence[Sample], names: Sequence[str], threshold: float, path: Path
) -> None:
    """Write a sheet of pictures, spread evenly over the split; none that must not be shown."""
    import cv2

    plain = [i for i, sample in enumerate(samples) if not image_loaders.is_private(sample.image)]
    count = min(EXAMPLES, len(plain))
    chosen = [plain[k * len(plain) // count] for k in range(count)]
    if not chosen:
        return
    pairs = [_pair(detections[i], samples[i], names, threshold) for i in chosen]
    pairs += [np.full_like(pairs[0], 255)] * (len(pairs) % 2)
    sheet = np.concatenate([np.concatenate(pairs[k : k + 2], axis=1) for k in range(0, len(pairs), 2)])
    content = cv2.imencode(".jpg", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    with whole_file(path) as aside:
        aside.write_bytes(content.tobytes())


def _pair(detected: Detected, sample: Sample, names: Sequence[str], threshold: float) -> np.ndarray:
    """One picture twice, (SIDE, 2 SIDE, 3) uint8 RGB: with its labels, and with what was found."""
    kept = detected.scores >= threshold
    said = [f"{_short(names, c)} {s:.2f}" for c, s in zip(detected.classes[kept], detected.scores[kept], strict=True)]
    labels = [_short(names, c) for c in sample.classes]
    image = load_image(sample.image)
    left = _drawn(image, sample.boxes, sample.classes, labels)
    return np.concatenate([left, _drawn(image, detected.boxes[kept], detected.classes[kept], said)], axis=1)


def _short(names: Sequence[str], number: int) -> str:
    """A class's name as OpenCV's letters can write it, else its number."""
    return names[number][:12] if names[number].isascii() else str(number)


def _drawn(image: np.ndarray, boxes: Any, classes: Any, texts: Sequence[str]) -> np.ndarray:
    import cv2

    scale = SIDE / max(image.shape[:2])
    size = max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1)
    out = np.full((SIDE, SIDE, 3), 255, np.uint8)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    for box, number, text in zip(np.asarray(boxes) * scale, classes, texts, strict=True):
        x1, y1, x2, y2 = (round(float(v)) for v in box)
        colour = class_colour(int(number))
        cv2.rectangle(small, (x1, y1), (x2, y2), colour, 1)
        cv2.putText(small, text, (x1, max(y1 - 2, 8)), cv2.FONT_HERSHEY_SIMPLEX, 0.3, colour, 1, cv2.LINE_AA)
    out[: size[1], : size[0]] = small
    return out
