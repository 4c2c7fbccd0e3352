"""One trial: train, evaluate, log, save its record. What fails is recorded with its reason, and the sweep goes on.

A trial that was killed goes on: its MLflow run is continued, its training resumes after the last whole epoch. The
record is written last and atomically, so that a trial that has one is finished.
"""

from __future__ import annotations

import logging
import shutil
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from src.config import AppConfig, identity, plain_config
from src.environment import environment
from src.errors import DiskFullError, StageError, stop_if_full
from src.pipeline.accuracy import evaluate_checkpoint
from src.pipeline.context import Context, Inputs, now, tags_of
from src.pipeline.leftovers import clear_leftovers
from src.pipeline.runs import start_once
from src.pipeline.spent import Spent
from src.pipeline.watchdog import EVIDENCE, hung, watchdog
from src.records import Failure, Role, State, TrialRecord, load, save, write_text
from src.redact import redact, redact_text
from src.sweeper.pruner import PrunedError
from src.track import RunLog
from src.train import TrainResult, forget_state, train

log = logging.getLogger(__name__)

EpochHook = Callable[[int, dict[str, float]], None]
BEGUN = "begun.json"  # the record as it was when the trial began: it has the run that a later attempt continues
RECORD = "record.json"
STATUS = {"complete": "FINISHED", "pruned": "FINISHED", "infeasible": "FINISHED", "failed": "FAILED"}


def run_trial(
    cfg: AppConfig,
    number: int,
    overrides: list[str],
    context: Context,
    inputs: Inputs,
    on_epoch: EpochHook,
    known: Mapping[str, float] | None = None,
    role: Role = "search",
) -> TrialRecord:
    """Run one trial to its end and return its saved record; a failure is a record too.

    Args:
        cfg: of this trial.
        number: of this trial, from 0.
        overrides: what the sweep set for it, as typed.
        context: what the trials of a sweep share.
        inputs: datasets and starting weights.
        on_epoch: told of every epoch; may raise `PrunedError`.
        known: metrics that are known beforehand, such as the latency of its architecture.
        role: whether it takes part in the search, or confirms what was chosen.

    Raises:
        KeyboardInterrupt: interrupted; the MLflow run is closed as KILLED, and the next attempt goes on with it.
        DiskFullError: the same for want of room on the disk.
    """
    folder = context.trial_folder(number)
    folder.mkdir(parents=True, exist_ok=True)
    clear_leftovers(folder)
    spent = Spent(gpu=cfg.device != "cpu")
    record, run = _begin(cfg, number, overrides, context, inputs, role)
    try:
        record = replace(record, metrics=dict(known or {}))
        run.metrics(record.metrics)
        while record.state != "failed" or _may_try_again(cfg, record):
            with watchdog(folder, cfg.study.trial_timeout):
                record = _attempt(cfg, record, context, inputs, run, on_epoch, spent)
            if record.state != "failed":
                break
            save(folder / BEGUN, record)  # a process that dies takes no failed attempt with it
        record = replace(record, finished_at=now(), timings_s=spent.seconds, energy_j=spent.joules)
        save(folder / RECORD, record)  # first: a report is made of it, and MLflow can be told again
        _close(run, record, folder)
    except (KeyboardInterrupt, DiskFullError):
        with suppress(Exception):  # a full disk takes no entry either; the next attempt continues the run
            run.end("KILLED")
        raise
    return record


def _may_try_again(cfg: AppConfig, record: TrialRecord) -> bool:
    failed = len(record.failures)
    if failed <= cfg.study.retries:
        log.warning("trial %d is tried again (%d of %d)", record.trial, failed, cfg.study.retries)
    return failed <= cfg.study.retries


