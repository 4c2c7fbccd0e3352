"""Which candidates of a bundle can be measured on this device."""

from __future__ import annotations

import importlib.util

from src import runtime as engines
from src.benchmark.bundle.plan import Candidate, Plan
from src.benchmark.bundle.results import Problem
from src.benchmark.bundle.said import say
from src.common import backends
from src.common.errors import Unavailable, UserError


def available(plan: Plan) -> tuple[list[Candidate], list[Problem]]:
    """The candidates whose runtime can be had here; the others are listed with the reason, and said."""
    found, problems = [], []
    reasons: dict[str, str] = {}
    for candidate in plan.candidates:
        if candidate.runtime not in reasons:
            reasons[candidate.runtime] = missing(candidate.runtime, plan.packages.get(candidate.runtime, ""))
        if reasons[candidate.runtime]:
            problems.append(Problem("benchmark", candidate.target, "unavailable", reasons[candidate.runtime]))
        else:
            found.append(candidate)
    for runtime, reason in reasons.items():
        if reason:
            say(f"skipped {runtime}: {reason}")
    return found, list(dict.fromkeys(problems))  # several trials have files of one format


def missing(runtime: str, package: str) -> str:
    """Why a runtime can't be had here; "" where it can. `package` is what pip knows it by."""
    if runtime not in backends.RUNTIMES:
        return "this program knows no runtime of that name"
    facts = backends.engine_facts(runtime)
    if any(importlib.util.find_spec(module) is None for module in facts.needs):
        return f"it is not installed: python -m pip install {package}"
    try:
        engines.availability(runtime)
    except (Unavailable, UserError) as error:
        return str(error)
    except Exception as error:  # a library that is there and broken
        return f"{type(error).__name__}: {error}"[:300]
    return ""


def missing_module(name: str) -> bool:
    """Whether a library is not installed."""
    return importlib.util.find_spec(name) is None
