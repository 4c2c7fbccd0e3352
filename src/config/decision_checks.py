"""Refuses decisions that make no sense, or that this very configuration could not judge."""

from __future__ import annotations

import math

from src.common.errors import UserError
from src.common.licences import check_limit
from src.config.devices import SCOPES, check_currency, check_device, check_devices
from src.config.ranges import ABOVE_0, refuse_outside
from src.config.schema import SAMPLES_FOR, AppConfig, DecisionConfig
from src.config.strictness import one_of

POSITIVE = (  # limits that nothing could keep, or that say nothing, at 0 and below
    "max_latency_ms",
    "min_throughput_ips",
    "min_capacity_rps",
    "max_p99_ms",
    "max_size_mb",
    "max_memory_mb",
    "price_per_hour",
)


def check_rule(d: DecisionConfig) -> None:
    """The limits, the margin, the confidence, a spread that is stated, the licences, and what counts as nothing learnt.

    Raises:
        UserError: naming the first offending key, its value and the remedy.
    """
    check_limit(d.licence)
    refuse_outside(
        {
            "decision.margin": (d.margin, 0, 1),
            "decision.min_map": (d.min_map, 0, 1),
            "decision.max_export_loss": (d.max_export_loss, 0, 1),
            **{f"decision.{key}": (getattr(d, key), ABOVE_0, math.inf) for key in POSITIVE},
            "decision.confirm_seeds": (d.confirm_seeds, 0, math.inf),
            "decision.finalists": (d.finalists, 1, math.inf),
        }
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
    if not 0 <= d.nothing_map < 1:
        raise UserError(
            "decision.nothing_map must be an mAP of at least 0 and below 1",
            value=d.nothing_map,
            remedy="decision.nothing_map=0.01",
        )


def check_judged(cfg: AppConfig) -> None:
    """Refuse a decision that this very configuration could not judge.

    Raises:
        UserError: naming the first offending key, its value and the remedy.
    """
    d = cfg.decision
    check_device(d.device)
    check_devices(d.devices)
    check_currency(d.currency)
    one_of("decision.scope", [d.scope], list(SCOPES))
    if cfg.tiling is not None and d.scope != "end_to_end":
        raise UserError(
            "with tile a picture takes many calls of the network, so the latency of one call compares nothing",
            value=f"tile={cfg.tile} decision.scope={d.scope}",
            remedy="decision.scope=end_to_end (in a sweep over tile=null,640 too)",
        )
    one_of("report.language", [cfg.report.language], ["en", "fr"])
    if d.batch not in cfg.benchmark.batches:
        raise UserError(
            "decision.batch is not among benchmark.batches, so nothing would be measured at it",
            value=d.batch,
            remedy=f"decision.batch= one of {cfg.benchmark.batches}, or add it to benchmark.batches",
        )
    if d.runtime is not None:
        one_of("decision.runtime", [d.runtime], cfg.runtime.engines)
    if d.max_latency_ms is not None and cfg.benchmark.min_samples < SAMPLES_FOR.get(d.latency, 0):
        raise UserError(
            f"decision.max_latency_ms limits {d.latency}, which needs {SAMPLES_FOR[d.latency]} samples",
            value=f"benchmark.min_samples={cfg.benchmark.min_samples}",
            remedy="benchmark=standard, or decision.latency=p90",
        )