def _begin(
    cfg: AppConfig, number: int, overrides: list[str], context: Context, inputs: Inputs, role: Role = "search"
) -> tuple[TrialRecord, RunLog]:
    """Start the trial's run, or continue the one that an earlier attempt started."""
    folder = context.trial_folder(number)
    if (earlier := _taken_up(folder)) is not None:
        return earlier, context.tracker.resume(earlier.run_id, monitor=True)
    record = replace(_blank_record(cfg, number, overrides, context), dataset=inputs.dataset(cfg), role=role)
    tags = tags_of(context.name, inputs.dataset(cfg), record.config_hash)
    run = start_once(context, folder, run_name(record), parent=context.parent, tags=tags, monitor=True)
    try:
        run.params(plain_config(cfg))
        run.dataset(inputs.dataset(cfg))
        # Last: a trial that has begun is not told of its configuration again.
        record = replace(record, run_id=run.run_id)
        save(folder / BEGUN, record)
    except KeyboardInterrupt:
        run.end("KILLED")
        raise
    return record, run


def _taken_up(folder: Path) -> TrialRecord | None:
    """The record that an earlier process left; the attempt that it was ended in counts as failed."""
    earlier = _begun(folder)
    if earlier is None or not hung(folder):
        return earlier
    limit = earlier.config["study"]["trial_timeout"]
    message = f"no end within study.trial_timeout={limit} s, and its process was ended; traceback.txt says where it was"
    earlier = _failed(earlier, StageError("train", earlier.model, message), folder)
    (folder / EVIDENCE).replace(folder / "traceback.txt")
    save(folder / BEGUN, earlier)
    return earlier


def _begun(folder: Path) -> TrialRecord | None:
    path = folder / BEGUN
    return load(TrialRecord, path) if path.is_file() else None


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


def _attempt(
    cfg: AppConfig,
    record: TrialRecord,
    context: Context,
    inputs: Inputs,
    run: RunLog,
    on_epoch: EpochHook,
    spent: Spent,
) -> TrialRecord:
    """Train and evaluate once; the record that comes back is complete, pruned or failed."""
    history: list[dict[str, float]] = []
    record = replace(record, state="complete")

    def after_epoch(epoch: int, row: dict[str, float]) -> None:
        history.append({"epoch": float(epoch), **row})
        if epoch > run.last_epoch:
            run.metrics(row, step=epoch)
        _check_time(cfg, spent, begun)
        on_epoch(epoch, row)

    begun = time.perf_counter()
    try:
        return _train_and_evaluate(cfg, record, context, inputs, run, after_epoch, spent)
    except PrunedError:
        return replace(record, state="pruned", history=history)
    except Exception as error:
        stop_if_full(context.folder, error)
        return _failed(replace(record, history=history), error, context.trial_folder(record.trial))


def _check_time(cfg: AppConfig, spent: Spent, begun: float) -> None:
    limit = cfg.study.trial_timeout
    if limit is not None and time.perf_counter() - begun > limit:
        raise StageError("train", cfg.model.name, f"it took longer than study.trial_timeout={limit:g} s")


def _train_and_evaluate(
    cfg: AppConfig,
    record: TrialRecord,
    context: Context,
    inputs: Inputs,
    run: RunLog,
    on_epoch: EpochHook,
    spent: Spent,
) -> TrialRecord:
    folder, dataset, start = context.trial_folder(record.trial), inputs.dataset(cfg), inputs.start(cfg)
    with spent.of("train"):
        result = train(cfg, dataset, start.path, start.note, folder / "train", context.threads, on_epoch)
    record = replace(record, checkpoint=result.checkpoint, history=result.history)
    with spent.of("evaluate"):
        metrics, _ = evaluate_checkpoint(result.checkpoint, dataset, "val", cfg, context, folder)
    record = replace(record, metrics={**record.metrics, **{f"val/{name}": value for name, value in metrics.items()}})
    run.metrics(record.metrics, step=result.checkpoint.epochs + 1)
    _log_training(run, result)
    return record


def _log_training(run: RunLog, result: TrainResult) -> None:
    checkpoint = result.checkpoint
    run.files([Path(checkpoint.path), result.last], "weights")
    run.files(result.files, "training")
    run.tags({"start": checkpoint.start, "weights.sha256": checkpoint.weights_sha256})
    run.metrics({"parameters": checkpoint.parameters, "gflops": checkpoint.gflops, "best_epoch": checkpoint.best_epoch})


