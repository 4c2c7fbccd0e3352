"""Planted label errors are found among the first, each under its own kind; what the network gets wrong is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from src.evaluate.suspects import KINDS, Suspect, iou, suspects
from tests.evaluate.scenes import Ground, Scene

CLASSES, SIDE = 5, 640.0
Planted = set[tuple[int, str]]  # image, kind


def ground(boxes: np.ndarray, classes: np.ndarray) -> Ground:
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    empty = np.empty(0, np.int64)
    return Ground(boxes, classes, area, np.empty((0, 4)), empty, empty.astype(bool))


def truth(rng: np.random.Generator) -> Ground:
    """Objects on a grid, so that none covers another."""
    cells = rng.permutation(16)[: int(rng.integers(3, 8))]
    corner = np.stack([cells % 4, cells // 4], axis=1) * 160 + rng.uniform(5, 25, (len(cells), 2))
    return ground(
        np.hstack([corner, corner + rng.uniform(60, 120, (len(cells), 2))]), rng.integers(0, CLASSES, len(cells))
    )


def detected(t: Ground, rng: np.random.Generator) -> Scene:
    """What a fair network finds: nine of ten objects, some under another name, and false alarms of low score."""
    n = len(t.classes)
    hit = rng.random(n) < 0.9
    boxes = t.boxes + rng.normal(0, 4, t.boxes.shape)
    named = np.where(rng.random(n) < 0.05, rng.integers(0, CLASSES, n), t.classes)
    scores = np.clip(rng.beta(6, 2, n) - 0.3 * (named != t.classes), 0.02, 1)
    m = int(rng.poisson(1.5))
    corner = rng.uniform(0, SIDE - 100, (m, 2))
    false = np.hstack([corner, corner + rng.uniform(40, 100, (m, 2))])
    return Scene(
        np.vstack([boxes[hit], false]),
        np.r_[named[hit], rng.integers(0, CLASSES, m)],
        np.r_[scores[hit], rng.beta(1, 6, m)],
    )


def spoil(t: Ground, kind: str, rng: np.random.Generator) -> Ground:
    """The same labels with one mistake."""
    boxes, classes, at = t.boxes.copy(), t.classes.copy(), int(rng.integers(0, len(t.classes)))
    if kind == "missing":
        keep = np.arange(len(classes)) != at
        return ground(boxes[keep], classes[keep])
    if kind == "class":
        classes[at] = (classes[at] + 1 + rng.integers(0, CLASSES - 1)) % CLASSES
    if kind == "box":
        boxes[at] += np.tile((boxes[at, 2:] - boxes[at, :2]) * 0.45, 2)
    if kind == "extra":
        used = {(int(x // 160), int(y // 160)) for x, y in t.boxes[:, :2]}
        x, y = next((c % 4, c // 4) for c in range(16) if (c % 4, c // 4) not in used)
        boxes = np.vstack([boxes, [x * 160 + 20, y * 160 + 20, x * 160 + 110, y * 160 + 110]])
        classes = np.r_[classes, rng.integers(0, CLASSES)]
    return ground(boxes, classes)


def world(images: int, share: float, networks: int, seed: int = 0) -> tuple[list[list[Scene]], list[Ground], Planted]:
    """Labels of which a share is wrong, and what networks find that know better."""
    rng = np.random.default_rng(seed)
    truths = [truth(rng) for _ in range(images)]
    found = [[detected(t, rng) for t in truths] for _ in range(networks)]
    count = round(share * sum(len(t.classes) for t in truths))
    planted: Planted = set()
    for place, i in enumerate(rng.permutation(images)[:count]):
        kind = KINDS[place % len(KINDS)]
        truths[i] = spoil(truths[i], kind, rng)
        planted.add((int(i), kind))
    return found, truths, planted


def precision(listed: list[Suspect], planted: Planted, first: int = 50) -> float:
    return float(np.mean([(s.image, s.kind) in planted for s in listed[:first]]))


@pytest.mark.parametrize("networks", [1, 3])
def test_most_of_the_first_fifty_are_planted_errors(networks: int) -> None:
    found, truths, planted = world(300, 0.05, networks)
    listed, _ = suspects(found, truths, CLASSES)
    value = precision(listed, planted)
    print(f"{len(planted)} planted errors, {networks} network(s): precision of the first 50 {value:.2f}")
    assert value > (0.6 if networks == 1 else 0.85)
    top = {s.kind for s in listed[:50] if (s.image, s.kind) in planted}
    assert top >= {"missing", "class", "box"}


@pytest.mark.parametrize("kind", KINDS)
def test_each_mistake_is_told_by_its_name(kind: str) -> None:
    rng = np.random.default_rng(3)
    truths = [truth(rng) for _ in range(40)]
    found = [[Scene(t.boxes.copy(), t.classes.copy(), np.full(len(t.classes), 0.9)) for t in truths]]
    truths[7] = spoil(truths[7], kind, rng)
    listed, _ = suspects(found, truths, CLASSES)
    assert (listed[0].image, listed[0].kind) == (7, kind)
    assert (listed[0].label == -1) == (kind == "missing")
    assert (listed[0].seen == -1) == (kind == "extra")


def test_labels_that_networks_agree_with_are_not_listed_and_no_image_is_hard() -> None:
    rng = np.random.default_rng(4)
    truths = [truth(rng) for _ in range(10)]
    found = [[Scene(t.boxes, t.classes, np.full(len(t.classes), 0.9)) for t in truths]]
    assert suspects(found, truths, CLASSES) == ([], [])


def test_what_lies_on_a_region_to_ignore_is_no_missing_label() -> None:
    rng = np.random.default_rng(5)
    one = truth(rng)
    extra = np.array([[500.0, 500, 600, 600]])
    crowd = replace(one, ignored=extra, ignored_classes=np.array([0]), ignored_crowd=np.array([True]))
    seen = Scene(np.vstack([one.boxes, extra + 5]), np.r_[one.classes, 0], np.full(len(one.classes) + 1, 0.9))
    assert [s.kind for s in suspects([[seen]], [one], CLASSES)[0]] == ["missing"]
    assert suspects([[seen]], [crowd], CLASSES)[0] == []


def test_the_image_that_networks_fail_on_is_the_hardest() -> None:
    rng = np.random.default_rng(6)
    truths = [truth(rng) for _ in range(10)]
    found = [[Scene(t.boxes, t.classes, np.full(len(t.classes), 0.9)) for t in truths]]
    found[0][4] = Scene(np.array([[1.0, 1, 9, 9]]), np.array([0]), np.array([0.95]))
    hardest = suspects(found, truths, CLASSES)[1][0]
    assert (hardest.image, hardest.errors) == (4, 1.0)
    assert hardest.missed == len(truths[4].classes)


def test_no_images_no_objects_and_no_detections_are_nothing() -> None:
    empty = ground(np.empty((0, 4)), np.empty(0, np.int64))
    none = Scene(np.empty((0, 4)), np.empty(0, np.int64), np.empty(0))
    assert suspects([[none]], [empty], 2) == ([], [])
    assert suspects([[]], [], 2) == ([], [])
    assert iou(np.empty((0, 4)), np.empty((3, 4))).shape == (0, 3)
