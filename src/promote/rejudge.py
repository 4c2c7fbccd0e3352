"""A registered model judged once more, on another test split than the one it was registered with.

A fresh test split must not end a line of champions: nobody has judged the reference on it. The model is kept whole in
the registry, so it runs over the new images here, on its own runtime, by the path that judged the challenger.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from src.benchmark import predict
from src.common.errors import StageError, Unavailable, UserError
from src.data import load_split
from src.decide.choice import Decision
from src.evaluate import Subject, evaluate_in_depth, load_ground_truth
from src.evaluate.files import load_detections, load_groups
from src.promote.recorded_model import RecordedModel
from src.records.schema import Artifact, DatasetRef, EvaluationRecord
from src.records.sweep_folder import SweepFolder


def on_split_of(
    decision: Decision, recorded: RecordedModel, artifact: Artifact, plan: Mapping[str, Any]
) -> RecordedModel:
    """What is recorded of a registered model, with its accuracy on the test split of a decision.

    Args:
        decision: on the sweep of the challenger, whose prepared dataset is still there.
        recorded: of the registered model.
        artifact: its file.
        plan: its runtime, threads and class names.

    Raises:
        UserError: the classes are others, the images are gone, or something can't be read.
        Unavailable: its runtime can't be had here.
        StageError: it failed.
    """
    assert decision.recommended is not None
    dataset = decision.recommended.best.trial.dataset
    if dataset is None:
        raise UserError("the challenger's record names no dataset")
    if list(plan["class_names"]) != dataset.class_names:
        raise UserError("it knows other classes", value=", ".join(plan["class_names"]))
    ground_truth = SweepFolder(decision.saved.folder).ground_truth(dataset.fingerprint, "test")
    record = _evaluate(artifact, plan, dataset, ground_truth)
    return replace(recorded, evaluation=record, test=dataset.split_fingerprints.get("test", ""))


def _evaluate(artifact: Artifact, plan: Mapping[str, Any], dataset: DatasetRef, ground_truth: Path) -> EvaluationRecord:
    images = [sample.image for sample in load_split(dataset, "test")]
    ground_truths = load_ground_truth(ground_truth)
    if len(images) != len(ground_truths):
        raise UserError(
            "the test split has changed since the sweep", value=f"{len(images)} images, not {len(ground_truths)}"
        )
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "detections.npz"
        device = str(plan.get("device", "cpu"))
        predict(artifact, plan["runtime"], images, device=device, threads=plan["threads"], out=out)
        detections = load_detections(out, len(ground_truths))
    subject = Subject(
        sweep="",
        trial=0,
        run_id="",
        format=artifact.format,
        precision=artifact.precision,
        artifact_sha256=artifact.sha256,
        runtime=plan["runtime"],
        split="test",
        dataset_fingerprint=dataset.fingerprint,
        class_names=dataset.class_names,
    )
    return evaluate_in_depth(subject, detections, ground_truths, groups=load_groups(ground_truth))


FAILURES = (UserError, Unavailable, StageError)  # why a model can't be judged again