def _failed(record: TrialRecord, error: Exception, folder: Path) -> TrialRecord:
    text = redact_text("".join(traceback.format_exception(error)))
    write_text(folder / "traceback.txt", text.encode("utf-8", "replace").decode("utf-8"))
    # The next attempt must not go on from the state that led here.
    shutil.rmtree(folder / "train", ignore_errors=True)
    stage = error.stage if isinstance(error, StageError) else "train"
    message = error.message if isinstance(error, StageError) else f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError):
        message = "out of memory (a smaller batch or imgsz needs less)"
    failure = Failure(stage=stage, target=record.model, kind="error", message=redact_text(message)[:500])
    log.warning("trial %d failed in %s: %s", record.trial, stage, failure.message)
    return replace(record, state="failed", failures=[*record.failures, failure])


def _close(run: RunLog, record: TrialRecord, folder: Path) -> None:
    """Tell MLflow how the trial ended. Doing it twice does no harm."""
    run.metrics({f"seconds/{k}": v for k, v in record.timings_s.items()})
    run.metrics({f"energy_j/{k}": v for k, v in record.energy_j.items()})
    run.files([p for p in (folder / RECORD, folder / "traceback.txt") if p.is_file()], "record")
    run.tags({"state": record.state})
    if record.failures:
        run.tags({"failure": f"{record.failures[-1].stage}: {record.failures[-1].message}"})
    forget_state(folder / "train")  # not before: whoever comes after a kill would have to train again
    run.end(STATUS[record.state])


def settle(record: TrialRecord, context: Context) -> None:
    """Close the run of a finished trial whose process died between saving the record and closing the run."""
    clear_leftovers(context.trial_folder(record.trial))
    forget_state(context.trial_folder(record.trial) / "train")
    if context.tracker.is_open(record.run_id):
        _close(context.tracker.resume(record.run_id), record, context.trial_folder(record.trial))


def refuse_trial(
    cfg: AppConfig,
    number: int,
    overrides: list[str],
    context: Context,
    inputs: Inputs,
    *,
    state: State,
    reason: str,
    known: Mapping[str, float] | None = None,
) -> TrialRecord:
    """Record a trial that is not trained, because it could not win.

    Args:
        cfg: of this trial.
        number: of this trial, from 0.
        overrides: what the sweep set for it, as typed.
        context: what the trials of a sweep share.
        inputs: datasets and starting weights.
        state: infeasible (it breaks a constraint) or pruned.
        reason: for the record and the report.
        known: metrics that are known without training.
    """
    context.trial_folder(number).mkdir(parents=True, exist_ok=True)
    record, run = _begin(cfg, number, overrides, context, inputs)
    failure = Failure("study", record.model, "refused", reason)
    record = replace(record, state=state, metrics=dict(known or {}), failures=[failure], finished_at=now())
    save(context.trial_folder(number) / RECORD, record)
    run.metrics(record.metrics)
    _close(run, record, context.trial_folder(number))
    return record


def begun_as(context: Context, role: Role) -> Iterator[tuple[tuple[str, int], int]]:
    """((config_id, seed), number) of every trial of a role that has begun."""
    for path in sorted(context.folder.glob(f"trials/*/{BEGUN}")):
        record = load(TrialRecord, path)
        if record.role == role:
            yield (record.config_id, record.seed), record.trial


def save_lost(number: int, context: Context) -> None:
    """Record a trial whose worker died again and again without finishing an epoch."""
    folder = context.trial_folder(number)
    earlier = _taken_up(folder)
    if earlier is None:
        return
    failure = Failure("train", earlier.model, "error", "its worker process died again and again (out of memory?)")
    failures = earlier.failures or [failure]
    record = replace(earlier, state="failed", failures=failures, finished_at=now())
    save(folder / RECORD, record)
    _close(context.tracker.resume(record.run_id), record, folder)


def settled(context: Context, number: int) -> TrialRecord | None:
    """The record of a trial that is finished, its run closed; None when it is still to be done."""
    if (done := finished(context, number)) is not None:
        settle(done, context)
    return done


def finished(context: Context, number: int) -> TrialRecord | None:
    """The record of a trial that is finished."""
    path = context.trial_folder(number) / RECORD
    return load(TrialRecord, path) if path.is_file() else None
