"""What quantisation-aware training is compared with: static INT8 of the network that it began from.

Both networks go through the same exporters with the same calibration images, and both are judged on the same split, so
that the difference is what the training recovered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from src.common.errors import StageError, Unavailable, UserError
from src.common.hashes import sha256_file
from src.config.schema import AppConfig
from src.export.isolated import export_one
from src.models.base import family
from src.pipeline.accuracy import evaluate_artifact, evaluate_checkpoint, judged
from src.pipeline.calibration import calibration_images
from src.pipeline.context import Context, Inputs
from src.records.schema import Checkpoint, Verification
from src.records.sweep_folder import TrialFolder
from src.runtime import supports

Fail = Callable[[str, str, Exception], None]
STATIC = "/int8"  # how a target of static quantisation ends


def judge_start(
    trained: Checkpoint, cfg: AppConfig, context: Context, inputs: Inputs, folder: Path, split: str, fail: Fail
) -> list[Verification]:
    """Accuracy of the starting network's INT8 files; nothing where the training was an ordinary one.

    Args:
        trained: what quantisation-aware training made.
        cfg: its configuration.
        context: of the sweep.
        inputs: datasets and starting weights.
        folder: for the files and detections of the starting network.
        split: to judge on.
        fail: told of what could not be exported or run.
    """
    start, targets = inputs.start(cfg).path, [t for t in cfg.export.targets if t.endswith(STATIC)]
    if not cfg.train.qat or start is None or not targets:
        return []
    dataset = inputs.dataset(cfg)
    if family(trained.family).load(start, trust=cfg.model.trust).names != dataset.class_names:
        fail("verify", "post-training INT8", UserError("the starting checkpoint knows other classes than the dataset"))
        return []
    sha = sha256_file(start)
    before = replace(trained, path=str(start), sha256=sha, weights_sha256=sha)
    reference, _ = evaluate_checkpoint(before, dataset, split, cfg, context, folder)
    images, found = calibration_images(cfg, dataset), []
    for target in targets:
        engines = [e for e in cfg.runtime.engines if supports(e, *target.split("/"))]
        if not engines:
            continue
        try:
            artifact = export_one(
                before, target, TrialFolder(folder).artifacts, cfg.export, calibration=images, trust=cfg.model.trust
            )
        except (StageError, Unavailable, UserError) as error:
            fail("export", f"post-training {target}", error)
            continue
        for engine in engines:
            try:
                metrics, saved = evaluate_artifact(artifact, engine, dataset, split, cfg, context, folder)
            except (StageError, Unavailable, UserError) as error:
                fail("verify", f"{engine} post-training {target}", error)
                continue
            found.append(judged(artifact, engine, split, metrics.as_dict(), reference["mAP50-95"], saved, cfg, context))
    return found
