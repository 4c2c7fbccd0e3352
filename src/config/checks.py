"""Refuses values that have the right type but make no sense, before anything runs."""

from __future__ import annotations

import math
from pathlib import Path

from src.common import backends
from src.common.errors import UserError
from src.common.licences import check_limit
from src.config.devices import LATENCIES, SCOPES, check_currency, check_device, check_devices
from src.config.export_checks import check_export
from src.config.schema import (
    SAMPLES_FOR,
    AppConfig,
    BenchmarkConfig,
    DecisionConfig,
    StudyConfig,
)
from src.config.strictness import refuse_odd_numbers
from src.config.training_checks import Around, check_recipe
from src.objects.address import parse_address
from src.records.sweep_folder import is_name

BY_EPOCH = ("median", "asha", "hyperband")  # pruners that compare trainings at equal epochs
WHY_NOT = {  # what study.budget=minutes can't be combined with
    "study.pruner": "it compares trainings at equal epochs; threshold and wilcoxon don't",
    "train.workers": "the processor time of loader processes isn't counted",
    "train.resume": "the minutes that the earlier training used are not known",
    "train.keep_state": "a training that ended by the clock has no more epochs to go",
    "device": "on several GPUs nothing comes back before the end",
    "replay": "what ended by the clock won't end there again, bit for bit",
}


def check(cfg: AppConfig) -> None:
    """Refuse values of the right type that make no sense.

    Raises:
        UserError: naming the first offending key, its value and the remedy.
    """
    _check_earlier_keys(cfg)
    _check_numbers(cfg)
    refuse_odd_numbers(cfg)
    _check_names(cfg)
    _check_choices(cfg)
    _check_store(cfg)
    _check_budget(cfg)
    around = Around(cfg.epochs, cfg.batch, cfg.device, cfg.model.weights, pruner=cfg.study.pruner.value)
    check_recipe(cfg.train, cfg.augment, around)


