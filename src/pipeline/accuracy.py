"""Accuracy: detections of a model on a split, saved, and what they are worth against the ground truth.

One path for every model file: the shared detect path finds the boxes, `src.evaluate` judges them.
"""

from __future__ import annotations

import logging
from pathlib import Path

from src.benchmark import predict, verify
from src.common.errors import UserError
from src.config.schema import AppConfig
from src.data import Sample, load_groups, load_split
from src.evaluate import Metrics, ensure_resamples, keep_ground_truth, match, summarise
from src.evaluate.files import load_detections
from src.export import export
from src.models.devices import usable_gpus
from src.pipeline.context import Context
from src.records.schema import AccuracyGate, Artifact, Checkpoint, DatasetRef, Verification
from src.records.sweep_folder import TrialFolder

log = logging.getLogger(__name__)

TRAINED = ("pytorch", "pytorch/fp32")  # runtime and artifact that a checkpoint is judged as


def evaluate_checkpoint(
    checkpoint: Checkpoint,
    dataset: DatasetRef,
    split: str,
    cfg: AppConfig,
    context: Context,
    folder: Path,
) -> tuple[dict[str, float], Path]:
    """mAP50-95 and its kin of a PyTorch checkpoint on a split, and the file in `folder` that holds its detections.

    It runs in this process, which has PyTorch loaded from training.
    """
    artifact = export(checkpoint, TRAINED[1], TrialFolder(folder).artifacts, cfg.export, trust=cfg.model.trust)
    metrics, saved = evaluate_artifact(artifact, TRAINED[0], dataset, split, cfg, context, folder, isolated=False)
    return metrics.as_dict(), saved


def evaluate_artifact(
    artifact: Artifact,
    runtime: str,
    dataset: DatasetRef,
    split: str,
    cfg: AppConfig,
    context: Context,
    folder: Path,
    *,
    isolated: bool = True,
) -> tuple[Metrics, Path]:
    """Run an artifact on a runtime over a whole split and judge its detections.

    Returns:
        The metrics, and the file that the detections were saved to.

    Raises:
        StageError: the runtime failed, crashed or hung.
        Unavailable: the runtime is not to be had here.
    """
    samples: list[Sample] = load_split(dataset, split)
    # Beside the detections: whoever judges them later needs no dataset.
    ground_truth = context.places.ground_truth(dataset.fingerprint, split)
    keep_ground_truth(ground_truth, samples, load_groups(dataset, split, cfg.data.group))
    out = predict(
        artifact,
        runtime,
        [s.image for s in samples],
        device=device_of(cfg),
        threads=context.threads,
        out=_detections(folder, split, runtime, artifact.label),
        trust=cfg.model.trust,
        isolated=isolated,
        tiling=cfg.tiling,
    )
    detections = load_detections(out, len(samples))
    matches = match(detections, samples, len(dataset.class_names))
    return summarise(matches), out


def trained_detections(folder: Path) -> Path:
    """What a trial's best checkpoint found on val."""
    return _detections(folder, "val", *TRAINED)


def _detections(folder: Path, split: str, runtime: str, label: str) -> Path:
    return TrialFolder(folder).detections / f"{split}-{runtime}-{label.replace('/', '-')}.npz"


def regroup(cfg: AppConfig, dataset: DatasetRef, context: Context) -> None:
    """Give the sweep's saved ground truth the groups that `data.group` says now, and every trial its resamples by them.

    A trial whose files are damaged goes without: what is left of the sweep is still to be judged.
    """
    for split in ("val", "test"):
        ground_truth = context.places.ground_truth(dataset.fingerprint, split)
        if ground_truth.is_file():
            keep_ground_truth(ground_truth, load_split(dataset, split), load_groups(dataset, split, cfg.data.group))
    try:
        ensure_resamples(context.folder)
    except UserError as error:
        log.warning("not every trial has its resamples over images: %s", error)


def judged(
    artifact: Artifact,
    runtime: str,
    split: str,
    metrics: dict[str, float],
    reference_map: float,
    saved: Path,
    cfg: AppConfig,
    context: Context,
    agreement: dict[str, float] | None = None,
) -> Verification:
    """What an artifact's accuracy on a split says of it.

    Args:
        artifact: what ran.
        runtime: what it ran on.
        split: the images.
        metrics: what it reached.
        reference_map: mAP50-95 of its source on the same split.
        saved: its detections.
        cfg: what export may cost.
        context: of the sweep.
        agreement: how its outputs compare with the source's.
    """
    gate: AccuracyGate = "reference"
    if artifact.format != "pytorch":
        limits = {"max_loss": cfg.decision.max_export_loss, "warn_below": cfg.export.warn_below}
        gate = verify.gate(artifact.precision, metrics["mAP50-95"], reference_map, agreement or {}, **limits)
    return Verification(
        format=artifact.format,
        precision=artifact.precision,
        artifact_sha256=artifact.sha256,
        runtime=runtime,
        split=split,
        metrics=metrics,
        reference_map=reference_map,
        gate=gate,
        detections_file=str(saved.relative_to(context.folder)),
        extra=agreement or {},
    )


def device_of(cfg: AppConfig) -> str:
    """The device that runtimes are asked for: cpu or cuda:N."""
    gpus = usable_gpus(cfg.device)
    return f"cuda:{gpus[0]}" if gpus else "cpu"
