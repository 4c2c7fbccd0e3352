"""One trial: train, evaluate, log, save its record. What fails is recorded with its reason, and the sweep goes on."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from src.config import AppConfig, identity, plain_config
from src.environment import environment
from src.errors import StageError
from src.pipeline.accuracy import evaluate_checkpoint
from src.pipeline.context import Context, Inputs, now, tags_of
from src.records import Checkpoint, DatasetRef, Failure, TrialRecord, load, save
from src.redact import redact, redact_text
from src.track import RunLog
from src.train import TrainResult, train

log = logging.getLogger(__name__)

EpochHook = Callable[[int, dict[str, float]], None]


@dataclass
class Timings:
    """Seconds per stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Time a stage, also one that fails."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = round(time.perf_counter() - begun, 3)


def run_trial(
    cfg: AppConfig, number: int, overrides: list[str], context: Context, inputs: Inputs, on_epoch: EpochHook
) -> TrialRecord:
    """Run one trial to its end and return its saved record; a failure is a record too.

    Raises:
        KeyboardInterrupt: interrupted; the MLflow run is closed as KILLED and no record is saved.
    """
    folder = context.trial_folder(number)
    folder.mkdir(parents=True, exist_ok=True)
    record = _blank_record(cfg, number, overrides, context)
    run = context.tracker.start(
        run_name(record),
        parent=context.parent,
        tags=tags_of(context.name, inputs.dataset(cfg), record.config_hash),
        monitor=True,
    )
    timings = Timings()
    record = replace(record, run_id=run.run_id, dataset=inputs.dataset(cfg))
    try:
        run.params(plain_config(cfg))
        run.dataset(inputs.dataset(cfg))
        record = _train_and_evaluate(cfg, record, context, inputs, run, on_epoch, timings)
    except KeyboardInterrupt:
        run.end("KILLED")
        raise
    except Exception as error:
        record = _failed(record, error, folder)
    record = replace(record, finished_at=now(), timings_s=timings.seconds)
    _close(run, record, folder)
    return record


def _blank_record(cfg: AppConfig, number: int, overrides: list[str], context: Context) -> TrialRecord:
    return TrialRecord(
        sweep=context.name,
        trial=number,
        state="complete",
        model=cfg.model.name,
        imgsz=cfg.imgsz,
        lr=cfg.lr,
        seed=cfg.seed,
        overrides=overrides,
        config_id=identity(cfg, without=("seed",)),
        config_hash=identity(cfg),
        run_id="",
        started_at=now(),
        finished_at="",
        environment=environment(),
        config=redact(plain_config(cfg)),
    )


def run_name(record: TrialRecord) -> str:
    """Name of the trial's run, as shown in the MLflow UI."""
    return f"{record.trial:04d} {record.model} {record.imgsz}px lr={record.lr:.4g} seed={record.seed}"


def _train_and_evaluate(
    cfg: AppConfig,
    record: TrialRecord,
    context: Context,
    inputs: Inputs,
    run: RunLog,
    on_epoch: EpochHook,
    timings: Timings,
) -> TrialRecord:
    folder, dataset, start = context.trial_folder(record.trial), inputs.dataset(cfg), inputs.start(cfg)

    def after_epoch(epoch: int, row: dict[str, float]) -> None:
        run.metrics(row, step=epoch)
        on_epoch(epoch, row)

    with timings.of("train"):
        result = train(cfg, dataset, start.path, start.note, folder / "train", context.threads, after_epoch)
    record = replace(record, checkpoint=result.checkpoint, history=result.history)
    with timings.of("evaluate"):
        metrics, _ = evaluate_checkpoint(result.checkpoint, dataset, "val", cfg, context, folder)
    record = replace(record, metrics={f"val/{name}": value for name, value in metrics.items()})
    run.metrics(record.metrics, step=result.checkpoint.epochs + 1)
    _log_training(run, result, dataset)
    return record


def _log_training(run: RunLog, result: TrainResult, dataset: DatasetRef) -> None:
    checkpoint: Checkpoint = result.checkpoint
    run.files([Path(checkpoint.path), result.last], "weights")
    run.files(result.files, "training")
    run.tags({"start": checkpoint.start, "weights.sha256": checkpoint.weights_sha256, "dataset": dataset.name})
    run.metrics({"parameters": checkpoint.parameters, "gflops": checkpoint.gflops, "best_epoch": checkpoint.best_epoch})


def _failed(record: TrialRecord, error: Exception, folder: Path) -> TrialRecord:
    (folder / "traceback.txt").write_text(redact_text("".join(traceback.format_exception(error))), encoding="utf-8")
    stage = error.stage if isinstance(error, StageError) else "train"
    message = error.message if isinstance(error, StageError) else f"{type(error).__name__}: {error}"
    failure = Failure(stage=stage, target=record.model, kind="error", message=redact_text(message)[:500])
    log.warning("trial %d failed in %s: %s", record.trial, stage, failure.message)
    return replace(record, state="failed", failures=[*record.failures, failure])


def _close(run: RunLog, record: TrialRecord, folder: Path) -> None:
    """Save the record first: it is what a report is made of."""
    save(folder / "record.json", record)
    run.metrics({f"seconds/{k}": v for k, v in record.timings_s.items()})
    run.files([folder / "record.json", *([folder / "traceback.txt"] if record.state == "failed" else [])], "record")
    for failure in record.failures:
        run.tags({"failure": f"{failure.stage}: {failure.message}"})
    run.end("FAILED" if record.state == "failed" else "FINISHED")


def finished(context: Context, number: int) -> TrialRecord | None:
    """The record of a trial that an earlier run of the sweep finished."""
    path = context.trial_folder(number) / "record.json"
    return load(TrialRecord, path) if path.is_file() else None
