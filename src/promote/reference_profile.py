"""The reference profile of a promoted model: val as it looked to this very file, from saved detections and pictures.

It travels with the registered model, and `src.monitor` holds what is served against it. A sweep whose pictures or
detections are gone has none; the model can be promoted all the same, and the command says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.common.errors import UserError
from src.data import load_split
from src.decide.candidates import Evidence
from src.decide.choice import Decision
from src.decide.round_values import samples_of
from src.decide.speed import cost
from src.evaluate.files import Loaded, load_detections
from src.inference.preprocess import load_image
from src.monitor.features import Seen, observation
from src.monitor.profile import MOST, Profile, Promise, profile_of
from src.promote.serving_plan import plan_of

SPLIT = "val"


@dataclass(frozen=True)
class Kept:
    """Detections of one image that are above the threshold in use."""

    scores: np.ndarray
    classes: np.ndarray


def reference_profile(decision: Decision) -> Profile:
    """The profile of the recommended model; there must be one.

    Raises:
        UserError: the pictures or the detections are gone, or don't fit together.
    """
    winner = decision.recommended
    assert winner is not None
    best = winner.best
    dataset, verified = best.trial.dataset, best.val
    if dataset is None or verified is None:
        raise UserError("the recommended model was not verified on val")
    images = [sample.image for sample in load_split(dataset, SPLIT)]
    if not images:
        raise UserError("val has no images")
    detections = load_detections(decision.saved.folder / verified.detections_file, len(images))
    threshold = float(plan_of(decision)["confidence"])
    chosen = sorted(np.random.default_rng(0).permutation(len(images))[:MOST])
    observed = [
        observation(load_image(images[i]), kept(detections[i], threshold), Seen(0.0, key=Path(images[i]).name))
        for i in chosen
    ]
    return profile_of(observed, dataset.class_names, _promise(decision, threshold), _samples(decision, best))


def kept(found: Loaded, threshold: float) -> Kept:
    """What a deployed model would answer: one class a box, above the threshold."""
    above = found.scores >= threshold
    order = np.argsort(-found.scores[above], kind="stable")
    boxes, scores, classes = (v[above][order] for v in (found.boxes, found.scores, found.classes))
    first = np.sort(np.unique(boxes, axis=0, return_index=True)[1]) if len(boxes) else np.zeros(0, np.int64)
    return Kept(scores[first], classes[first])


def _promise(decision: Decision, threshold: float) -> Promise:
    winner, settings = decision.recommended, decision.settings
    assert winner is not None
    m = winner.best.measurement
    return Promise(
        accuracy=winner.best.test_map,
        threshold=threshold,
        latency_ms=cost(winner, decision.statistic) if winner.measured else math.nan,
        statistic=decision.statistic if winner.measured else "",
        scope=m.scope if m else "",
        margin=settings.margin,
        confidence=settings.confidence,
    )


def _samples(decision: Decision, best: Evidence) -> list[float]:
    """Timed calls of the benchmark, ms; none where they are gone."""
    if best.measurement is None:
        return []
    blocks = samples_of(best.measurement, decision.saved.folder)
    return [v for block in blocks for v in block if 0 < v < math.inf]
