"""A sweep from request to report: trials, finalists, decision.

Everything finished is on disk as soon as it is: the same command goes on where an earlier one stopped, and returns at
once when nothing is left to do.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from src.config import AppConfig, identity, plain_config
from src.console import Watch
from src.environment import command_line
from src.errors import EXIT_FAILED, EXIT_OK, UserError
from src.pipeline.context import Context, Inputs, closing, now, open_context, prepare, tags_of, threads_of
from src.pipeline.finalist import OBJECTIVE, choose, run_finalists, test_replicates
from src.pipeline.trial import finished, run_trial
from src.records import SweepRecord, TrialRecord, hash_of, load, save
from src.redact import redact, redact_text
from src.sweeper.space import Space, check_space, overrides_of
from src.sweeper.study import Cell, Study
from src.track import RunLog

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SweepRequest:
    """What `-m` asked for."""

    base: AppConfig  # what all trials share, with the first cell's values
    space: Space
    sampler: Mapping[str, Any]
    n_trials: int | None  # trainings; None = every combination once
    study: str | None  # name of the file in sweeps/
    compose: Callable[[list[str]], AppConfig]

    @property
    def kind(self) -> str:
        """Grid or study."""
        return "grid" if self.n_trials is None else "study"

    def identity(self) -> str:
        """Hash of everything that decides what is trained: the same command has the same identity."""
        swept = tuple(key.split(".")[0] for key in self.space.words)
        shared = identity(self.base, without=tuple(k for k in swept if k in ("imgsz", "lr", "seed", "epochs", "batch")))
        sampler = dict(self.sampler) if self.n_trials else {}
        return hash_of([shared, self.space.words, sampler, self.n_trials])

    def name(self) -> str:
        """The sweep's name: as configured, else made from the study, the data and the identity."""
        return self.base.sweep or f"{self.study or 'grid'}-{self.base.data.name}-{self.identity()[:6]}"


def run_sweep(request: SweepRequest) -> int:
    """Run or continue a sweep, and write its report.

    Returns:
        The contract's exit code.

    Raises:
        UserError: something is wrong that training could not mend; nothing has been trained.
    """
    cfg, name = request.base, request.name()
    threads = threads_of(cfg)
    folder = Path(cfg.outputs) / "sweeps" / name
    earlier = _earlier(folder, request)
    inputs = prepare(_distinct(request))
    context = open_context(cfg, name, folder, threads)
    record = _open(request, context, inputs, earlier)
    context = replace(context, parent=record.run_id)
    with closing(context, record.run_id) as run:
        records = _run_trials(request, context, inputs)
        survivors = [r for r in records if r.state == "complete"]
        if survivors:
            _finalise(request, records, context, inputs)
        record = replace(record, finished_at=now())
        save(folder / "sweep.json", record)
        if cfg.study.report:
            _report(cfg, folder, run)
    return _code(survivors)


def _distinct(request: SweepRequest) -> list[AppConfig]:
    """A configuration for every distinct model and dataset that is swept: their inputs are checked before training."""
    distinct: dict[str, AppConfig] = {}

    def compose(words: list[str]) -> AppConfig:
        cfg = request.compose(words)
        distinct.setdefault(repr((cfg.model, cfg.data, cfg.device)), cfg)
        return cfg

    check_space(request.space, compose)
    return list(distinct.values())


def _earlier(folder: Path, request: SweepRequest) -> SweepRecord | None:
    """The record of an earlier run of the same sweep.

    Raises:
        UserError: the name is taken by a sweep that trains something else.
    """
    path = folder / "sweep.json"
    if not path.is_file():
        return None
    record = load(SweepRecord, path)
    if record.identity != request.identity():
        raise UserError(
            "a sweep of this name exists, and it trains something else",
            value=record.sweep,
            remedy=f"another name (sweep=…), or remove {folder}",
        )
    return record


def _open(request: SweepRequest, context: Context, inputs: Inputs, earlier: SweepRecord | None) -> SweepRecord:
    cfg = request.base
    decision = asdict(cfg.decision)
    if earlier is not None:
        record = replace(earlier, decision=decision, finished_at="")
        save(context.folder / "sweep.json", record)
        return record
    tags = {**tags_of(context.name, inputs.dataset(cfg), request.identity()), "kind": request.kind}
    run = context.tracker.start(context.name, tags=tags)
    run.params({**plain_config(cfg), "sweep": context.name, "space": request.space.words})
    run.dataset(inputs.dataset(cfg))
    record = SweepRecord(
        sweep=context.name,
        kind=request.kind,
        command=redact_text(command_line()),
        run_id=run.run_id,
        identity=request.identity(),
        space=redact(request.space.words),
        n_trials=_n_trials(request),
        objective=OBJECTIVE,
        decision=decision,
        started_at=now(),
    )
    save(context.folder / "sweep.json", record)
    return record


