"""The finalists: export, verification on `val` and measurement of the chosen models, and what that finds.

One replicate of each configuration is exported and timed. `test` stays closed here: it judges what was decided, see
`src.pipeline.judge_on_test`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from src.benchmark.verify import agreement
from src.common.errors import StageError, Unavailable, UserError
from src.config.schema import AppConfig
from src.export.isolated import SOURCE, export_all
from src.export.layer_loss import losses_beside
from src.machine import allocator
from src.machine.environment import environment
from src.pipeline.accuracy import evaluate_artifact, evaluate_checkpoint, judged
from src.pipeline.calibration import calibration_images
from src.pipeline.capacity import measure_capacities
from src.pipeline.context import Context, Inputs
from src.pipeline.measured import Findings, Say, bench_metrics, measure_all, pairs
from src.pipeline.mixed_precision import keep_layers_float
from src.pipeline.post_training import judge_start
from src.pipeline.runs import closing
from src.records.schema import FinalistRecord, TrialRecord
from src.records.store import load, save
from src.records.sweep_folder import TrialFolder
from src.track import RunLog

File = tuple[str, str, str]  # format, precision, runtime


def run_finalists(
    finalists: Sequence[tuple[TrialRecord, AppConfig]], context: Context, inputs: Inputs, say: Say
) -> list[FinalistRecord]:
    """Export, verify and measure the finalists; save a record for each and return them.

    Args:
        finalists: chosen trials with their configurations.
        context: of the sweep.
        inputs: datasets.
        say: prints a line of progress.
    """
    allocator.give_back()  # trainings of this process have kept it
    found = [Findings(record, cfg, context.trial_folder(record.trial)) for record, cfg in finalists]
    for one in found:
        context.exchange.fetch_whole(one.record.trial)
        say(f"finalist {one.record.trial}: export and verify")
        one.used.gpu = one.cfg.device != "cpu"
        with one.used.of("export"):
            _export(one, inputs)
        with one.used.of("verify"):
            reference = verify(one, context, inputs, "val")
            keep_layers_float(one, context, inputs, reference, say)
            _keep_test(one)
        one.layer_losses = {a.sha256: rows for a in one.artifacts if (rows := losses_beside(Path(a.path)))}
    measure_all(found, context, inputs, say)
    measure_capacities(found, context, inputs, say)
    return [_save(one, context) for one in found]


def _export(one: Findings, inputs: Inputs) -> None:
    checkpoint = one.record.checkpoint
    assert checkpoint is not None
    images = calibration_images(one.cfg, inputs.dataset(one.cfg))
    one.artifacts += export_all(
        checkpoint,
        [SOURCE, *one.cfg.export.targets],
        TrialFolder(one.folder).artifacts,
        one.cfg.export,
        lambda target, error: one.fail("export", target, error),
        calibration=images,
        trust=one.cfg.model.trust,
    )


def _keep_test(one: Findings) -> None:
    """Keep what an earlier opening of the test split found about artifacts that are still the same."""
    path = TrialFolder(one.folder).finalist
    if path.is_file():
        earlier = load(FinalistRecord, path)
        one.test = earlier.test_metrics
        same = {a.sha256 for a in one.artifacts}
        one.verifications += [v for v in earlier.verifications if v.split == "test" and v.artifact_sha256 in same]
        one.post_training += [v for v in earlier.post_training if v.split == "test"]


def verify(one: Findings, context: Context, inputs: Inputs, split: str, wanted: Collection[File] | None = None) -> Path:
    """Accuracy of artifacts on their runtimes; the PyTorch checkpoint is the reference.

    Args:
        one: what is judged; what is found goes into it.
        context: of the sweep.
        inputs: datasets.
        split: the images.
        wanted: the files to judge, as (format, precision, runtime); None = all.

    Returns:
        The file with the checkpoint's detections.
    """
    dataset, checkpoint = inputs.dataset(one.cfg), one.record.checkpoint
    assert checkpoint is not None
    reference, reference_file = evaluate_checkpoint(checkpoint, dataset, split, one.cfg, context, one.folder)
    if split == "test":
        one.test = {f"test/{name}": value for name, value in reference.items()}
    for artifact, engine in pairs(one):
        if wanted is not None and (artifact.format, artifact.precision, engine) not in wanted:
            continue
        metrics, saved = reference, reference_file
        try:
            if (artifact.format, engine) != ("pytorch", "pytorch"):  # that is the reference itself
                found, saved = evaluate_artifact(artifact, engine, dataset, split, one.cfg, context, one.folder)
                metrics = found.as_dict()
        except (StageError, Unavailable, UserError) as error:
            one.fail("verify", f"{engine} {artifact.label}", error)
            continue
        one.verifications.append(
            judged(
                artifact,
                engine,
                split,
                metrics,
                reference["mAP50-95"],
                saved,
                one.cfg,
                context,
                agreement(reference_file, saved),
            )
        )
    if wanted is not None and all(precision != "int8" for _, precision, _ in wanted):
        return reference_file  # there is nothing to hold the starting network against
    one.post_training += judge_start(checkpoint, one.cfg, context, inputs, one.folder / "start", split, one.fail)
    return reference_file


def _save(one: Findings, context: Context) -> FinalistRecord:
    record = FinalistRecord(
        sweep=context.name,
        trial=one.record.trial,
        config_id=one.record.config_id,
        run_id=one.record.run_id,
        artifacts=one.artifacts,
        verifications=one.verifications,
        measurements=one.measurements,
        test_metrics=one.test,
        post_training=one.post_training,
        layer_losses=one.layer_losses,
        kept_float=one.kept_float,
        timings_s=one.used.seconds,
        energy_j=one.used.joules,
        failures=one.failures,
        environment=environment(),
    )
    save(TrialFolder(one.folder).finalist, record)
    log_finalist(record, one, context)
    return record


def log_finalist(record: FinalistRecord, one: Findings, context: Context) -> None:
    """Add the finalist's metrics and files to its trial's run."""
    with closing(
        context, record.run_id, interrupted="FINISHED"
    ) as run:  # its training is finished, whatever happens here
        _log_to(run, record, one)


def _log_to(run: RunLog, record: FinalistRecord, one: Findings) -> None:
    run.metrics({**record.test_metrics, **bench_metrics(record)})
    run.files([Path(a.path) for a in record.artifacts if a.format != "pytorch" and Path(a.path).is_file()], "artifacts")
    run.files([TrialFolder(one.folder).finalist], "record")
