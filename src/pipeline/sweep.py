"""A sweep from request to report: trials, finalists, decision.

Everything finished is on disk as soon as it is: the same command goes on where an earlier one stopped, and returns at
once when nothing is left to do. Given twice at the same time, here or on another machine that shares the folder, both
work on the same study.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from src.cli.progress import Watch
from src.common.errors import EXIT_OK, StageError, UserError
from src.common.redaction import redact, redact_text
from src.common.whole_files import locked
from src.config.schema import AppConfig, plain_config
from src.config.training import Training
from src.data import picture_files, report_files
from src.machine.environment import command_line
from src.pipeline.architecture_cost import Costs, check_costs, measure_ahead
from src.pipeline.context import (
    HURRY_S,
    Context,
    Inputs,
    now,
    open_context,
    prepare,
    tags_of,
    threads_of,
    tracking,
    worker_number,
)
from src.pipeline.exchange import Alone, Exchange, open_exchange
from src.pipeline.export_rehearsal import rehearse_export
from src.pipeline.finish import finish
from src.pipeline.ineffective_keys import refuse_ineffective_keys
from src.pipeline.launcher_job import leave_with_parent
from src.pipeline.launcher_workers import run_launched
from src.pipeline.local_workers import Worker, await_sweep, run_workers, started_early
from src.pipeline.plan import plan_sweep
from src.pipeline.request import SweepRequest
from src.pipeline.runs import closing, start_once
from src.pipeline.side_by_side import workers_of
from src.pipeline.study_trials import CellRunner, all_records
from src.pipeline.trial_pictures import Waiting, draw_missing
from src.pipeline.until_decided import check_until
from src.records.schema import DatasetRef, SweepRecord
from src.records.store import load, save
from src.records.sweep_folder import SweepFolder
from src.sweeper.loop import work
from src.sweeper.pruner import make_pruner
from src.sweeper.sampler import make_sampler
from src.sweeper.space import check_space
from src.sweeper.storage import STUDY, open_storage
from src.sweeper.study import Study
from src.track.protocol import RunLog

log = logging.getLogger(__name__)


def run_sweep(request: SweepRequest) -> int:
    """Run or continue a sweep, and write its report.

    Returns:
        The contract's exit code.

    Raises:
        UserError: something is wrong that training could not mend; nothing has been trained.
    """
    cfg, folder = request.base, request.folder
    threads = threads_of(cfg)
    if worker_number() is not None:
        leave_with_parent()
    elif request.launcher is not None:
        request.launcher.check(cfg.study.gpus)
    _check_earlier(folder, request)
    check_costs(request)
    check_until(request)
    exchange = open_exchange(request)
    make_sampler(request.sampler, request.space)
    journal = SweepFolder(folder).journal
    with readable(request, journal):  # one that can't be opened is told before there is a sweep in it
        if cfg.study.storage is not None or journal.is_file():
            open_storage(cfg.study.storage, journal)
    distinct, trainings = distinct_of(request)
    inputs = prepare(distinct, trainings)
    refuse_ineffective_keys(request, inputs)
    if worker_number() is None:  # who started the workers has checked it
        rehearse_export(distinct, inputs)
    if cfg.plan:
        return plan_sweep(request, inputs, threads)
    if worker_number() is not None:
        await_sweep(request)
        return _opened(request, inputs, threads, exchange, [])
    with started_early(request, workers_of(request, threads), threads) as early:
        return _opened(request, inputs, threads, exchange, early)


def _opened(request: SweepRequest, inputs: Inputs, threads: int, exchange: Exchange, early: Sequence[Worker]) -> int:
    context = replace(open_context(request.base, request.name(), request.folder, threads), exchange=exchange)
    with tracking(context, 60.0 if worker_number() is None else HURRY_S):
        return _run(request, context, inputs, early)


def _run(request: SweepRequest, context: Context, inputs: Inputs, early: Sequence[Worker]) -> int:
    cfg, folder = request.base, context.folder
    measure_ahead(request, Costs(request, context, inputs), Watch(0, 0).say)
    with locked(SweepFolder(folder).open_lock):
        context.exchange.take_part(inputs.fingerprints())
        context.exchange.fetch_sweep(request.identity())
        record = _open(request, context, inputs)
    context = replace(context, parent=record.run_id)
    if worker_number() is not None:
        _work(request, _laid_out(request, folder), context, inputs)
        return EXIT_OK
    with closing(context, record.run_id) as run:
        context.exchange.send_all()
        study = _laid_out(request, folder)
        if request.launcher is not None:
            run_launched(request, study, context, request.launcher)
        # A training that hangs is ended with its process: somebody else must be there to go on.
        elif (workers := workers_of(request, context.threads)) > 1 or cfg.study.trial_timeout is not None:
            run_workers(request, study, context, workers, early)
        else:
            _work(request, study, context, inputs)
        if isinstance(context.exchange, Alone):
            draw_missing(all_records(context.folder), request, context, inputs)
        _log_pictures(run, inputs.dataset(cfg))
        if not (cfg.study.decide and context.exchange.decides()):
            return EXIT_OK
        _gather(request, study, context)
        return finish(request, context, inputs, run)


def _log_pictures(run: RunLog, dataset: DatasetRef) -> None:
    """Log the dataset's pictures: a second of drawing, which the first training need not wait for."""
    try:
        run.files([Path(name) for name in picture_files(dataset)], "data")
    except UserError as error:  # it is gone by now; what was trained on it stands
        log.warning("no pictures of the dataset: %s", error)


