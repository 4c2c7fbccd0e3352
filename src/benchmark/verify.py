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

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
CONF = 0.25  # detections worth comparing: those that a deployment would show
IOU = 0.9  # boxes that overlap this much are the same box
DIGEST_TOLERANCE = 1e-3  # relative


def agreement(reference: Path, other: Path) -> dict[str, float]:
    """Levels one and two of an artifact's predictions against its source's, both saved by `predict`.

    Returns:
        `raw_box_error_px` and `raw_score_error`: largest differences of raw outputs on the first images, where the
        source's score is at least 0.25 for boxes, and of queries where either's is; missing when the outputs have
        different layouts.
        `matched`: share of the source's detections (score at least 0.25) found again with the same class and an
        overlap of at least 0.9; `extra`: detections without a counterpart, as a share of the source's number;
        `score_shift`: mean absolute difference of the scores of matched ones; `mean_iou` of matched ones.
    """
    with np.load(reference) as a, np.load(other) as b:
        return raw_error(a, b) | detection_agreement(a, b)


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
    sure = x[:, 4:].max(axis=1) >= CONF
    if sure.any():
        out["raw_box_error_px"] = float(np.abs(x[:, :4] - y[:, :4]).max(axis=1)[sure].max())
    return out


def _of_queries(saved: np.lib.npyio.NpzFile) -> bool:
    """Whether raw outputs are those of queries; files of earlier versions hold none of them."""
    return "queries" in saved and bool(saved["queries"])


def query_error(x: Array, y: Array) -> dict[str, float]:
    """Largest differences between raw outputs [images, 4 + classes, queries] after pairing the queries of each image.

    A query counts where its score, or that of the one it is paired with, is at least 0.25: one that is sure in one
    file alone counts with the whole difference of the scores.
    """
    boxes, scores = [0.0], [0.0]
    for own, other in zip(x, y, strict=True):
        i, j = nearest(own, other)
        own, other = own[:, i], other[:, j]
        sure = own[4:].max(axis=0) >= CONF
        boxes += np.abs(own[:4] - other[:4]).max(axis=0)[sure].tolist()
        either = sure | (other[4:].max(axis=0) >= CONF)
        scores += np.abs(own[4:] - other[4:]).max(axis=0)[either].tolist()
    return {"raw_score_error": max(scores), "raw_box_error_px": max(boxes)}


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
    ours, theirs = _sure(a), _sure(b)
    overlaps: list[float] = []
    shifts: list[float] = []
    for image in range(int(a["n_images"])):
        x, y = ({k: v[s["image_index"] == image] for k, v in s.items()} for s in (ours, theirs))
        for i, j, overlap in match(x, y):
            overlaps.append(overlap)
            shifts.append(abs(float(x["scores"][i]) - float(y["scores"][j])))
    total, found = len(ours["scores"]), len(theirs["scores"])
    return {
        "matched": len(overlaps) / total if total else 1.0,
        "extra": (found - len(overlaps)) / max(total, 1),
        "score_shift": float(np.mean(shifts)) if shifts else 0.0,
        "mean_iou": float(np.mean(overlaps)) if overlaps else 1.0,
    }


def match(x: dict[str, NDArray[np.generic]], y: dict[str, NDArray[np.generic]]) -> list[tuple[int, int, float]]:
    """Pair detections of one image greedily, best overlap first: (index in x, index in y, overlap)."""
    overlap = iou(x["boxes"].astype(np.float64), y["boxes"].astype(np.float64))
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


def _sure(saved: np.lib.npyio.NpzFile) -> dict[str, NDArray[np.generic]]:
    keep = saved["scores"] >= CONF
    return {name: saved[name][keep] for name in ("image_index", "boxes", "scores", "classes")}
