"""From records to models: every configuration's score with the uncertainty that comparisons need."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from src.common.small_splits import bias_of
from src.decide.candidates import MAP
from src.decide.configurations import Configuration
from src.decide.judgement import freedom_of
from src.decide.load import Saved
from src.decide.spread import moderated
from src.decide.uncertainty import Floats, Model, Resampled, by_configuration, few, variance
from src.records.schema import EvaluationRecord, TrialRecord


def models_of(groups: Sequence[Configuration], saved: Saved, seed_sd: float | None = None) -> dict[str, Model]:
    """The models of every finished configuration, by `config_id`.

    Args:
        groups: configurations.
        saved: the records, with the resamples of every training where there are some.
        seed_sd: a spread over seeds known from elsewhere, used where no configuration has two seeds.
    """
    finished = [c for c in groups if c.trials]
    spreads = moderated([c.scores for c in finished], seed_sd)
    return by_configuration(
        {c.config_id: c.scores for c in finished},
        {c.config_id: [resampled(t, saved) for t in c.trials] for c in finished},
        {c.config_id: s for c, s in zip(finished, spreads, strict=True)},
    )


def resampled(trial: TrialRecord, saved: Saved) -> Resampled | None:
    """The resamples of one training on val; None when none were saved."""
    own = saved.images.get(trial.trial)
    if own is not None:
        pairing = (own.dataset_fingerprint, own.split, own.resample_seed, own.weights, len(own.resamples))
        return _moderated(pairing, np.asarray(own.resamples), own.value, own.standard_error, own.freedom, own.n_groups)
    return _of_evaluation(_checkpoint_evaluation(trial, saved))


def _checkpoint_evaluation(trial: TrialRecord, saved: Saved) -> EvaluationRecord | None:
    """The evaluation in depth of a finalist's checkpoint: older records have no other resamples."""
    record = saved.finalists.get(trial.trial)
    source = next((a for a in record.artifacts if a.format == "pytorch"), None) if record else None
    return saved.evaluations.get((source.sha256, "pytorch", "val")) if source else None


def _of_evaluation(found: EvaluationRecord | None) -> Resampled | None:
    if found is None or not found.resamples:
        return None
    pairing = (found.dataset_fingerprint, found.split, found.resample_seed, len(found.resamples))
    values, freedom = np.asarray(found.resamples), freedom_of(found)
    value, se = found.figures.get(MAP, math.nan), found.standard_errors.get(MAP, math.nan)
    return _moderated(pairing, values, value, se, freedom, found.n_groups or found.n_images)


def _moderated(
    pairing: tuple[object, ...], values: Floats, value: float, se: float, freedom: float, groups: int
) -> Resampled:
    """Resamples whose spread is the standard error that rare classes and few groups leave, where that is larger."""
    middle, shown = float(np.nanmean(values)), math.sqrt(variance(values) * few(freedom))
    stretch = se / shown if math.isfinite(se) and shown > 0 else 1.0
    stretched = middle + max(1.0, stretch) * (values - middle)
    return Resampled(pairing, stretched, freedom, bias_of(middle - value, groups) if math.isfinite(value) else 0.0)
