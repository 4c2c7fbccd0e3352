"""Refuses values that have the right type but make no sense, before anything runs."""

from __future__ import annotations

import math
from operator import attrgetter
from pathlib import Path

from src.common import backends
from src.common.errors import UserError
from src.common.licences import check_expression
from src.config.decision_checks import check_judged, check_rule
from src.config.devices import LATENCIES
from src.config.export_checks import check_export
from src.config.ranges import ABOVE_0, LONGEST_S, MOST_THREADS, refuse_outside
from src.config.schema import AppConfig, BenchmarkConfig
from src.config.strictness import one_of, refuse_odd_numbers, refuse_twice
from src.config.study_checks import check_study
from src.config.training_checks import Around, check_recipe
from src.records.sweep_folder import is_name

# Lists of which each thing counts once.
LISTS = (
    "export.targets", "export.rewrite", "runtime.engines", "benchmark.batches", "study.gpus", "study.objectives",
    "study.constraints", "tracking.also", "train.freeze_names",
)  # fmt: skip
MOST_BATCH = 65_536


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
    if cfg.model.licence:
        check_expression(cfg.model.licence, "model.licence")
    check_study(cfg)
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
    study, tracking = cfg.study, cfg.tracking
    refuse_outside(
        {
            "imgsz": (cfg.imgsz, 32, 8192),
            "epochs": (cfg.epochs, 1, 1_000_000),
            "batch": (cfg.batch, 1, MOST_BATCH),
            "lr": (cfg.lr, ABOVE_0, 1000),
            "seed": (cfg.seed, 0, 2**32 - 1),  # what numpy's generator takes
            "threads": (cfg.threads, 0, MOST_THREADS),
            "data.n_train": (cfg.data.n_train, 1, 1_000_000),
            "data.n_val": (cfg.data.n_val, 1, 1_000_000),
            "data.n_test": (cfg.data.n_test, 1, 1_000_000),
            "data.size": (cfg.data.size, 64, 8192),
            "data.seed": (cfg.data.seed, 0, 2**32 - 1),
            "export.warn_below": (cfg.export.warn_below, 0, 1),
            "study.workers": (study.workers, 0, 256),
            "study.retries": (study.retries, 0, 1000),
            "study.pruner_warmup": (study.pruner_warmup, 0, math.inf),
            "study.pruner_threshold": (study.pruner_threshold, 0, 1),
            "study.pruner_p": (study.pruner_p, ABOVE_0, 1),
            "study.lower_bound": (study.lower_bound, 0, 100),
            "study.trial_timeout": (study.trial_timeout, ABOVE_0, LONGEST_S),
            "study.max_failures": (study.max_failures, 0, math.inf),
            "study.max_trainings": (study.max_trainings, 1, math.inf),
            "study.max_hours": (study.max_hours, ABOVE_0, LONGEST_S / 3600),
            "tracking.system_interval_s": (tracking.system_interval_s, 0.1, 86_400),
        }
    )
    check_rule(cfg.decision)
    check_benchmark(cfg.benchmark)


def check_benchmark(benchmark: BenchmarkConfig) -> None:
    """Refuse an effort that measures nothing or never ends.

    Raises:
        UserError: naming the first offending key, its value and the remedy.
    """
    refuse_odd_numbers(benchmark, "benchmark.")
    refuse_outside(
        {
            "benchmark.warmup": (benchmark.warmup, 0, 1_000_000),
            "benchmark.min_samples": (benchmark.min_samples, 1, 10_000_000),
            "benchmark.min_seconds": (benchmark.min_seconds, 0, 86_400),
            "benchmark.max_seconds": (benchmark.max_seconds, 0.001, 86_400),
            "benchmark.rounds": (benchmark.rounds, 1, 1000),
            "benchmark.extra_seconds": (benchmark.extra_seconds, 0, 604_800),
        }
    )
    if not 0 <= benchmark.precision < 1:
        raise UserError(
            "benchmark.precision must be a share of the latency, at least 0 (no further rounds) and below 1",
            value=benchmark.precision,
            remedy="benchmark.precision=0.05 for 5 %",
        )
    if not benchmark.batches or not all(1 <= batch <= MOST_BATCH for batch in benchmark.batches):
        raise UserError(
            f"benchmark.batches must hold batch sizes of at least 1 and at most {MOST_BATCH}",
            value=benchmark.batches,
            remedy="benchmark.batches=[1]",
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
    one_of("runtime.engines", cfg.runtime.engines, list(backends.RUNTIMES))
    check_export(cfg.export, cfg.benchmark.batches)
    _targets("study.cost_artifact", [cfg.study.cost_artifact])
    one_of("study.cost_runtime", [cfg.study.cost_runtime], list(backends.RUNTIMES))
    one_of("decision.latency", [cfg.decision.latency], list(LATENCIES))
    check_judged(cfg)
    for key in LISTS:
        refuse_twice(key, attrgetter(key)(cfg))
    weights = Path(cfg.model.weights)  # a pipe or a device is neither: who opens it waits for ever
    if cfg.model.weights not in ("auto", "scratch") and not (weights.is_file() or weights.is_dir()):
        raise UserError(
            "model.weights names a file or a folder that does not exist",
            value=cfg.model.weights,
            remedy="model.weights=auto, model.weights=scratch, a .pt file, or a snapshot folder (model=snapshot)",
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
        one_of(key, unknown, backends.targets())
