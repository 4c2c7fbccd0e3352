"""Does the 95 % interval hold the truth 95 times out of 100? A simulation against a very large split."""

from __future__ import annotations

import numpy as np
import pytest

from src.evaluate import evaluate, match, summarise
from src.evaluate.bootstrap import image_weights, interval, resample_map
from tests.evaluate.scenes import Scene

CLASSES = 3


def draw(rng: np.random.Generator, n_images: int) -> tuple[list[Scene], list[Scene]]:
    """Images of varying difficulty: the harder, the more is missed, misplaced and made up."""
    detections, truths = [], []
    for hard in rng.beta(2, 2, n_images):
        n = int(rng.integers(1, 7))
        classes, corner = rng.integers(0, CLASSES, n), rng.uniform(0, 500, (n, 2))
        boxes = np.hstack([corner, corner + rng.uniform(30, 140, (n, 2))])
        truths.append(Scene(boxes, classes, np.ones(n)))
        kept = rng.random(n) < 1 - 0.5 * hard
        k, noise = int(kept.sum()), int(rng.poisson(3 * hard))
        found = boxes[kept] + rng.normal(0, 1, (k, 4)) * (2 + 12 * hard * rng.random((k, 1)))
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
        corner = rng.uniform(0, 500, (noise, 2))
        detections.append(
            Scene(
                np.vstack([found, np.hstack([corner, corner + rng.uniform(30, 140, (noise, 2))])]),
                np.r_[classes[kept], rng.integers(0, CLASSES, noise)],
                np.r_[rng.beta(4, 2, k), rng.beta(2, 4, noise)],
            )
        )
    return detections, truths


@pytest.mark.slow
@pytest.mark.parametrize("n_images", [60, 150])
def test_coverage_of_the_interval(n_images: int) -> None:
    rng = np.random.default_rng(1)
    truth = float(np.mean([evaluate(*draw(rng, 20_000), CLASSES).map50_95 for _ in range(2)]))
    weights, held, runs = image_weights(n_images, 400), 0, 600
    for _ in range(runs):
        matches = match(*draw(rng, n_images), CLASSES)
        got = interval(summarise(matches).map50_95, resample_map(matches, weights)[:, 0], n_images)
        held += got.low <= truth <= got.high
    assert 0.92 <= held / runs <= 0.98
