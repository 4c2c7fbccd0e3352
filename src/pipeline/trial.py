"""One trial: train, evaluate, log, save its record. What fails is recorded with its reason, and the sweep goes on.

A trial that was killed goes on: its MLflow run is continued, its training resumes after the last whole epoch. The
record is written last and atomically, so that a trial that has one is finished.
"""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path

from src.common.errors import DiskFullError, StageError, stop_if_full
from src.config.schema import AppConfig
from src.evaluate import save_resamples
from src.models.base import EpochHook, TrainResult, family
from src.pipeline import trial_pictures
from src.pipeline.accuracy import evaluate_checkpoint
from src.pipeline.context import Context, now, worker_number
from src.pipeline.leftovers import clear_leftovers
from src.pipeline.neighbours import NEIGHBOURS
from src.pipeline.one_trial import Trial
from src.pipeline.resource_use import ResourceUse
from src.pipeline.trial_log import begin, close, failed
from src.pipeline.watchdog import watchdog
from src.records.schema import TrialRecord
from src.records.store import load, save
from src.records.sweep_folder import TrialFolder
from src.sweeper.pruner import PausedError, PrunedError
from src.track import EPOCH_METRIC, RunLog

log = logging.getLogger(__name__)


def run_trial(trial: Trial, context: Context, on_epoch: EpochHook) -> TrialRecord:
    """Run one trial to its end and return its saved record; a failure is a record too.

    Args:
        trial: what is to be trained.
        context: what the trials of a sweep share.
        on_epoch: called after every epoch; may raise `PrunedError`, or `PausedError`.

    Raises:
        PausedError: the trial waits at a rung, with its state kept.
        KeyboardInterrupt: interrupted; the MLflow run is closed as KILLED, and the next attempt goes on with it.
        DiskFullError: the same for want of room on the disk.
    """
    folder, cfg = trial.folder, trial.cfg
    folder.mkdir(parents=True, exist_ok=True)
    clear_leftovers(folder)
    used = ResourceUse.so_far(folder, gpu=cfg.device != "cpu")
    record, run = begin(trial, context)
    try:
        record = replace(record, metrics=dict(trial.known))
        run.metrics(record.metrics)
        while record.state != "failed" or _may_try_again(cfg, record):
            with watchdog(folder, cfg.study.trial_timeout), _watching(cfg, context):
                record = _attempt(trial, record, context, run, on_epoch, used)
            if record.state != "failed":
                break
            save(TrialFolder(folder).begun, record)  # a process that dies takes no failed attempt with it
        record = replace(record, finished_at=now(), timings_s=used.seconds, energy_j=used.joules)
        save(TrialFolder(folder).record, record)  # first: a report is made of it, and MLflow can be told again
        close(run, record, folder)
    except PausedError:
        used.save()
        paused = load(TrialRecord, TrialFolder(folder).paused)
        save(TrialFolder(folder).paused, replace(paused, timings_s=used.seconds, energy_j=used.joules))
        run.end("KILLED")  # as one that was interrupted: it is continued, or closed when it is given up
        raise
    except (KeyboardInterrupt, DiskFullError):
        with suppress(Exception):  # a full disk takes no entry either; the next attempt continues the run
            run.end("KILLED")
        raise
    return record


def _watching(cfg: AppConfig, context: Context) -> AbstractContextManager[None]:
    """Tell of others' load; where this is a worker, the process that started it does, to which the others belong."""
    if worker_number() is not None or cfg.device != "cpu":
        return nullcontext()
    return NEIGHBOURS.watched(context.threads)


def _may_try_again(cfg: AppConfig, record: TrialRecord) -> bool:
    times = len(record.failures)
    if times <= cfg.study.retries:
        log.warning("trial %d is tried again (%d of %d)", record.trial, times, cfg.study.retries)
    return times <= cfg.study.retries


def _attempt(
    trial: Trial, record: TrialRecord, context: Context, run: RunLog, on_epoch: EpochHook, used: ResourceUse
) -> TrialRecord:
    """Train and evaluate once; the record that comes back is complete, pruned or failed."""
    history: list[dict[str, float]] = []
    record = replace(record, state="complete")

    def after_epoch(epoch: int, row: dict[str, float]) -> None:
        history.append({"epoch": float(epoch), **row})
        if epoch > run.last_epoch:
            run.metrics({**row, EPOCH_METRIC: epoch}, step=epoch)
            used.keep()
        _check_time(trial.cfg, begun)
        on_epoch(epoch, row)

    begun = time.perf_counter()
    try:
        return _train_and_evaluate(trial, record, context, run, after_epoch, used)
    except PausedError:
        save(TrialFolder(trial.folder).paused, replace(record, state="pruned", history=history, finished_at=now()))
        raise
    except PrunedError:
        return replace(record, state="pruned", history=history)
    except Exception as error:
        stop_if_full(context.folder, error)
        return failed(replace(record, history=history), error, trial.folder)


def _check_time(cfg: AppConfig, begun: float) -> None:
    limit = cfg.study.trial_timeout
    if limit is not None and time.perf_counter() - begun > limit:
        raise StageError("train", cfg.model.name, f"it took longer than study.trial_timeout={limit:g} s")


def _train_and_evaluate(
    trial: Trial, record: TrialRecord, context: Context, run: RunLog, on_epoch: EpochHook, used: ResourceUse
) -> TrialRecord:
    cfg, dataset, out = trial.cfg, trial.dataset, TrialFolder(trial.folder).train
    with used.of("train"):
        own = family(cfg.model.family)
        result = own.train(cfg.training, dataset, trial.start, out, context.threads, on_epoch)
    record = replace(record, checkpoint=result.checkpoint, history=result.history)
    with used.of("evaluate"):
        metrics, _ = evaluate_checkpoint(result.checkpoint, dataset, "val", cfg, context, trial.folder)
        save_resamples(context.folder, record)
    record = replace(record, metrics={**record.metrics, **{f"val/{name}": value for name, value in metrics.items()}})
    run.metrics(record.metrics, step=result.checkpoint.epochs + 1)
    _log_training(run, result)
    if trial_pictures.wanted(record, trial.folder) and not trial_pictures.may_wait(trial, used.seconds["train"]):
        with used.of("evaluate"):
            trial_pictures.draw_now(trial, record, context, run)
    return record


def _log_training(run: RunLog, result: TrainResult) -> None:
    checkpoint = result.checkpoint
    run.files([Path(checkpoint.path), result.last], "weights")
    run.files(result.files, trial_pictures.FOLDER)
    run.tags({"start": checkpoint.start, "weights.sha256": checkpoint.weights_sha256})
    run.metrics({"parameters": checkpoint.parameters, "gflops": checkpoint.gflops, "best_epoch": checkpoint.best_epoch})
