"""Made-up detectors over made-up scenes whose true mAP is known, for simulations of intervals and decisions.

An image holds a Poisson number of objects; its difficulty decides what is missed, misplaced and made up. In the world
of bursts several frames show one scene: its objects, its difficulty and most of what the detector does are shared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from src.evaluate import match
from src.evaluate.files import Loaded
from src.evaluate.matching import Floats, Ints
from src.evaluate.precision import ap_table

SIDE = 500.0  # px
Images = tuple[list[Loaded], list[Loaded], Ints]


@dataclass(frozen=True)
class World:
    """How images come about."""

    name: str
    shares: tuple[float, ...]  # of objects by class, in any unit
    skill: tuple[float, ...]  # by class, about 1 at best: how well the detector knows it
    objects: float = 4.0  # mean per image
    frames: float = 1.0  # mean number of images that show one scene
    jitter: float = field(default=0.1)  # share of a scene's objects that the detector treats anew in every frame

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.shares)


EVEN = World("even", (0.25, 0.25, 0.25, 0.25), (0.9, 0.8, 0.7, 0.6))
GOOD = World("even, mAP of 0.8", EVEN.shares, (1.08, 1.06, 1.05, 1.03))
RARE = World("rare", (0.3, 0.3, 0.2, 0.17, 0.03), (0.9, 0.8, 0.7, 0.7, 0.5))
RARE_GOOD = World("rare and well known", (0.3, 0.3, 0.2, 0.17, 0.03), (0.9, 0.8, 0.7, 0.6, 0.9))
ZIPF = World("20 classes, the rarest a 20th of the first", tuple(float(v) for v in 1 / np.arange(1, 21)), (0.8,) * 20)
BURSTS = World("bursts", (0.4, 0.3, 0.3), (0.9, 0.8, 0.6), frames=6.0)
WORLDS = (EVEN, GOOD, RARE, RARE_GOOD, ZIPF, BURSTS)


def draw(world: World, rng: np.random.Generator, n_images: int) -> Images:
    """Detections, ground truth and the scene of each image."""
    detections: list[Loaded] = []
    ground_truths: list[Loaded] = []
    scenes: list[int] = []
    scene = 0
    while len(ground_truths) < n_images:
        frames = 1 if world.frames <= 1 else int(rng.geometric(1 / world.frames))
        for found, ground_truth in _scene(world, rng, min(frames, n_images - len(ground_truths))):
            detections.append(found)
            ground_truths.append(ground_truth)
            scenes.append(scene)
        scene += 1
    return detections, ground_truths, np.array(scenes)


def _scene(world: World, rng: np.random.Generator, frames: int) -> list[tuple[Loaded, Loaded]]:
    shares = np.array(world.shares) / sum(world.shares)
    hard, n = float(rng.beta(2, 2)), int(rng.poisson(world.objects))
    classes = rng.choice(world.classes, n, p=shares)
    boxes, skill = _boxes(rng, n), np.array(world.skill)[classes]
    noise = int(rng.poisson(3 * hard))
    made_up = _boxes(rng, noise), rng.choice(world.classes, noise, p=shares), rng.beta(2, 4, noise)
    luck, shift, score = rng.random(n), rng.normal(0, 1, (n, 4)) * rng.random((n, 1)), rng.beta(4, 2, n)
    shown = []
    for _ in range(frames):
        if frames > 1:
            anew = rng.random(n) < world.jitter
            luck = np.where(anew, rng.random(n), luck)
            shift = np.where(anew[:, None], rng.normal(0, 1, (n, 4)) * rng.random((n, 1)), shift)
        kept = luck < 1 - hard * (1.1 - skill)
        found = boxes[kept] + shift[kept] * (2 + 25 * hard * (1.1 - skill[kept, None]))
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
        dets = Loaded(np.vstack([found, made_up[0]]), np.r_[classes[kept], made_up[1]], np.r_[score[kept], made_up[2]])
        shown.append((dets, Loaded(boxes, classes, np.ones(n))))
    return shown


def _boxes(rng: np.random.Generator, n: int) -> Floats:
    corner = rng.uniform(0, SIDE, (n, 2))
    return np.hstack([corner, corner + rng.uniform(30, 140, (n, 2))])


@lru_cache(maxsize=16)
def true_ap(world: World, n_images: int = 40_000, seed: int = 1) -> tuple[float, ...]:
    """AP50-95 of every class over a very large split."""
    detections, ground_truths, _ = draw(world, np.random.default_rng(seed), n_images)
    table = ap_table(match(detections, ground_truths, world.classes))
    return tuple(float(v) for v in table.mean(axis=1))
