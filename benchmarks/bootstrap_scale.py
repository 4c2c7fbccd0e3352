"""How long intervals over a large split take: `python -m benchmarks.bootstrap_scale` (5,000 images, 80 classes).

The scenes have COCO's proportions: about seven objects an image, a few frequent classes, 100 detections an image.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from src.evaluate import match, summarise
from src.evaluate.bootstrap import image_weights, resample_classes
from src.evaluate.files import Loaded
from src.evaluate.intervals import evidence, interval


def scenes(n_images: int, n_classes: int, seed: int = 0) -> tuple[list[Loaded], list[Loaded]]:
    """Detections and ground truth."""
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, n_classes + 1)
    share /= share.sum()
    detections, ground_truths = [], []
    for _ in range(n_images):
        n = int(rng.poisson(7.3))
        classes, corner = rng.choice(n_classes, n, p=share), rng.uniform(0, 500, (n, 2))
        boxes = np.hstack([corner, corner + rng.uniform(20, 140, (n, 2))])
        ground_truths.append(Loaded(boxes, classes, np.ones(n)))
        kept = rng.random(n) < 0.8
        hits = int(kept.sum())
        found = boxes[kept] + rng.normal(0, 1, (hits, 4)) * rng.uniform(1, 15, (hits, 1))
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
        noise = 100 - hits
        corner = rng.uniform(0, 500, (noise, 2))
        detections.append(
            Loaded(
                np.vstack([found, np.hstack([corner, corner + rng.uniform(20, 140, (noise, 2))])]),
                np.r_[classes[kept], rng.choice(n_classes, noise, p=share)],
                np.r_[rng.beta(4, 2, hits), rng.beta(1, 8, noise)],
            )
        )
    return detections, ground_truths


def main() -> None:
    """Print the seconds of each step and the memory at the peak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--resamples", type=int, default=1000)
    args = parser.parse_args()
    detections, ground_truths = scenes(args.images, args.classes)
    begun = time.perf_counter()
    matches = match(detections, ground_truths, args.classes)
    metrics = summarise(matches)
    matched = time.perf_counter()
    table = resample_classes(matches, image_weights(args.images, args.resamples))
    done = time.perf_counter()
    got = interval(metrics.map50_95, table[:, :, 0], evidence(matches))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"mAP50-95 {got.value:.4f} [{got.low:.4f}, {got.high:.4f}] from {len(matches.dets)} detections")
    print(f"match and AP {matched - begun:.1f} s, {args.resamples} resamples {done - matched:.1f} s, {memory:.0f} MB")


if __name__ == "__main__":
    main()