def _gather(request: SweepRequest, study: Study, context: Context) -> None:
    """Have every trial here that other machines trained.

    Raises:
        StageError: one that the study has a value of is nowhere to be had.
    """
    context.exchange.fetch_all()
    seeds = len(request.seeds)
    wanted = (slot * seeds + i for slot in study.complete() for i in range(seeds))
    missing = [n for n in wanted if n < request.trials() and not context.places.trial(n).record.is_file()]
    if missing and request.base.store is not None:
        numbers = ", ".join(map(str, missing[:20]))
        raise StageError("fetch", context.name, f"the store lacks trials that were trained elsewhere: {numbers}")


def _laid_out(request: SweepRequest, folder: Path) -> Study:
    """The study with every slot laid out.

    Raises:
        UserError: what an earlier run kept of it is damaged.
    """
    with readable(request, SweepFolder(folder).journal), locked(SweepFolder(folder).open_lock):
        study = _study(request, folder)
        study.lay_out()
    return study


@contextlib.contextmanager
def readable(request: SweepRequest, journal: Path) -> Iterator[None]:
    """Tell of a damaged study as what it is.

    Raises:
        UserError: what was kept of it can't be understood.
    """
    try:
        yield
    # Optuna reads its journal line by line and trusts every one; each kind of damage fails in its own way.
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, AssertionError, RecursionError) as error:
        kept = redact_text(request.base.study.storage or str(journal))
        remedy = f"remove {kept}; trials that have a record are not trained again"
        raise UserError(f"the study can't be read ({type(error).__name__})", value=kept, remedy=remedy) from error


def _study(request: SweepRequest, folder: Path) -> Study:
    cfg = request.base
    url = cfg.study.storage
    return Study(
        open_storage(url, SweepFolder(folder).journal),
        request.space,
        request.sampler,
        request.configurations(),
        pruner=make_pruner(cfg.study, cfg.epochs) if request.halving is None else None,
        halving=request.halving,
        maximize=[o.maximize for o in request.goals.objectives],
        name=STUDY if url is None else request.name(),
    )


def distinct_of(request: SweepRequest) -> tuple[list[AppConfig], list[Training]]:
    """What is checked before training: a configuration for each distinct model and dataset, each cell's training."""
    distinct: dict[str, AppConfig] = {}
    trainings: dict[str, Training] = {}

    def compose(words: list[str]) -> AppConfig:
        cfg = request.compose(words)
        distinct.setdefault(repr((cfg.model, cfg.data, cfg.device)), cfg)
        trainings.setdefault(repr(cfg.training), cfg.training)
        return cfg

    check_space(request.space, compose)
    return list(distinct.values()), list(trainings.values())


def _check_earlier(folder: Path, request: SweepRequest) -> None:
    """Refuse a name that is taken by a sweep that trains something else."""
    path = SweepFolder(folder).record
    if os.path.lexists(path) and load(SweepRecord, path).identity != request.identity():
        raise UserError(
            "a sweep of this name exists, and it trains something else",
            value=request.name(),
            remedy=f"another name (sweep=…), or remove {folder}",
        )


def _open(request: SweepRequest, context: Context, inputs: Inputs) -> SweepRecord:
    """The sweep's record and its parent run: those of an earlier start, or new ones."""
    cfg, path = request.base, context.places.record
    decision = asdict(cfg.decision)
    if os.path.lexists(path):
        context.exchange.agree()
        record = load(SweepRecord, path)
        if worker_number() is None and record.decision != decision:
            record = replace(record, decision=decision)
            save(path, record)
        return record
    tags = {**tags_of(context.name, inputs.dataset(cfg), request.identity()), "kind": request.kind}
    run = start_once(context, context.folder, context.name, tags=tags)
    try:
        run.params({**plain_config(cfg), "sweep": context.name, "space": request.space.words})
        run.dataset(inputs.dataset(cfg))
        run.files([Path(name) for name in report_files(inputs.dataset(cfg))], "data")
        record = _save_request(request, run.run_id, path)
    except KeyboardInterrupt:
        run.end("KILLED")
        raise
    if context.exchange.agree():
        return record
    run.end("KILLED")  # another machine was quicker: its run is everybody's
    return load(SweepRecord, path)


def _save_request(request: SweepRequest, run_id: str, path: Path) -> SweepRecord:
    """Keep what was asked for; from now on the sweep exists."""
    record = SweepRecord(
        sweep=request.name(),
        kind=request.kind,
        command=redact_text(command_line()),
        run_id=run_id,
        identity=request.identity(),
        space=redact(request.space.words),
        n_trials=request.trials(),
        objective=request.goals.selects,
        goals=request.goals.words(),
        decision=asdict(request.base.decision),
        halving=request.halving.plain(request.different()) if request.halving else {},
        started_at=now(),
    )
    save(path, record)
    return record


def _work(request: SweepRequest, study: Study, context: Context, inputs: Inputs) -> None:
    """Take part in the study until nothing of it is left."""
    with Watch(request.trials(), request.base.epochs, minutes=request.base.training.minutes) as watch:
        watch.say(f"sweep {context.name}: {request.trials()} trials, {context.threads} threads, in {context.folder}")
        pictures, costs = Waiting(context), Costs(request, context, inputs)
        # To machines that share no folder a trial is sent whole, when it ends.
        wait = worker_number() is not None and isinstance(context.exchange, Alone)
        runner = CellRunner(request, context, inputs, watch, costs, pictures_wait=wait, on_trained=pictures.note)

        def idle(seconds: float) -> None:
            if not pictures.draw_one():
                time.sleep(seconds)

        work(study, runner.run, on_lost=runner.lost, on_given_up=runner.give_up, idle=idle)
        pictures.draw_all()
