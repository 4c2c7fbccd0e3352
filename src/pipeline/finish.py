"""The end of a sweep: the best are confirmed with fresh seeds, exported, judged on test and measured; then a report."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

from src.config import AppConfig, plain_config
from src.console import Watch
from src.errors import EXIT_FAILED, EXIT_OK
from src.evaluate import evaluate_sweep
from src.pipeline.accuracy import regroup
from src.pipeline.cells import all_records
from src.pipeline.confirm import confirm, shipped
from src.pipeline.context import Context, Inputs, locked, now
from src.pipeline.evaluations import log_evaluations
from src.pipeline.finalist import run_finalists, test_replicates
from src.pipeline.leftovers import clear_sweep
from src.pipeline.request import SweepRequest
from src.pipeline.selection import choose
from src.pipeline.spent import Spent
from src.records import SweepRecord, TrialRecord, hash_of, load, save, write_text
from src.track import RunLog

log = logging.getLogger(__name__)


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
    with locked(context.folder / "finish.lock"):
        clear_sweep(context.folder, Path(request.base.reports) / context.name)
        records = [r for r in all_records(context.folder) if r.role == "search"]
        record = load(SweepRecord, context.folder / "sweep.json")
        if any(r.state == "complete" for r in records):
            confirmed = confirm(request, records, context, inputs)
            regroup(request.base, inputs.dataset(request.base), context)
            record = _finalise(request, record, [*records, *confirmed], context, inputs)
        save(context.folder / "sweep.json", replace(record, finished_at=record.finished_at or now()))
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
    """Run the finalist stage, unless an earlier run finished it with the same settings.

    Returns:
        The sweep's record, with the opening of the test split noted.
    """
    finalists = shipped(choose(records, request.base.decision.finalists, request.goals), records)
    plain = plain_config(request.base)
    key = hash_of([[r.trial for r in finalists], plain["export"], plain["runtime"], plain["benchmark"]])
    begun, done = context.folder / "finalists.begun", context.folder / "finalists.key"
    if _content(done) == key:
        evaluate_sweep(context.folder)  # what is known is read; other groups of images are other intervals
        return record
    # Test is opened once. A stage that was cut off goes on under its own opening; another one needs `decision.reopen`.
    own, _, when = _content(begun).partition(" ")
    test = own == key or not record.test_openings or request.base.decision.reopen
    if test and own != key:
        when = now()
        write_text(begun, f"{key} {when}")
    if test and when and when not in record.test_openings:  # the note comes second: a kill between must not close test
        record = replace(record, test_openings=[*record.test_openings, when])
        save(context.folder / "sweep.json", record)

    def config_of(trial: TrialRecord) -> AppConfig:
        return request.config_of(trial.overrides)

    watch = Watch(0, 0)
    if not test:
        watch.say("test stays closed: it was opened for these trials before (decision.reopen=true opens it again)")
    # Other finalists or artifacts later on add to what the sweep cost.
    spent = Spent(request.base.device != "cpu", dict(record.timings_s), dict(record.energy_j))
    with spent.of("finalists"):
        run_finalists([(r, config_of(r)) for r in finalists], context, inputs, watch.say, test=test)
        if test:
            test_replicates(finalists, records, config_of, context, inputs)
        log_evaluations(evaluate_sweep(context.folder, say=watch.say), context)
    record = replace(record, timings_s=spent.seconds, energy_j=spent.joules)
    save(context.folder / "sweep.json", record)
    write_text(done, key)
    return record


def _content(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _report(cfg: AppConfig, context: Context, run: RunLog) -> None:
    from src.report import Options, load_decision, print_summary, write_report

    document = write_report(context.folder, Path(cfg.reports), Options(language=cfg.report.language))
    ranking = load_decision(context.folder)
    print_summary(ranking)
    run.folder(document.parent, "report")
    decision = json.loads(document.with_suffix(".json").read_text(encoding="utf-8"))
    run.tags({"verdict": decision["verdict"], "recommended": json.dumps(decision["recommended"])[:5000]})
    if ranking.configurations:
        run.metrics({"best/val/mAP50-95": ranking.configurations[0].spread.mean})
    Watch(0, 0).say(f"decision: {document}")
