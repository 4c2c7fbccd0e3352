"""Evaluate every finalist artifact of a sweep in depth, from what the sweep saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from src.common.errors import UserError
from src.evaluate.files import load_detections, load_ground_truth, load_groups
from src.evaluate.in_depth import PRODUCTION, Subject, evaluate_in_depth
from src.records.schema import EvaluationRecord, FinalistRecord, TrialRecord, Verification
from src.records.store import load_or_refuse, save
from src.records.sweep_folder import SweepFolder, TrialFolder, is_name

Say = Callable[[str], None]


def evaluation_file(trial_folder: Path, v: Verification) -> Path:
    """Where the evaluation of one verification is kept.

    Raises:
        UserError: the record would lead out of the folder.
    """
    for key in ("split", "runtime", "format", "precision"):
        if not is_name(getattr(v, key)):
            raise UserError(f"{TrialFolder(trial_folder).finalist}: {key} is no plain name", value=getattr(v, key))
    return TrialFolder(trial_folder).evaluation / f"{v.split}-{v.runtime}-{v.format}-{v.precision}.json"


def evaluate_sweep(
    sweep: Path, *, production: float = PRODUCTION, say: Say = lambda _: None, again: bool = False
) -> list[EvaluationRecord]:
    """Evaluate every verification of every finalist and save a record of each.

    Args:
        sweep: folder of the sweep.
        production: confidence threshold in use.
        say: prints a line of progress.
        again: also evaluate what has an evaluation of the same artifact already.

    Raises:
        UserError: the saved detections or the ground truth are missing or malformed.
    """
    found: list[EvaluationRecord] = []
    for folder in (f for f in SweepFolder(sweep).all_trials() if f.finalist.exists()):
        finalist, trial = load_or_refuse(FinalistRecord, folder.finalist), load_or_refuse(TrialRecord, folder.record)
        found += [_one(sweep, folder.path, trial, v, production, say, again) for v in finalist.verifications]
    return found


def _one(
    sweep: Path, folder: Path, trial: TrialRecord, v: Verification, production: float, say: Say, again: bool
) -> EvaluationRecord:
    if trial.dataset is None:
        raise UserError(f"trial {trial.trial} is a finalist but its record names no dataset")
    target, ground_truth = (
        evaluation_file(folder, v),
        SweepFolder(sweep).ground_truth(trial.dataset.fingerprint, v.split),
    )
    if target.is_file() and not again:
        known = load_or_refuse(EvaluationRecord, target)
        if _is_of(known, v, production) and _has_groups_of(known, ground_truth):
            return known
    say(f"evaluate trial {trial.trial}: {v.format}/{v.precision} on {v.runtime}, {v.split}")
    subject = Subject(
        sweep=trial.sweep,
        trial=trial.trial,
        run_id=trial.run_id,
        format=v.format,
        precision=v.precision,
        artifact_sha256=v.artifact_sha256,
        runtime=v.runtime,
        split=v.split,
        dataset_fingerprint=trial.dataset.fingerprint,
        class_names=trial.dataset.class_names,
    )
    ground_truths = load_ground_truth(ground_truth)
    detections = load_detections(sweep / v.detections_file, len(ground_truths))
    record = evaluate_in_depth(
        subject, detections, ground_truths, production=production, groups=load_groups(ground_truth)
    )
    save(target, record)
    return record


def _is_of(known: EvaluationRecord, v: Verification, production: float) -> bool:
    return known.artifact_sha256 == v.artifact_sha256 and known.figures.get("threshold@production") == production


def _has_groups_of(known: EvaluationRecord, ground_truth: Path) -> bool:
    """Whether a record drew the images in today's groups; where the ground truth is gone, it stays as it is."""
    return not ground_truth.is_file() or known.n_groups == len(set(load_groups(ground_truth).tolist()))
