"""Simulated sweeps as full records, so that the whole of `src.decide` is judged and not only its core."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks import _four_networks as four
from src.config.schema import DecisionConfig
from src.decide.choice import Decision, decide
from src.decide.load import Saved
from src.records.schema import ImageResamples, SweepRecord, TrialRecord
from tests.report.factory import DATASET, ONNX, WHEN, finalist, trial

SWEEP = SweepRecord("friday", "study", "run", "", "0", {}, 4, "val/mAP50-95", {}, WHEN)


def saved_sweep(w: four.World, files: int, weights: four.Floats, rng: np.random.Generator) -> Saved:
    """What a sweep in world `w` would have saved, each network exported to `files` equal files on as many runtimes."""
    shared = rng.normal(0, four.IMAGE_SD, w.images)
    trials: list[TrialRecord] = []
    finalists, images = {}, {}
    dataset = replace(DATASET, split_sizes={"train": 240, "val": w.images, "test": 0})
    for network, (mean, sd) in enumerate(zip(w.means, w.seed_sd, strict=True)):
        own = shared + rng.normal(0, four.OWN_SD, w.images)
        for s in range(w.seeds):
            row = mean + rng.normal(0, sd) + own + rng.normal(0, four.INTERACTION_SD, w.images)
            one = trial(len(trials), f"m{network}", seed=s, score=float(row.mean()), dataset=dataset)
            images[one.trial] = _resamples(one, row, weights)
            trials.append(one)
        shipped = trials[-w.seeds]
        targets = tuple(
            replace(ONNX, runtime=f"engine{i}", ms=four.SPEED[network] * (1 + 0.001 * i)) for i in range(files)
        )
        finalists[shipped.trial] = finalist(shipped, targets, test=None)
    return Saved(Path("friday"), SWEEP, trials, finalists, {}, images)


def _resamples(of: TrialRecord, row: four.Floats, weights: four.Floats) -> ImageResamples:
    return ImageResamples(
        sweep=of.sweep,
        trial=of.trial,
        split="val",
        dataset_fingerprint=DATASET.fingerprint,
        n_images=len(row),
        n_groups=len(row),
        freedom=len(row) - 1.0,
        resample_seed=1,
        value=float(row.mean()),
        standard_error=float(np.std(weights @ row, ddof=1)),
        resamples=[float(v) for v in weights @ row],
    )


def decisions(w: four.World, files: int, sweeps: int, seed: int = 0) -> list[Decision]:
    """The product's decisions on many sweeps of one world."""
    rng = np.random.default_rng(seed)
    weights = four.image_weights(w.images, rng)
    settings = DecisionConfig(name="default", margin=four.MARGIN, max_export_loss=1.0)
    return [decide(saved_sweep(w, files, weights, rng), settings) for _ in range(sweeps)]


def decided_with_copies(w: four.World, files: int, sweeps: int) -> list[float]:
    """True loss of what is recommended in each sweep."""
    losses = []
    for decision in decisions(w, files, sweeps):
        assert decision.recommended is not None
        losses.append(max(w.means) - w.means[int(decision.recommended.configuration.model[1:])])
    return losses
