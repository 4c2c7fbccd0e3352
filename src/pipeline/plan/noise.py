"""How much scores vary on a dataset: from the sweeps that were made of it, else stated, else assumed.

What is assumed is what eight trainings on the built-in digits showed (docs/decision-quality.md).
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from src.common.errors import UserError
from src.config.schema import AppConfig
from src.data import load_groups
from src.decide.configurations import configurations
from src.decide.load import load_sweep
from src.decide.models import models_of
from src.decide.resolution import Noise
from src.decide.uncertainty import Model, gap
from src.records.find_sweep import known_sweeps
from src.records.parsing import RecordError
from src.records.schema import DatasetRef
from src.records.sweep_folder import sweeps_folder

ASSUMED_SD = 0.01  # over seeds
OWN_SD, INTERACTION_SD = 0.03, 0.045  # per image: of each network, and of seed and image together


@dataclass(frozen=True)
class KnownNoise:
    """The noise, and where it is known from."""

    noise: Noise
    seeds_from: str
    images_from: str


def noise_of(cfg: AppConfig, dataset: DatasetRef) -> KnownNoise:
    """The noise of scores on a dataset's val split."""
    groups = max(2, len(set(load_groups(dataset, "val", cfg.data.group))))
    spreads, images, freedom = _seen(Path(cfg.outputs), dataset)
    stated = cfg.decision.seed_sd
    if stated is not None:
        seed_sd, seeds_from = stated, "stated (decision.seed_sd)"
    elif spreads:
        seed_sd, seeds_from = statistics.median(spreads), f"seen in earlier sweeps ({len(spreads)} configurations)"
    else:
        seed_sd = math.hypot(ASSUMED_SD, INTERACTION_SD / math.sqrt(groups))
        seeds_from = "assumed; a first sweep, or decision.seed_sd, says better"
    if images:
        found = Noise(seed_sd, statistics.median(images), freedom, stated is not None)
        return KnownNoise(found, seeds_from, f"seen in earlier sweeps ({len(images)} pairs)")
    found = Noise(seed_sd, OWN_SD * math.sqrt(2 / groups), float(groups - 1), stated is not None)
    return KnownNoise(found, seeds_from, f"assumed for {groups} independent images of val")


def _seen(outputs: Path, dataset: DatasetRef) -> tuple[list[float], list[float], float]:
    """Spreads over seeds, standard deviations over images of differences, and the freedom of the latter."""
    spreads: list[float] = []
    images: list[float] = []
    freedom = math.inf
    for name in known_sweeps(outputs):
        models = _models(sweeps_folder(outputs) / name, dataset)
        spreads += [m.seeds.sd for m in models if m.seeds.source == "seeds" and m.seeds.n > 1]
        for a, b in combinations(models, 2):
            if (own := _over_images(a, b)) is not None:
                images.append(own)
                freedom = min(freedom, *(m.images.freedom for m in (a, b) if m.images))
    return spreads, images, freedom


def _models(folder: Path, dataset: DatasetRef) -> list[Model]:
    """The models of a sweep of the dataset; none where it is of another one, or can't be read."""
    try:
        saved = load_sweep(folder)
        own = [t for t in saved.trials if t.dataset and t.dataset.fingerprint == dataset.fingerprint]
        return list(models_of(configurations(own, saved.sweep.objective), saved).values())
    except (UserError, RecordError):
        return []


def _over_images(a: Model, b: Model) -> float | None:
    """Standard deviation over images of the difference of two models; None where it is not known."""
    found = gap(a, b)
    if found.method != "seeds and images":
        return None
    return math.sqrt(max(0.0, found.se**2 - a.seeds.variance_of_mean - b.seeds.variance_of_mean))
