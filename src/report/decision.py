"""`decision.json`: the decision for programs. Its keys are a contract; its sentences are always English."""

from __future__ import annotations

import math
from typing import Any

from src.common.licences import ANY
from src.common.statistics import Spread
from src.decide.candidates import Candidate, failures_of
from src.decide.choice import Decision
from src.decide.licence import licence_of, licence_of_trial, may_ship
from src.decide.limits import Limit, limits_of, refusals
from src.decide.machines import device_name
from src.decide.running_cost import asked_for, cost_where_decided
from src.decide.signal import chosen_configuration
from src.decide.verdict import Verdict
from src.records.schema import Failure
from src.report.compare import datasets, machines
from src.report.comparisons import comparisons_json, open_json
from src.report.json_values import finite
from src.report.names import fitted
from src.report.recovery import Recovery, recoveries
from src.report.resource_use import search_cost
from src.report.risks import Risk, Step
from src.report.running_costs import cost_json, interval_json
from src.report.section import interval_of
from src.report.text import catalogue

SCHEMA_VERSION = 2
MOST_PLACES = 12  # trials named for one failure


def decision_json(decision: Decision, judged: Verdict, found: list[Risk], steps: list[Step]) -> dict[str, Any]:
    """The decision as plain data."""
    say = catalogue("en").say
    return {
        "schema_version": SCHEMA_VERSION,
        "sweep": decision.saved.sweep.sweep,
        "verdict": judged.word,
        "reasons": [say(n) for n in judged.reasons],
        "conditions": [say(n) for n in judged.conditions],
        "recommended": recommended(decision),
        "constraints": [_limit(x, decision) for x in _judged_limits(decision)] + _licence_limit(decision),
        "margin": decision.settings.margin,
        "confidence": decision.settings.confidence,
        "comparisons": comparisons_json(decision),
        "open": open_json(decision),
        "looks": decision.saved.sweep.looks,
        "latency_statistic": decision.statistic,
        "decided_on": device_name(decision.settings),
        "price_per_hour": decision.settings.price_per_hour,
        "currency": decision.settings.currency if asked_for(decision.settings) else None,
        "machines": sorted(machines(decision)),
        "datasets": sorted(datasets(decision)),
        "candidates": [_candidate(c, decision) for c in decision.candidates],
        "configurations": [
            {
                "config_id": c.config_id,
                "label": c.label,
                "model": c.model,
                "imgsz": c.imgsz,
                "lr": c.lr,
                "seeds": [t.seed for t in c.trials],
                "run_ids": [t.run_id for t in c.trials],
                "objective": spread_json(c.spread, interval_of(c, decision)),
                "confirmed": c.selection is not None,
                "selection": spread_json(c.selection, (math.nan, math.nan)) if c.selection is not None else None,
                "lost_trials": [t.trial for t in c.lost],
            }
            for c in decision.configurations
        ],
        "risks": [
            {"risk": r.key, "level": r.level, "evidence": say(r.evidence), "mitigation": say(r.mitigation)}
            for r in found
        ],
        "next_steps": [{"horizon": s.horizon, "step": say(s.what)} for s in steps],
        "skipped": skipped(decision),
        "recovery": [_recovery(r) for r in recoveries(decision.saved)],
        "cost": _cost(decision),
    }


def _cost(decision: Decision) -> dict[str, Any]:
    """What the search cost; null where the records don't establish it."""
    spent = search_cost(decision.saved)
    return {
        "trials": spent.trials,
        "trial_hours": finite(spent.trial_hours),
        "finalist_hours": finite(spent.finalist_hours),
        "wall_hours": finite(spent.wall_hours),
        "energy_wh": finite(spent.energy_wh),
        "energy_counters": list(spent.counters),
        "energy_trials": spent.metered,
    }


def _licence_limit(decision: Decision) -> list[dict[str, Any]]:
    """The limit on licences as a constraint, where there is one."""
    judged, limit = decision.recommended or decision.closest, decision.settings.licence
    if limit == ANY or judged is None:
        return []
    holds = may_ship(judged, decision.settings)
    facts = {"name": "licence", "metric": "SPDX licence", "unit": "", "limit": limit, "measured": licence_of(judged)}
    return [{**facts, "holds": holds, "run_ids": [e.trial.run_id for e in judged.evidence]}]


def recommended(decision: Decision) -> dict[str, Any] | None:
    """What to ship; None when nothing can be recommended. Without any measurement only the training is named."""
    chosen, candidate = chosen_configuration(decision), decision.recommended
    if chosen is None:
        return None
    artifact = candidate.best.artifact if candidate else None
    return {
        "model": chosen.model,
        "imgsz": chosen.imgsz,
        "lr": chosen.lr,
        "extra": chosen.extra,
        "seeds": [t.seed for t in chosen.trials],
        "format": candidate.format if candidate else None,
        "precision": candidate.precision if candidate else None,
        "runtime": candidate.runtime if candidate else None,
        "batch": decision.settings.batch if candidate else None,
        "config_id": chosen.config_id,
        "licence": licence_of_trial(candidate.best.trial if candidate else chosen.best_trial),
        "run_ids": [t.run_id for t in chosen.trials],
        "trial": candidate.best.trial.trial if candidate else chosen.best_trial.trial,
        "artifact": None
        if artifact is None
        else {"path": artifact.path, "sha256": artifact.sha256, "size_bytes": artifact.size_bytes},
    }