def _n_trials(request: SweepRequest) -> int:
    """Trainings that the sweep will run."""
    size, seeds = request.space.size(), max(len(request.space.seeds), 1)
    everything = size * seeds if size is not None else None
    return min(n for n in (request.n_trials, everything) if n is not None)


def _run_trials(request: SweepRequest, context: Context, inputs: Inputs) -> list[TrialRecord]:
    """Run every trial that has no record yet; tell the study what each configuration was worth."""
    n_trials, seeds = _n_trials(request), request.space.seeds or [request.base.seed]
    budget = None if request.n_trials is None else -(-n_trials // len(seeds))
    study = Study(context.folder / "study.log", request.space, request.sampler, budget)
    records: list[TrialRecord] = []
    with Watch(n_trials, request.base.epochs) as watch:
        watch.say(f"sweep {context.name}: {n_trials} trials, {context.threads} threads, in {context.folder}")
        for cell in study.cells():
            replicates = [
                _run_or_load(request, number, words, context, inputs, watch)
                for number, words in _replicates(request, cell, seeds, n_trials)
            ]
            records += replicates
            study.tell(cell, [r.metrics[OBJECTIVE] for r in replicates if r.state == "complete"])
            _check_failures(request.base, records)
    return records


def _replicates(request: SweepRequest, cell: Cell, seeds: list[int], n_trials: int) -> Iterator[tuple[int, list[str]]]:
    for i, seed in enumerate(seeds):
        number = cell.index * len(seeds) + i
        if number < n_trials:
            yield number, [*overrides_of(cell.params), *([f"seed={seed}"] if request.space.seeds else [])]


def _run_or_load(
    request: SweepRequest, number: int, words: list[str], context: Context, inputs: Inputs, watch: Watch
) -> TrialRecord:
    if (done := finished(context, number)) is not None:
        watch.skip()
        return done
    cfg = request.compose(request.space.fixed + words)
    watch.trial(number, " ".join(words))
    record = run_trial(cfg, number, words, context, inputs, watch.epoch)
    watch.finish(outcome(record), epochs_run=len(record.history))
    return record


def outcome(record: TrialRecord) -> str:
    """One line on how a trial ended."""
    head = f"trial {record.trial} · {' '.join(record.overrides)}"
    if record.state == "failed":
        return f"{head}: FAILED in {record.failures[-1].stage}: {record.failures[-1].message}"
    seconds = sum(record.timings_s.values())
    return f"{head}: val mAP50-95 {record.metrics[OBJECTIVE]:.3f} in {seconds:.0f} s"


class FailureLimitError(Exception):
    """More trials failed than `study.max_failures` allows."""


def _check_failures(cfg: AppConfig, records: list[TrialRecord]) -> None:
    failed = sum(r.state == "failed" for r in records)
    if cfg.study.max_failures is not None and failed > cfg.study.max_failures:
        raise FailureLimitError(f"{failed} trials failed, more than study.max_failures={cfg.study.max_failures} allows")


def _finalise(request: SweepRequest, records: list[TrialRecord], context: Context, inputs: Inputs) -> None:
    """Run the finalist stage, unless an earlier run finished it with the same settings."""
    finalists = choose(records, request.base.decision.finalists)
    key = hash_of(
        [[r.trial for r in finalists], *(plain_config(request.base)[k] for k in ("export", "runtime", "benchmark"))]
    )
    marker = context.folder / "finalists.key"
    if marker.is_file() and marker.read_text() == key:
        return

    def config_of(record: TrialRecord) -> AppConfig:
        return request.compose(request.space.fixed + record.overrides)

    watch = Watch(0, 0)
    run_finalists([(r, config_of(r)) for r in finalists], context, inputs, watch.say)
    test_replicates(finalists, records, config_of, context, inputs)
    marker.write_text(key)


def _report(cfg: AppConfig, folder: Path, run: RunLog) -> None:
    from src.report import load_ranking, print_summary, write_report

    document = write_report(folder, Path(cfg.reports))
    ranking = load_ranking(folder)
    print_summary(ranking)
    run.folder(document.parent, "report")
    decision = json.loads(document.with_suffix(".json").read_text(encoding="utf-8"))
    run.tags({"verdict": decision["verdict"], "recommended": json.dumps(decision["recommended"])[:5000]})
    if ranking.configurations:
        run.metrics({"best/val/mAP50-95": ranking.configurations[0].spread.mean})
    Watch(0, 0).say(f"decision: {document}")


def _code(survivors: list[TrialRecord]) -> int:
    if not survivors:
        log.error("no trial survived; the reasons are in the report and in outputs/sweeps/*/trials/*/traceback.txt")
        return EXIT_FAILED
    return EXIT_OK