def _check_numbers(cfg: AppConfig) -> None:
    if cfg.imgsz <= 0 or cfg.imgsz % 32:
        lower = max(32, cfg.imgsz // 32 * 32)
        raise UserError(
            "imgsz must be a positive multiple of 32 (the stride of the detectors)",
            value=cfg.imgsz,
            remedy=f"imgsz={lower} or imgsz={lower + 32}",
        )
    if not math.isfinite(cfg.lr) or cfg.lr <= 0:
        raise UserError("lr must be a finite number above 0", value=cfg.lr, remedy="for example lr=0.002")
    at_least = {
        "epochs": (cfg.epochs, 1),
        "batch": (cfg.batch, 1),
        "seed": (cfg.seed, 0),
        "threads": (cfg.threads, 0),
        "data.n_train": (cfg.data.n_train, 1),
        "data.n_val": (cfg.data.n_val, 1),
        "data.n_test": (cfg.data.n_test, 1),
        "data.size": (cfg.data.size, 64),
        "data.seed": (cfg.data.seed, 0),
        "decision.finalists": (cfg.decision.finalists, 1),
        "decision.confirm_seeds": (cfg.decision.confirm_seeds, 0),
        "study.workers": (cfg.study.workers, 0),
        "study.retries": (cfg.study.retries, 0),
        "study.pruner_warmup": (cfg.study.pruner_warmup, 0),
    }
    for key, (value, low) in at_least.items():
        if value < low:
            raise UserError(f"{key} must be at least {low}", value=value, remedy=f"{key}={low} or more")
    _check_rule(cfg.decision)
    _check_until(cfg.study)
    if not 0 <= cfg.decision.nothing_map < 1:
        raise UserError(
            "decision.nothing_map must be an mAP of at least 0 and below 1",
            value=cfg.decision.nothing_map,
            remedy="decision.nothing_map=0.01",
        )
    at_most = {
        "imgsz": (cfg.imgsz, 8192),
        "epochs": (cfg.epochs, 1_000_000),
        "batch": (cfg.batch, 65_536),
        "seed": (cfg.seed, 2**32 - 1),  # what numpy's generator takes
        "data.n_train": (cfg.data.n_train, 1_000_000),
        "data.n_val": (cfg.data.n_val, 1_000_000),
        "data.n_test": (cfg.data.n_test, 1_000_000),
        "data.size": (cfg.data.size, 8192),
        "data.seed": (cfg.data.seed, 2**32 - 1),
        "study.workers": (cfg.study.workers, 256),
        "study.retries": (cfg.study.retries, 1000),
    }
    for key, (value, high) in at_most.items():
        if value > high:
            raise UserError(f"{key} must be at most {high}", value=value, remedy=f"{key}={high} or less")
    check_benchmark(cfg.benchmark)


def check_benchmark(benchmark: BenchmarkConfig) -> None:
    """Refuse an effort that measures nothing or never ends.

    Raises:
        UserError: naming the first offending key, its value and the remedy.
    """
    refuse_odd_numbers(benchmark, "benchmark.")
    limits = {
        "warmup": (0, 1_000_000),
        "min_samples": (1, 10_000_000),
        "min_seconds": (0, 86_400),
        "max_seconds": (0.001, 86_400),
        "rounds": (1, 1000),
        "extra_seconds": (0, 604_800),
    }
    for key, (low, high) in limits.items():
        value = getattr(benchmark, key)
        if not low <= value <= high:
            nearest = low if value < low else high
            raise UserError(
                f"benchmark.{key} must be {low} to {high}", value=value, remedy=f"benchmark.{key}={nearest}"
            )
    if not 0 <= benchmark.precision < 1:
        raise UserError(
            "benchmark.precision must be a share of the latency, at least 0 (no further rounds) and below 1",
            value=benchmark.precision,
            remedy="benchmark.precision=0.05 for 5 %",
        )
    if not benchmark.batches or min(benchmark.batches) < 1:
        raise UserError(
            "benchmark.batches must hold batch sizes of at least 1",
            value=benchmark.batches,
            remedy="benchmark.batches=[1]",
        )


def _check_rule(d: DecisionConfig) -> None:
    """The margin, the confidence, a spread that is stated, and the licences."""
    check_limit(d.licence)
    if not 0 <= d.margin <= 1:
        raise UserError(
            "decision.margin is a difference of mAP50-95 in 0..1", value=d.margin, remedy="decision.margin=0.01"
        )
    if not 0.5 < d.confidence < 1:
        raise UserError(
            "decision.confidence must lie between 0.5 and 1", value=d.confidence, remedy="decision.confidence=0.95"
        )
    if d.seed_sd is not None and not 0 < d.seed_sd < 1:
        raise UserError(
            "decision.seed_sd is a standard deviation of mAP50-95 over seeds, above 0 and below 1",
            value=d.seed_sd,
            remedy="decision.seed_sd=null, or a figure from earlier sweeps",
        )


def _check_until(study: StudyConfig) -> None:
    """`study.until` and what bounds it."""
    _one_of("study.until", [study.until], ["budget", "decided"])
    if study.until == "decided" and study.max_trainings is None and study.max_hours is None:
        raise UserError(
            "study.until=decided needs a bound: a question may stay open however much is trained",
            value="study.max_trainings=null, study.max_hours=null",
            remedy="study.max_trainings=60 (trainings in all), or study.max_hours=8",
        )
    if study.max_trainings is not None and study.max_trainings < 1:
        raise UserError(
            "study.max_trainings must be at least 1", value=study.max_trainings, remedy="study.max_trainings=60"
        )
    if study.max_hours is not None and study.max_hours <= 0:
        raise UserError("study.max_hours must be above 0", value=study.max_hours, remedy="study.max_hours=8")


def _check_store(cfg: AppConfig) -> None:
    """`store`, and what it needs."""
    if cfg.store is None:
        if not cfg.study.decide:
            raise UserError(
                "study.decide=false leaves the decision to another machine, which has the trials from no store",
                value="store=null",
                remedy="store=s3://BUCKET/PREFIX, or study.report=false",
            )
        return
    parse_address(cfg.store, "store")
    if cfg.study.storage is None:
        raise UserError(
            "store is for machines that share no folder, so the study must be in a database that all of them reach",
            value="study.storage=null",
            remedy="study.storage=postgresql+psycopg://USER@HOST/DATABASE (make setup EXTRAS=postgresql)",
        )


def _check_budget(cfg: AppConfig) -> None:
    """`study.budget`, and what can't be had where trainings end by the clock."""
    study = cfg.study
    _one_of("study.budget", [study.budget], ["epochs", "minutes"])
    if study.budget == "epochs":
        if study.minutes is not None:
            raise UserError(
                "study.minutes is set, and the budget is one of epochs",
                value=f"study.minutes={study.minutes:g}",
                remedy="study.budget=minutes, or leave study.minutes out",
            )
        return
    if study.minutes is None or study.minutes <= 0:
        value = "null" if study.minutes is None else f"{study.minutes:g}"
        raise UserError(
            "study.budget=minutes needs the minutes of processor time that each training may use, above 0",
            value=f"study.minutes={value}",
            remedy="study.minutes=5",
        )
    refused = {
        f"study.pruner={study.pruner.value}": study.pruner.value in BY_EPOCH,
        f"train.workers={cfg.train.workers}": cfg.train.workers > 0,
        "train.resume": cfg.train.resume is not None,
        "train.keep_state": cfg.train.keep_state,
        f"device={cfg.device}": "," in cfg.device,
        "replay": cfg.replay is not None,
    }
    for value in (word for word, clashes in refused.items() if clashes):
        raise UserError(
            f"study.budget=minutes can't be combined with {value.partition('=')[0]}",
            value=value,
            remedy=f"leave it out: {WHY_NOT[value.partition('=')[0]]}",
        )


def _check_names(cfg: AppConfig) -> None:
    for key, value in (("sweep", cfg.sweep), ("tracking.experiment", cfg.tracking.experiment)):
        if value is not None and not is_name(value):
            raise UserError(
                f"{key} must be a plain name (letters, digits, '.', '_', '-'; it names a folder)",
                value=value,
                remedy=f"for example {key}=friday-1",
            )


def _check_choices(cfg: AppConfig) -> None:
    _targets("export.targets", cfg.export.targets)
    _one_of("runtime.engines", cfg.runtime.engines, list(backends.RUNTIMES))
    check_export(cfg.export, cfg.benchmark.batches)
    _targets("study.cost_artifact", [cfg.study.cost_artifact])
    _one_of("study.cost_runtime", [cfg.study.cost_runtime], list(backends.RUNTIMES))
    _one_of("decision.latency", [cfg.decision.latency], list(LATENCIES))
    _check_decision(cfg)
    if cfg.model.weights not in ("auto", "scratch") and not Path(cfg.model.weights).is_file():
        raise UserError(
            "model.weights names a file that does not exist",
            value=cfg.model.weights,
            remedy="model.weights=auto, model.weights=scratch or the path of a .pt file",
        )


def _check_decision(cfg: AppConfig) -> None:
    """Refuse a decision that this very configuration could not judge."""
    d = cfg.decision
    check_device(d.device)
    check_devices(d.devices)
    check_currency(d.currency)
    _one_of("decision.scope", [d.scope], list(SCOPES))
    if cfg.tiling is not None and d.scope != "end_to_end":
        raise UserError(
            "with tile a picture takes many calls of the network, so the latency of one call compares nothing",
            value=f"tile={cfg.tile} decision.scope={d.scope}",
            remedy="decision.scope=end_to_end (in a sweep over tile=null,640 too)",
        )
    _one_of("report.language", [cfg.report.language], ["en", "fr"])
    if d.batch not in cfg.benchmark.batches:
        raise UserError(
            "decision.batch is not among benchmark.batches, so nothing would be measured at it",
            value=d.batch,
            remedy=f"decision.batch= one of {cfg.benchmark.batches}, or add it to benchmark.batches",
        )
    if d.runtime is not None:
        _one_of("decision.runtime", [d.runtime], cfg.runtime.engines)
    for key in ("min_capacity_rps", "max_p99_ms", "price_per_hour"):
        value = getattr(d, key)
        if value is not None and not value > 0:
            raise UserError(f"decision.{key} must be above 0", value=value, remedy=f"decision.{key}=100")
    if d.max_latency_ms is not None and cfg.benchmark.min_samples < SAMPLES_FOR.get(d.latency, 0):
        raise UserError(
            f"decision.max_latency_ms limits {d.latency}, which needs {SAMPLES_FOR[d.latency]} samples",
            value=f"benchmark.min_samples={cfg.benchmark.min_samples}",
            remedy="benchmark=standard, or decision.latency=p90",
        )


def _check_earlier_keys(cfg: AppConfig) -> None:
    """One rule has one key: what an export may cost is a limit of the decision."""
    if cfg.export.tolerance is not None:
        loss = max(0.0, 1 - cfg.export.tolerance)
        raise UserError(
            "export.tolerance is gone: what export may cost is decision.max_export_loss, the share that may be lost",
            value=cfg.export.tolerance,
            remedy=f"decision.max_export_loss={loss:.4g}",
        )


def _targets(key: str, values: list[str]) -> None:
    if unknown := [value for value in values if not backends.is_target(value)]:
        _one_of(key, unknown, backends.targets())


def _one_of(key: str, values: list[str], known: list[str]) -> None:
    for value in values:
        if value not in known:
            raise UserError(f"{key} holds an unknown value", value=value, remedy=f"one of: {', '.join(known)}")
