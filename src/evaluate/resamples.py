"""Resamples of every trial of a sweep over the same draws of images, so that any two of them can be compared in pairs.

The evaluation in depth is for finalists; these figures cost a fraction of it and need what every trial saves anyway:
its detections, and the ground truth beside the sweep. A sweep from before them gets them from the same files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from src.common.errors import UserError
from src.evaluate.bootstrap import RESAMPLES, SEED, image_weights, mean_over_classes, resample_classes
from src.evaluate.files import load_detections, load_ground_truth, load_groups
from src.evaluate.intervals import evidence, interval
from src.evaluate.matching import Detected, GroundTruth, Ints, match
from src.evaluate.precision import ap_table, mean_of
from src.records.parsing import RecordError
from src.records.schema import ImageResamples, TrialRecord
from src.records.store import load, load_or_refuse, save
from src.records.sweep_folder import SweepFolder

SPLIT = "val"  # the only one that every trial sees
DETECTIONS = "pytorch-pytorch-fp32"  # of the checkpoint itself, which every trial is judged by
MANY = 1000  # images above which fewer resamples do: a draw costs more, and its figures vary less
FEWER = 400


def resample_count(n_images: int) -> int:
    """How many resamples a split of this size gets; the draws of a smaller count are the first of a larger one."""
    return RESAMPLES if n_images <= MANY else FEWER


def weights_id(groups: Ints, n: int) -> str:
    """A short hash of what the draws are made from."""
    _, member = np.unique(groups, return_inverse=True)
    return hashlib.sha256(f"{n} {SEED} ".encode() + member.astype("<i8").tobytes()).hexdigest()[:16]


def trial_resamples(
    trial: TrialRecord,
    detections: Sequence[Detected],
    ground_truths: Sequence[GroundTruth],
    groups: Ints,
) -> ImageResamples:
    """mAP50-95 of a trial under every draw of the images.

    Args:
        trial: what the detections come from; its record names the dataset.
        detections: one item per image.
        truths: one item per image, in the same order.
        groups: [n_images] of `load_groups`.

    Raises:
        UserError: the record names no dataset.
        ValueError: unequal numbers of images, or malformed arrays.
    """
    if trial.dataset is None:
        raise UserError(f"trial {trial.trial}: its record names no dataset")
    count = resample_count(len(ground_truths))
    matches = match(detections, ground_truths, len(trial.dataset.class_names))
    table = resample_classes(matches, image_weights(len(ground_truths), count, groups=groups))
    value, found = mean_of(ap_table(matches)), evidence(matches, groups)
    spread = interval(value, table[:, :, 0], found)
    return ImageResamples(
        sweep=trial.sweep,
        trial=trial.trial,
        split=SPLIT,
        dataset_fingerprint=trial.dataset.fingerprint,
        n_images=len(ground_truths),
        n_groups=found.n_groups,
        freedom=spread.freedom,
        resample_seed=SEED,
        value=value,
        standard_error=spread.se,
        resamples=[round(float(v), 7) for v in mean_over_classes(table)[:, 0]],
        weights=weights_id(groups, count),
    )


def save_resamples(sweep: Path, trial: TrialRecord) -> ImageResamples | None:
    """Make and save a trial's resamples from its saved detections; None where the detections or truths are not there.

    Args:
        sweep: folder of the sweep.
        trial: of the sweep.

    Raises:
        UserError: the saved files are malformed.
    """
    saved = SweepFolder(sweep).trial(trial.trial).detections / f"{SPLIT}-{DETECTIONS}.npz"
    if trial.dataset is None or not saved.is_file():
        return None
    ground_truth = SweepFolder(sweep).ground_truth(trial.dataset.fingerprint, SPLIT)
    if not ground_truth.is_file():
        return None
    ground_truths = load_ground_truth(ground_truth)
    try:
        record = trial_resamples(
            trial, load_detections(saved, len(ground_truths)), ground_truths, load_groups(ground_truth)
        )
    except ValueError as error:
        raise UserError(f"{saved} doesn't fit the ground truth ({error})") from None
    save(SweepFolder(sweep).trial(trial.trial).images(SPLIT), record)
    return record


def ensure_resamples(sweep: Path) -> list[ImageResamples]:
    """The resamples of every complete trial of a saved sweep; what is missing, torn or of other groups is made again.

    A trial whose detections or truths are gone is left out.

    Raises:
        UserError: a file of detections or truths is malformed.
    """
    current: dict[str, str] = {}
    return [record for trial in _complete(sweep) if (record := _ensured(sweep, trial, current)) is not None]


def load_resamples(sweep: Path) -> dict[int, ImageResamples]:
    """Resamples by trial, as saved; reads no detections, so that a thousand trials cost less than a second.

    Raises:
        RecordError: a file is malformed.
    """
    paths = [path for folder in SweepFolder(sweep).all_trials() if (path := folder.images(SPLIT)).exists()]
    return {record.trial: record for record in (load(ImageResamples, path) for path in paths)}


def _complete(sweep: Path) -> Iterator[TrialRecord]:
    for path in (p for folder in SweepFolder(sweep).all_trials() if (p := folder.record).exists()):
        record = load_or_refuse(TrialRecord, path)
        if record.state == "complete":
            yield record


def _ensured(sweep: Path, trial: TrialRecord, current: dict[str, str]) -> ImageResamples | None:
    """The record as saved where it is what would be made today, else a new one."""
    path = SweepFolder(sweep).trial(trial.trial).images(SPLIT)
    try:
        known = load(ImageResamples, path) if path.is_file() else None
    except RecordError:
        known = None
    if known is not None and known.weights == _weights_of(sweep, trial, current):
        return known
    return save_resamples(sweep, trial) or known


def _weights_of(sweep: Path, trial: TrialRecord, current: dict[str, str]) -> str:
    """What the draws would be made from today; read once for each dataset."""
    fingerprint = trial.dataset.fingerprint if trial.dataset else ""
    if fingerprint not in current:
        ground_truth = SweepFolder(sweep).ground_truth(fingerprint, SPLIT)
        groups = load_groups(ground_truth) if ground_truth.is_file() else None
        current[fingerprint] = "" if groups is None else weights_id(groups, resample_count(len(groups)))
    return current[fingerprint]
