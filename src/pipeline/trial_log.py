"""What is written of a trial: when it begins, when it is finished, and when a dead process left it half-way.

`begun.json` says which MLflow run a later attempt continues. `record.json` is written last and atomically: a trial that
has one is finished, whatever became of its run.
"""

from __future__ import annotations

import logging
import shutil
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from src.common.errors import StageError, is_out_of_memory
from src.common.redaction import redact, redact_text
from src.common.whole_files import write_text
from src.config.schema import identity, plain_config
from src.machine.environment import environment
from src.models.base import family
from src.pipeline import resource_use
from src.pipeline.context import Context, now, tags_of
from src.pipeline.leftovers import clear_leftovers
from src.pipeline.one_trial import Trial
from src.pipeline.runs import start_once
from src.pipeline.watchdog import hung
from src.records.schema import Failure, Role, State, TrialRecord
from src.records.store import load, save
from src.records.sweep_folder import TrialFolder
from src.track import RunLog

log = logging.getLogger(__name__)

STATUS = {"complete": "FINISHED", "pruned": "FINISHED", "infeasible": "FINISHED", "failed": "FAILED"}


def begin(trial: Trial, context: Context) -> tuple[TrialRecord, RunLog]:
    """Start the trial's run, or continue the one that an earlier attempt started."""
    folder = trial.folder
    if (earlier := _taken_up(folder)) is not None:
        return earlier, context.tracker.resume(earlier.run_id, monitor=True)
    record = _blank_record(trial, context)
    tags = tags_of(context.name, trial.dataset, record.config_hash)
    run = start_once(context, folder, run_name(record), parent=context.parent, tags=tags, monitor=True)
    try:
        run.params(plain_config(trial.cfg))
        run.dataset(trial.dataset)
        # Last: a trial that has begun is not told of its configuration again.
        record = replace(record, run_id=run.run_id)
        save(TrialFolder(folder).begun, record)
    except KeyboardInterrupt:
        run.end("KILLED")
        raise
    return record, run


def refuse_trial(trial: Trial, context: Context, *, state: State, reason: str) -> TrialRecord:
    """Record a trial that is not trained, because it could not win.

    Args:
        trial: what would have been trained.
        context: what the trials of a sweep share.
        state: infeasible (it breaks a constraint) or pruned.
        reason: for the record and the report.
    """
    trial.folder.mkdir(parents=True, exist_ok=True)
    record, run = begin(trial, context)
    failure = Failure("study", record.model, "refused", reason)
    record = replace(record, state=state, metrics=dict(trial.known), failures=[failure], finished_at=now())
    save(TrialFolder(trial.folder).record, record)
    run.metrics(record.metrics)
    close(run, record, trial.folder)
    return record


def save_lost(number: int, context: Context) -> None:
    """Record a trial whose worker died again and again without finishing an epoch."""
    folder = context.trial_folder(number)
    earlier = _taken_up(folder)
    if earlier is None:
        return
    failure = Failure("train", earlier.model, "error", "its worker process died again and again (out of memory?)")
    failures = earlier.failures or [failure]
    record = replace(earlier, state="failed", failures=failures, finished_at=now())
    save(TrialFolder(folder).record, record)
    close(context.tracker.resume(record.run_id), record, folder)


def paused_at(context: Context, number: int) -> TrialRecord | None:
    """The record that a paused trial has so far; None when it was never paused."""
    path = context.places.trial(number).paused
    return load(TrialRecord, path) if path.is_file() else None


def give_up(number: int, context: Context) -> None:
    """Make a paused trial one that was pruned; doing it again does no harm."""
    record, folder = paused_at(context, number), context.trial_folder(number)
    if record is None or finished_and_closed(context, number) is not None:
        return
    save(TrialFolder(folder).record, record)
    close(context.tracker.resume(record.run_id), record, folder)


def close_left_open(record: TrialRecord, context: Context) -> None:
    """Close the run of a finished trial whose process died between saving the record and closing the run."""
    clear_leftovers(context.trial_folder(record.trial))
    _forget(record, context.trial_folder(record.trial))
    if context.tracker.is_open(record.run_id):
        close(context.tracker.resume(record.run_id), record, context.trial_folder(record.trial))


