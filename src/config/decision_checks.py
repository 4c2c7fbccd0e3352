"""Refuses decisions that make no sense, or that this very configuration could not judge."""

from __future__ import annotations

from src.common.errors import UserError
from src.common.licences import check_limit
from src.config.devices import SCOPES, check_currency, check_device, check_devices
from src.config.schema import SAMPLES_FOR, AppConfig, DecisionConfig
from src.config.strictness import one_of


def check_rule(d: DecisionConfig) -> None:
    """The margin, the confidence, a spread that is stated, the licences, and what counts as nothing learnt.

    Raises:
        UserError: naming the first offending key, its value and the remedy.
    """
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
