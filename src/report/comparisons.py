"""Comparisons and open questions in `decision.json`: both sides, the difference, the bound that decides."""

from __future__ import annotations

from typing import Any

from src.decide.candidates import Candidate
from src.decide.choice import Comparison, Decision
from src.decide.open_questions import OpenQuestion, open_questions
from src.decide.speed import compare_speed
from src.report.headline import gap_on_test
from src.report.json_values import finite
from src.report.page_one import settling_command


def identity(c: Candidate) -> dict[str, Any]:
    """What names a candidate: configuration, file, runtime and the runs behind it."""
    return {
        "config_id": c.configuration.config_id,
        "format": c.format,
        "precision": c.precision,
        "runtime": c.runtime,
        "run_ids": [e.trial.run_id for e in c.evidence],
    }


def comparisons_json(decision: Decision) -> list[dict[str, Any]]:
    """Every feasible candidate but the best against the rival that bounds it most; mAP50-95 on val, rival less own."""
    return [_comparison(c, decision) for c in decision.comparisons]


def _comparison(c: Comparison, decision: Decision) -> dict[str, Any]:
    found, test = c.deficit, gap_on_test(decision, c.other)
    return {
        "candidate": identity(c.other),
        "rival": identity(c.rival),
        "delta": finite(found.delta),
        "interval": [finite(found.low), finite(found.high)],
        "bound": finite(found.high),
        "level": decision.level,
        "method": found.method,
        "status": found.status,
        "decided": found.status != "open",
        "test": None
        if test is None
        else {"delta": finite(test.delta), "interval": [finite(test.low), finite(test.high)]},
    }


def open_json(decision: Decision) -> list[dict[str, Any]]:
    """Every open question with what would settle it."""
    return [_question(q, decision) for q in open_questions(decision)]


def _question(q: OpenQuestion, decision: Decision) -> dict[str, Any]:
    found = q.comparison.deficit
    speed = compare_speed(*decision.sides(q.candidate, decision.recommended)) if decision.recommended else None
    return {
        "candidate": identity(q.candidate),
        "rival": identity(q.comparison.rival),
        "delta": finite(found.delta),
        "interval": [finite(found.low), finite(found.high)],
        "latency_ratio": finite(speed.ratio) if speed else None,
        "latency_ratio_interval": [finite(speed.low), finite(speed.high)] if speed else None,
        "seeds": q.seeds,
        "images": q.images,
        "command": settling_command(decision, [q]),
    }