def finished_and_closed(context: Context, number: int) -> TrialRecord | None:
    """The record of a trial that is finished, its run closed; None when it is still to be done."""
    if (done := finished(context, number)) is not None:
        close_left_open(done, context)
    return done


def finished(context: Context, number: int) -> TrialRecord | None:
    """The record of a trial that is finished."""
    path = context.places.trial(number).record
    return load(TrialRecord, path) if path.is_file() else None


def begun(context: Context) -> Iterator[TrialRecord]:
    """Every trial that has begun, as its record was then."""
    for folder in context.places.all_trials():
        if folder.begun.exists():
            yield load(TrialRecord, folder.begun)


def numbers_begun(context: Context) -> list[int]:
    """Numbers of the trials that have begun."""
    return [r.trial for r in begun(context)]


def begun_as(context: Context, role: Role) -> Iterator[tuple[tuple[str, int], int]]:
    """((config_id, seed), number) of every trial of a role that has begun."""
    return (((r.config_id, r.seed), r.trial) for r in begun(context) if r.role == role)


def close(run: RunLog, record: TrialRecord, folder: Path) -> None:
    """Tell MLflow how the trial ended. Doing it twice does no harm."""
    run.metrics({f"seconds/{k}": v for k, v in record.timings_s.items()})
    run.metrics({f"energy_j/{k}": v for k, v in record.energy_j.items()})
    run.files([p for p in (TrialFolder(folder).record, TrialFolder(folder).traceback) if p.is_file()], "record")
    run.tags({"state": record.state})
    if record.failures:
        run.tags({"failure": f"{record.failures[-1].stage}: {record.failures[-1].message}"})
    _forget(record, folder)  # not before: whoever comes after a kill would have to train again
    run.end(STATUS[record.state])


def failed(record: TrialRecord, error: Exception, folder: Path) -> TrialRecord:
    """The record of a trial whose attempt failed; what would lead there again is removed from its folder."""
    text = redact_text("".join(traceback.format_exception(error)))
    write_text(TrialFolder(folder).traceback, text.encode("utf-8", "replace").decode("utf-8"))
    # The next attempt must not go on from the state that led here.
    shutil.rmtree(TrialFolder(folder).train, ignore_errors=True)
    stage = error.stage if isinstance(error, StageError) else "train"
    message = error.message if isinstance(error, StageError) else f"{type(error).__name__}: {error}"
    if is_out_of_memory(error):
        message = "out of memory (a smaller batch or imgsz needs less)"
    failure = Failure(stage=stage, target=record.model, kind="error", message=redact_text(message)[:500])
    log.warning("trial %d failed in %s: %s", record.trial, stage, failure.message)
    return replace(record, state="failed", failures=[*record.failures, failure])


def _forget(record: TrialRecord, folder: Path) -> None:
    """Remove what only an unfinished trial needs."""
    model = record.config.get("model", {})
    family(model.get("family", "ultralytics")).forget_state(TrialFolder(folder).train)
    resource_use.forget(folder)
    TrialFolder(folder).paused.unlink(missing_ok=True)


def _taken_up(folder: Path) -> TrialRecord | None:
    """The record that an earlier process left; the attempt that it was ended in counts as failed."""
    earlier = _begun(folder)
    if earlier is None or not hung(folder):
        return earlier
    limit = earlier.config["study"]["trial_timeout"]
    message = f"no end within study.trial_timeout={limit} s, and its process was ended; traceback.txt says where it was"
    earlier = failed(earlier, StageError("train", earlier.model, message), folder)
    (TrialFolder(folder).hang).replace(TrialFolder(folder).traceback)
    save(TrialFolder(folder).begun, earlier)
    return earlier


def _begun(folder: Path) -> TrialRecord | None:
    path = TrialFolder(folder).begun
    return load(TrialRecord, path) if path.is_file() else None


def _blank_record(trial: Trial, context: Context) -> TrialRecord:
    cfg = trial.cfg
    return TrialRecord(
        sweep=context.name,
        trial=trial.number,
        state="complete",
        model=cfg.model.name,
        imgsz=cfg.imgsz,
        lr=cfg.lr,
        seed=cfg.seed,
        overrides=trial.overrides,
        dataset=trial.dataset,
        role=trial.role,
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
