"""`python -m src.run`: one trial with all its stages, and a table.

Its folder is new at every call (`outputs/runs/<time>-…`), because someone who repeats a single run wants to see it
run. The test split stays closed: one trial is no finalist.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from src.cli.progress import Watch
from src.common.errors import EXIT_FAILED, EXIT_OK, UserError
from src.common.redaction import redact_text
from src.config.schema import AppConfig, identity
from src.machine.environment import command_line
from src.pipeline.context import Context, Inputs, now, open_context, prepare, threads_of, tracking
from src.pipeline.export_rehearsal import rehearse_export
from src.pipeline.finalist import run_finalists
from src.pipeline.one_trial import trial_of
from src.pipeline.request import OBJECTIVE
from src.pipeline.study_trials import outcome
from src.pipeline.trial import run_trial
from src.pipeline.watchdog import attended
from src.records.schema import SweepRecord
from src.records.store import save
from src.records.sweep_folder import SweepFolder, runs_folder


def run_single(cfg: AppConfig) -> int:
    """Run one trial.

    Returns:
        The contract's exit code.

    Raises:
        UserError: the configuration or the data is wrong; nothing has been trained.
    """
    if cfg.plan:
        raise UserError("plan=true plans a sweep", value="no -m", remedy="python -m src.run -m … plan=true")
    name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{cfg.model.name}-{cfg.imgsz}-{identity(cfg)[:4]}"
    folder = runs_folder(Path(cfg.outputs)) / name
    if cfg.study.trial_timeout is not None:
        return attended(lambda: _open_and_run(cfg, folder), SweepFolder(folder).trial(0).path)
    return _open_and_run(cfg, folder)


def _open_and_run(cfg: AppConfig, folder: Path) -> int:
    threads = threads_of(cfg)
    inputs = prepare([cfg])
    rehearse_export([cfg], inputs)
    context = open_context(cfg, folder.name, folder, threads)
    with tracking(context):
        return _run(cfg, context, inputs)


def _run(cfg: AppConfig, context: Context, inputs: Inputs) -> int:
    started = now()
    with Watch(1, cfg.epochs, minutes=cfg.training.minutes) as watch:
        watch.trial(0, f"{cfg.model.name} {cfg.imgsz} px lr={cfg.lr:g} seed={cfg.seed}")
        record = run_trial(trial_of(0, [], cfg, context, inputs), context, watch.epoch)
        watch.finish(outcome(record), epochs_run=len(record.history))
    save(context.places.record, frame_of(cfg, context.name, record.run_id, started))
    if record.state != "complete":
        return EXIT_FAILED
    run_finalists([(record, cfg)], context, inputs, watch.say)
    context.tracker.deliver(context.folder)
    from src.report import load_decision, print_summary

    print_summary(load_decision(context.folder))
    watch.say(f"records: {context.folder}")
    return EXIT_OK


def frame_of(cfg: AppConfig, name: str, run_id: str, started: str) -> SweepRecord:
    """The frame that tables read a folder of one trial by, as a sweep has it."""
    return SweepRecord(
        sweep=name,
        kind="single",
        command=redact_text(command_line()),
        run_id=run_id,
        identity=identity(cfg),
        space={},
        n_trials=1,
        objective=OBJECTIVE,
        decision=asdict(cfg.decision),
        started_at=started,
        finished_at=now(),
    )
