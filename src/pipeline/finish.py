"""The end of a sweep: the best are confirmed, exported and measured; the choice is judged on test; then a report."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

from src.cli.progress import Watch
from src.common.errors import EXIT_FAILED, EXIT_OK
from src.common.hashes import hash_of
from src.common.whole_files import locked, write_text
from src.config.schema import AppConfig, plain_config
from src.decide.choice import decide
from src.decide.load import load_sweep
from src.evaluate import evaluate_sweep
from src.pipeline.accuracy import regroup
from src.pipeline.confirm import confirm, shipped
from src.pipeline.context import Context, Inputs, now
from src.pipeline.evaluations import log_evaluations
from src.pipeline.finalist import run_finalists
from src.pipeline.judge_on_test import begun, content, judge, key_of, log_judged, subjects_of
from src.pipeline.leftovers import clear_sweep
from src.pipeline.request import SweepRequest
from src.pipeline.resource_use import ResourceUse
from src.pipeline.selection import choose
from src.pipeline.study_trials import all_records
from src.pipeline.until_decided import until_decided
from src.records.schema import SweepRecord, TrialRecord
from src.records.store import load, save
from src.track import RunLog

log = logging.getLogger(__name__)

MEASURED = "finalists.measured"  # which finalists were measured, and with which settings
OPENED, CLOSED = "opened", "closed"


def finish(request: SweepRequest, context: Context, inputs: Inputs, run: RunLog) -> int:
    """Confirmation, finalists and report. One process does it; others that worked on the sweep find it done.

    Args:
        request: of the sweep.
        context: of the sweep.
        inputs: datasets and starting weights.
        run: the parent run.

    Returns:
        The contract's exit code.
    """
    with locked(context.places.finish_lock):
        clear_sweep(context.folder, Path(request.base.reports) / context.name)
        records = [r for r in all_records(context.folder) if r.role == "search"]
        record = load(SweepRecord, context.places.record)
        if any(r.state == "complete" for r in records):
            confirmed = confirm(request, records, context, inputs)
            regroup(request.base, inputs.dataset(request.base), context)
            record = _finalise(request, record, [*records, *confirmed], context, inputs)
        save(context.places.record, replace(record, finished_at=record.finished_at or now()))
        context.tracker.deliver(context.folder)
        if request.base.study.report:
            _report(request.base, context, run)
    if any(r.state == "complete" for r in records):
        return EXIT_OK
    log.error("no trial survived; the reasons stand in the report and in %s/trials/*/traceback.txt", context.folder)
    return EXIT_FAILED


def _finalise(
    request: SweepRequest, record: SweepRecord, records: list[TrialRecord], context: Context, inputs: Inputs
) -> SweepRecord:
    """Measure the finalists on val, decide, and judge what was decided on test; what an earlier run did is kept.

    Returns:
        The sweep's record, with the opening of the test split noted.
    """
    watch = Watch(0, 0)
    # Other finalists or artifacts later on add to what the sweep cost.
    used = ResourceUse(request.base.device != "cpu", dict(record.timings_s), dict(record.energy_j))
    record = _measure(request, record, records, context, inputs, watch, used)
    record = until_decided(request, record, context, inputs)
    decision = decide(load_sweep(context.folder), request.base.decision)
    done = context.places.finalists_key
    key = key_of(subjects_of(decision), decision.saved.finalists)
    may_open = decision.settings.reopen or begun(context.folder, key)
    if content(done) == f"{key} {OPENED}" or (content(done) == f"{key} {CLOSED}" and not may_open):
        return record
    with used.of("finalists"):
        record, judged = judge(decision, record, lambda t: request.config_of(t.overrides), context, inputs, watch.say)
        log_judged(decision, context)
        log_evaluations(evaluate_sweep(context.folder, say=watch.say), context)
    record = _keep(record, used, context)
    write_text(done, f"{key} {OPENED if judged else CLOSED}")
    return record


def _measure(
    request: SweepRequest,
    record: SweepRecord,
    records: list[TrialRecord],
    context: Context,
    inputs: Inputs,
    watch: Watch,
    used: ResourceUse,
) -> SweepRecord:
    """Export, verify on val and measure the finalists, unless an earlier run did so with the same settings."""
    finalists = shipped(choose(records, request.base.decision.finalists, request.goals), records)
    plain = plain_config(request.base)
    settings = [[r.trial for r in finalists], plain["export"], plain["runtime"], plain["benchmark"]]
    decision = request.base.decision
    key = hash_of([*settings, *([decision.max_p99_ms] if decision.min_capacity_rps is not None else [])])
    measured = context.folder / MEASURED
    if content(measured) == key:
        evaluate_sweep(context.folder)  # what is known is read; other groups of images are other intervals
        return record
    with used.of("finalists"):
        run_finalists([(r, request.config_of(r.overrides)) for r in finalists], context, inputs, watch.say)
        evaluate_sweep(context.folder, say=watch.say)
    record = _keep(record, used, context)
    write_text(measured, key)
    return record


def _keep(record: SweepRecord, used: ResourceUse, context: Context) -> SweepRecord:
    """Save what the finalists cost so far."""
    record = replace(record, timings_s=dict(used.seconds), energy_j=dict(used.joules))
    save(context.places.record, record)
    return record


def _report(cfg: AppConfig, context: Context, run: RunLog) -> None:
    from src.report import Options, load_decision, print_summary, write_report

    document = write_report(context.folder, Path(cfg.reports), Options(language=cfg.report.language))
    decision = load_decision(context.folder)
    print_summary(decision)
    run.folder(document.parent, "report")
    told = json.loads(document.with_suffix(".json").read_text(encoding="utf-8"))
    run.tags({"verdict": told["verdict"], "recommended": json.dumps(told["recommended"])[:5000]})
    if decision.configurations:
        run.metrics({"best/val/mAP50-95": decision.configurations[0].spread.mean})
    Watch(0, 0).say(f"decision: {document}")
