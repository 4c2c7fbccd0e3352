"""Is it still the same model? Two of the three levels, from the files that `predict` saves.

Level one compares raw outputs on the same inputs, level two the detections: matched one to one by class and overlap.
Raw boxes are compared place by place, but those of queries by what they say: a network that picks its queries by score
may give them in another order after export, and the last of them may be others, without finding anything else.
The third, mAP on the whole split, is `src.evaluate`'s. An artifact can fail a level and pass the next: int8 moves
outputs by far more than float16 does, and what counts in the end is what is detected.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.evaluate.gate import accuracy_gate
from src.records.schema import AccuracyGate

Array = NDArray[np.float64]
Found = dict[str, NDArray[Any]]  # boxes [n, 4], scores [n] and classes [n] of an image
CONF = 0.25  # detections worth comparing: those that a deployment would show
BEST = 10  # boxes of each image that count where the source is sure of none: a network that has barely begun to learn
IOU = 0.9  # boxes that overlap this much are the same box
SAME_PX = 0.05  # so are boxes whose corners lie this near: those without any width overlap nothing, not even themselves
LEAST_FOUND = 0.5  # share of the best boxes that files of one network have in common, where their order is a tie
TYPICAL_PX, TYPICAL_SCORE = 0.5, 1e-4  # by which a float32 file's typical box and score may differ; seen: 2e-5, 1e-7
DIGEST_TOLERANCE = 1e-3  # relative


def agreement(reference: Path, other: Path) -> dict[str, float]:
    """Levels one and two of an artifact's predictions against its source's, both saved by `predict`.

    Returns:
        `raw_box_error_px` and `raw_score_error`: largest differences of raw outputs on the first images, where the
        source's score is at least 0.25 for boxes, and of queries where either's is; missing when the outputs have
        different layouts. `raw_box_typical_px`, `raw_score_typical`: medians over the same boxes.
        `matched`: share of the source's detections (score at least 0.25) found again with the same class and an
        overlap of at least 0.9; `extra`: detections without a counterpart, as a share of the source's number;
        `score_shift`: mean absolute difference of the scores of matched ones; `mean_iou` of matched ones;
        `compared`: how many of the source's there were. `unsure` is 1 where the source has no such detection: then its
        ten best of each image are looked for among all of the file's, and the file's ten best among all of its.
    """
    with np.load(reference) as a, np.load(other) as b:
        return raw_error(a, b) | detection_agreement(a, b)


def answers_alike(found: dict[str, float], precision: str) -> bool:
    """Whether a file of a network that finds nothing gives its answers: no mAP can tell, so its best boxes do.

    What ties is ranked by chance. Half of the best boxes and the typical raw output are held against the source's,
    therefore, not every one of them.

    Args:
        found: what `agreement` says.
        precision: of the file; raw outputs are held against the source's in float32 alone.
    """
    if not found:
        return True
    alike = found["matched"] >= LEAST_FOUND and (not found["unsure"] or found["extra"] <= 1 - LEAST_FOUND)
    if precision != "fp32":
        return alike
    box, score = found.get("raw_box_typical_px", 0.0), found.get("raw_score_typical", 0.0)
    return alike and box <= TYPICAL_PX and score <= TYPICAL_SCORE


def gate(
    precision: str, value: float, reference: float, found: dict[str, float], *, max_loss: float, warn_below: float
) -> AccuracyGate:
    """Whether an exported file keeps its source's accuracy.

    Of a source that finds nothing no accuracy can be lost: its file passes where it gives the same answers.

    Args:
        precision: of the file.
        value: its mAP50-95.
        reference: that of its source on the same images.
        found: what `agreement` says of the two; empty when they were not compared.
        max_loss: share that export may cost (`decision.max_export_loss`).
        warn_below: share that must be left for a warning instead of a failure.
    """
    if reference <= 0 and not answers_alike(found, precision):
        return "fail"
    return accuracy_gate(value, reference, max_loss=max_loss, warn_below=warn_below)


def raw_error(a: np.lib.npyio.NpzFile, b: np.lib.npyio.NpzFile) -> dict[str, float]:
    """Largest differences between the raw outputs [images, 4 + classes, anchors] that both saved; none of lists."""
    if "raw" not in a or "raw" not in b or a["raw"].shape != b["raw"].shape or not a["raw"].size:
        return {}
    x, y = a["raw"].astype(np.float64), b["raw"].astype(np.float64)
    if _of_queries(a) and _of_queries(b):
        return query_error(x, y)
    if _are_lists(x) or _are_lists(y):
        return {}
    out = {"raw_score_error": float(np.abs(x[:, 4:] - y[:, 4:]).max())}
    sure = worth_comparing(x[:, 4:].max(axis=1))
    return out | _apart(x, y, sure) if sure.any() else out


def worth_comparing(scores: Array) -> NDArray[np.bool_]:
    """Which boxes count, of their best scores [images, n]: the sure ones; where none is, the best of each image."""
    sure = scores >= CONF
    if sure.any() or not scores.size:
        return sure
    return scores >= -np.sort(-scores, axis=1)[:, : min(BEST, scores.shape[1])][:, -1:]


def _apart(x: Array, y: Array, sure: NDArray[np.bool_]) -> dict[str, float]:
    """Largest and typical difference of boxes, and typical one of scores, of those that count [images, n].

    A query that ties with another may be left out by either file, which moves the largest and not the typical one.
    """
    apart = np.abs(x - y)
    boxes, scores = apart[:, :4].max(axis=1)[sure], apart[:, 4:].max(axis=1)[sure]
    if not boxes.size:
        return {"raw_box_error_px": 0.0}
    return {
        "raw_box_error_px": float(boxes.max()),
        "raw_box_typical_px": float(np.median(boxes)),
        "raw_score_typical": float(np.median(scores)),
    }


def _of_queries(saved: np.lib.npyio.NpzFile) -> bool:
    """Whether raw outputs are those of queries; files of earlier versions hold none of them."""
    return "queries" in saved and bool(saved["queries"])


def query_error(x: Array, y: Array) -> dict[str, float]:
    """Largest differences between raw outputs [images, 4 + classes, queries] after pairing the queries of each image.

    A query counts where its score, or that of the one it is paired with, is at least 0.25: one that is sure in one
    file alone counts with the whole difference of the scores. Where the source is sure of none, its best count.
    """
    pairs = [(own[:, i], other[:, j]) for own, other in zip(x, y, strict=True) for i, j in [nearest(own, other)]]
    own, other = (np.array([pair[side] for pair in pairs]) for side in (0, 1))
    sure = worth_comparing(own[:, 4:].max(axis=1))
    either = sure | (other[:, 4:].max(axis=1) >= CONF)
    scores = np.abs(own[:, 4:] - other[:, 4:]).max(axis=1)[either]
    return {"raw_score_error": float(scores.max(initial=0.0)), **_apart(own, other, sure)}


def nearest(x: Array, y: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair the columns of two outputs [4 + classes, n] greedily, nearest first: their places in x and in y.

    Far apart is what differs in its box, as a share of the picture, or in a score.
    """
    span = max(float(np.abs(x[:4]).max()), 1e-12)
    unit = np.concatenate([np.full(4, 1 / span), np.ones(len(x) - 4)])[:, None]
    apart = np.abs((x * unit)[:, :, None] - (y * unit)[:, None, :]).max(axis=0)
    pairs: list[tuple[int, int]] = []
    for _ in range(apart.shape[0]):
        i, j = np.unravel_index(apart.argmin(), apart.shape)
        pairs.append((int(i), int(j)))
        apart[i, :] = apart[:, j] = np.inf
    found = np.array(pairs, np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _are_lists(raw: Array) -> bool:
    """Whether raw outputs are [images, boxes, 6] of box, score and class, as files of earlier versions may hold them.

    Their rows come in the order of the scores, and a class id is no score: they have no differences to speak of.
    """
    return raw.shape[2] == 6 and bool((raw[..., 5] == raw[..., 5].round()).all())


def detection_agreement(a: np.lib.npyio.NpzFile, b: np.lib.npyio.NpzFile) -> dict[str, float]:
    """Detections of `a` found again in `b`."""
    images = int(a["n_images"])
    ours, theirs = _by_image(a, images), _by_image(b, images)
    unsure = not any((x["scores"] >= CONF).any() for x in ours)
    keep = _best if unsure else _sure
    overlaps: list[float] = []
    shifts: list[float] = []
    total = lost = 0
    for x, y in zip(ours, theirs, strict=True):
        # Of boxes that tie, either file may rank another first: the best of one are looked for among all of the other.
        wanted, among = keep(x), y if unsure else keep(y)
        pairs = match(wanted, among)
        total += len(wanted["scores"])
        overlaps += [overlap for _, _, overlap in pairs]
        shifts += [abs(float(wanted["scores"][i]) - float(among["scores"][j])) for i, j, _ in pairs]
        back = match(keep(y), x) if unsure else pairs
        lost += len(keep(y)["scores"]) - len(back)
    return {
        "matched": len(overlaps) / total if total else 1.0,
        "extra": lost / max(total, 1),
        "score_shift": float(np.mean(shifts)) if shifts else 0.0,
        "mean_iou": float(np.mean(overlaps)) if overlaps else 1.0,
        "compared": float(total),
        "unsure": float(unsure),
    }


def match(x: Found, y: Found) -> list[tuple[int, int, float]]:
    """Pair detections of one image greedily, best overlap first: (index in x, index in y, overlap)."""
    a, b = x["boxes"].astype(np.float64), y["boxes"].astype(np.float64)
    overlap = iou(a, b)
    overlap[np.abs(a[:, None] - b[None]).max(axis=2, initial=0.0) <= SAME_PX] = 1.0
    overlap[x["classes"][:, None] != y["classes"][None, :]] = 0
    pairs: list[tuple[int, int, float]] = []
    while overlap.size and overlap.max() >= IOU:
        i, j = np.unravel_index(overlap.argmax(), overlap.shape)
        pairs.append((int(i), int(j), float(overlap[i, j])))
        overlap[i, :] = overlap[:, j] = 0
    return pairs


def iou(a: Array, b: Array) -> Array:
    """Overlap of every box of `a` [n, 4] with every box of `b` [m, 4]."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    area_a, area_b = ((x[:, 2] - x[:, 0]) * (x[:, 3] - x[:, 1]) for x in (a, b))
    return np.asarray(shared / np.maximum(area_a[:, None] + area_b[None, :] - shared, 1e-12))


def timed_outputs_match(samples: Path, predictions: Path) -> bool:
    """Whether the outputs of timed runs equal those of the accuracy pass, image by image (MLPerf's TEST01).

    Args:
        samples: raw samples that `measure` saved.
        predictions: what `predict` saved of the same artifact on images that begin with the same ones.
    """
    rounds = json.loads(samples.read_text(encoding="utf-8"))["rounds"]
    with np.load(predictions) as saved:
        expected = saved["digests"]
    timed = [r["model_only/1"]["digest"] for r in rounds if "model_only/1" in r]
    return bool(timed) and all(close(np.array(t, np.float64), expected[: len(t)]) for t in timed)


def close(a: Array, b: Array) -> bool:
    """Whether two digests are of the same outputs."""
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=DIGEST_TOLERANCE, atol=1e-4))


def _by_image(saved: np.lib.npyio.NpzFile, images: int) -> list[Found]:
    """Boxes, scores and classes of each image."""
    whole = {name: saved[name] for name in ("boxes", "scores", "classes")}
    places = [saved["image_index"] == image for image in range(images)]
    return [{name: values[place] for name, values in whole.items()} for place in places]


def _sure(found: Found) -> Found:
    keep = found["scores"] >= CONF
    return {name: values[keep] for name, values in found.items()}


def _best(found: Found) -> Found:
    best = np.argsort(-found["scores"], kind="stable")[:BEST]
    return {name: values[best] for name, values in found.items()}