def skipped(decision: Decision) -> list[dict[str, str]]:
    """What could not be run, and why: failed trials, formats, runtimes."""
    found = [("sweep", f) for f in decision.saved.sweep.failures]
    found += failures_of(decision.saved.trials, decision.saved.finalists)
    where: dict[Failure, list[str]] = {}  # the same thing fails for the same reason in many trials
    for place, failure in found:
        where.setdefault(failure, []).append(place)
    return [
        {"where": _places(w), "stage": f.stage, "target": f.target, "kind": f.kind, "reason": f.message}
        for f, w in where.items()
    ]


def _places(places: list[str]) -> str:
    """`trial 2, 5, 8` instead of the word every time."""
    numbers = [p.removeprefix("trial ") for p in dict.fromkeys(places) if p.startswith("trial ")]
    others = [p for p in dict.fromkeys(places) if not p.startswith("trial ")]
    more = " …" if len(numbers) > MOST_PLACES else ""
    return ", ".join(others + ([f"trial {', '.join(numbers[:MOST_PLACES])}{more}"] if numbers else []))


def _judged_limits(decision: Decision) -> list[Limit]:
    """The limits on the winner, or on the candidate that came closest."""
    judged = decision.recommended or decision.closest
    return limits_of(judged, decision.settings) if judged else []


def _limit(limit: Limit, decision: Decision) -> dict[str, Any]:
    judged = decision.recommended or decision.closest
    assert judged is not None
    return {
        "name": limit.key,
        "metric": catalogue("en").say(limit.metric),
        "unit": limit.unit,
        "limit": limit.limit,
        "measured": finite(limit.measured),
        "holds": limit.holds,
        "run_ids": [e.trial.run_id for e in judged.evidence],
    }


def _recovery(r: Recovery) -> dict[str, Any]:
    """What quantisation-aware training gave back of what static INT8 costs; figures are mAP50-95."""
    return {
        "trial": r.trial.trial,
        "run_id": r.trial.run_id,
        "target": r.target,
        "runtime": r.runtime,
        "split": r.split,
        "before": finite(r.before),
        "post_training": finite(r.post_training),
        "aware": finite(r.aware),
        "lost": finite(r.lost),
        "recovered": finite(r.recovered),
        "share": finite(r.share),
    }


def _candidate(c: Candidate, decision: Decision) -> dict[str, Any]:
    low, high = c.latency_interval.get(decision.statistic, (math.nan, math.nan))
    artifact = c.best.artifact
    running = cost_where_decided(c, decision.settings) if asked_for(decision.settings) else None
    return {
        "config_id": c.configuration.config_id,
        "model": c.configuration.model,
        "imgsz": c.configuration.imgsz,
        "lr": c.configuration.lr,
        "extra": c.configuration.extra,
        "seeds": [t.seed for t in c.configuration.trials],
        "format": c.format,
        "precision": c.precision,
        "runtime": c.runtime,
        "batch": decision.settings.batch,
        "trials": [e.trial.trial for e in c.evidence],
        "run_ids": [e.trial.run_id for e in c.evidence],
        "artifact_sha256": artifact.sha256 if artifact else None,
        "licence": licence_of(c),
        "input": fitted(c.best.trial, artifact),
        "metrics": {
            "score": finite(c.score.mean),
            "val/mAP50-95": finite(c.val_map),
            "test/mAP50-95": finite(c.test_map),
            "export_loss": finite(c.loss),
            **{f"latency_{name}_ms": finite(value) for name, value in c.latency.items()},
            "throughput_ips": finite(c.throughput_ips),
            "memory_mb": finite(c.memory_mb),
            "size_mb": finite(c.size_mb),
            **(cost_json(running) if running else {}),
        },
        "interval": {
            "score": [finite(c.interval[0]), finite(c.interval[1])],
            f"latency_{decision.statistic}_ms": [finite(low), finite(high)],
            **(interval_json(running) if running else {}),
        },
        "gate": c.gate,
        "feasible": c.key in decision.feasible,
        "broken_limits": refusals(c, decision.candidates, decision.settings),
        "device_gate": c.device_gate,
        "pareto": c.key in decision.pareto,
        "within_margin": c is decision.best or ((found := decision.comparison(c)) is not None and found.within),
    }


def spread_json(s: Spread, interval: tuple[float, float]) -> dict[str, Any]:
    """A mean over seeds with its interval as plain data; unknown figures are null."""
    low, high = interval
    return {"n": s.n, "mean": finite(s.mean), "sd": finite(s.sd), "low": finite(low), "high": finite(high)}
