"""`export.int8.keep=auto`: layers of a static INT8 file go back to float until the accuracy gate holds.

The layers that lose most by themselves (`src.export.layer_loss`) go first: one, two, four, and so on up to
`export.int8.most_kept`. Each attempt is a file of its own, judged on val as every file is; val selects, so test says
what was won. The first that passes on every runtime replaces the file; where none does, the plain one stays and fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from src.benchmark.verify import agreement
from src.common.errors import StageError, Unavailable, UserError
from src.config.exporting import Int8Config
from src.export.isolated import export_one
from src.export.layer_loss import losses_beside
from src.pipeline.accuracy import evaluate_artifact, judged
from src.pipeline.calibration import calibration_images
from src.pipeline.context import Context, Inputs
from src.pipeline.measured import Findings, Say, pairs
from src.records.schema import AccuracyGate, Artifact, KeptFloat, Verification
from src.records.sweep_folder import TrialFolder

RANKED_BY = "onnx/int8"  # whose layers are measured; OpenVINO's have the same names
FORMATS = ("onnx", "openvino")
ORDER: tuple[AccuracyGate, ...] = ("none", "reference", "pass", "warn", "fail")
PASSED = ORDER[:3]


def steps(most: int) -> Iterator[int]:
    """1, 2, 4, … and `most`."""
    n = 1
    while n < most:
        yield n
        n *= 2
    yield most


def keep_layers_float(one: Findings, context: Context, inputs: Inputs, reference_file: Path, say: Say) -> None:
    """Replace INT8 files that fail their gate by mixed ones that pass, where `export.int8.keep=auto` asks for it.

    Args:
        one: a finalist with its artifacts verified on val; artifacts, verifications and attempts are changed in it.
        context: of the sweep.
        inputs: datasets.
        reference_file: detections of the checkpoint on val.
        say: prints a line of progress.
    """
    if one.cfg.export.int8.keep != "auto":
        return
    for artifact in [a for a in one.artifacts if a.precision == "int8" and a.format in FORMATS]:
        verdicts = [v for v in one.verifications if v.artifact_sha256 == artifact.sha256 and v.split == "val"]
        if verdicts and _worst(verdicts) not in PASSED:
            _search(one, artifact, verdicts, context, inputs, reference_file, say)


def _worst(verdicts: Sequence[Verification]) -> AccuracyGate:
    return max((v.gate for v in verdicts), key=ORDER.index)


def _search(
    one: Findings,
    artifact: Artifact,
    verdicts: list[Verification],
    context: Context,
    inputs: Inputs,
    reference_file: Path,
    say: Say,
) -> None:
    reference = verdicts[0].reference_map
    try:
        ranking = _ranking(one, artifact, inputs)
    except (StageError, Unavailable, UserError) as error:
        one.fail("export", f"{artifact.label} with layers in float", error)
        return
    for n in steps(min(one.cfg.export.int8.most_kept, len(ranking))) if ranking else ():
        layers = ranking[:n]
        try:
            made = _export(one, artifact.label, layers, inputs)
            found = _judge(one, made, len(layers), context, inputs, reference, reference_file)
        except (StageError, Unavailable, UserError) as error:
            one.fail("export", f"{artifact.label} with {n} layer(s) in float", error)
            return
        taken = bool(found) and _worst(found) in PASSED
        one.kept_float.append(_attempt(made, layers, found, reference, taken))
        say(f"finalist {one.record.trial}: {artifact.label} with {n} layer(s) in float: {_worst(found)}")
        if taken:
            one.artifacts = [made if a.sha256 == artifact.sha256 else a for a in one.artifacts]
            others = [v for v in one.verifications if v.artifact_sha256 != artifact.sha256]
            one.verifications = [*others, *found]
            return


def _ranking(one: Findings, artifact: Artifact, inputs: Inputs) -> list[str]:
    """Layers by what they lose alone, the worst first."""
    losses = losses_beside(Path(artifact.path))
    if not losses:
        losses = losses_beside(Path(_export(one, RANKED_BY, [], inputs).path))
    return [loss.layer for loss in losses]


def _export(one: Findings, target: str, layers: list[str], inputs: Inputs) -> Artifact:
    checkpoint = one.record.checkpoint
    assert checkpoint is not None
    int8 = Int8Config(**{**vars(one.cfg.export.int8), "keep": layers or None})
    return export_one(
        checkpoint,
        target,
        TrialFolder(one.folder).artifacts,
        replace(one.cfg.export, int8=int8),
        calibration=calibration_images(one.cfg, inputs.dataset(one.cfg)),
        trust=one.cfg.model.trust,
    )


def _judge(
    one: Findings,
    made: Artifact,
    n: int,
    context: Context,
    inputs: Inputs,
    reference: float,
    reference_file: Path,
) -> list[Verification]:
    """Accuracy of an attempt on every runtime that its format has."""
    dataset, found = inputs.dataset(one.cfg), []
    for artifact, engine in pairs(replace(one, artifacts=[made])):
        folder = one.folder / f"kept-{n}"
        metrics, saved = evaluate_artifact(artifact, engine, dataset, "val", one.cfg, context, folder)
        compared = agreement(reference_file, saved)
        verdict = judged(artifact, engine, "val", metrics.as_dict(), reference, saved, one.cfg, context, compared)
        layers = "layer stays" if n == 1 else "layers stay"
        found.append(replace(verdict, notes=[f"mixed precision: {n} {layers} float (export.int8.keep=auto)"]))
    return found


def _attempt(made: Artifact, layers: list[str], found: list[Verification], reference: float, taken: bool) -> KeptFloat:
    return KeptFloat(
        format=made.format,
        precision=made.precision,
        artifact_sha256=made.sha256,
        layers=layers,
        lowest=min((v.metrics["mAP50-95"] for v in found), default=0.0),
        reference_map=reference,
        gate=_worst(found) if found else "none",
        taken=taken,
    )
