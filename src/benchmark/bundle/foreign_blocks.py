"""A device's blocks are foreign too: what no worker of this plan can have answered is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from src.benchmark.bundle.checked import REMEDY, foreign, is_size, number
from src.benchmark.bundle.plan import Candidate, Plan
from src.benchmark.bundle.results import Found
from src.benchmark.latency import MAX_SAMPLES, RING, STAGES, WARMUP_CAP, TimingPlan
from src.common.errors import UserError

MOST_MS = 1e10  # a hundred days
LEAST_BLOCK_S = 0.2  # of a block, with its process
CUT_SHORT = 0.5  # share of a part's time limit that its calls take, where the limit and not their number ended it


def check_rounds(item: Found, plan: Plan, candidate: Candidate, file: Path) -> None:
    """Refuse blocks that a worker can't have written.

    Raises:
        UserError: naming the candidate and what is wrong.
    """
    try:
        _check(item, plan, candidate)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        what = f"the samples of candidate {item.id} are malformed ({foreign(str(error))[:200]})"
        raise UserError(what, value=file, remedy=REMEDY) from None


def _check(item: Found, plan: Plan, candidate: Candidate) -> None:
    planned = plan.times.rounds
    if not planned <= len(item.rounds) <= planned + plan.times.extra_seconds / LEAST_BLOCK_S:
        raise ValueError(f"{len(item.rounds)} of {planned} rounds")
    _check_whole("retakes", item.retakes, MAX_SAMPLES)
    parts = sorted(key for key in item.rounds[0] if "/" in key)
    possible = _parts(plan, candidate)
    if odd := [part for part in parts if part not in possible]:
        raise ValueError(f"{odd[0][:40]} is no part of a block")
    for answer in item.rounds:
        if sorted(key for key in answer if "/" in key) != parts or not any(p.startswith("model_only/") for p in parts):
            raise ValueError("its rounds have different parts")
        for name in ("load_ms", "cold_ms"):
            _positive([answer[name]])
        for part in parts:
            _check_part(part, answer[part], plan)
        for name in ("runtime_version", "device"):
            if not isinstance(answer[name], str):
                raise ValueError(f"its runtime has no {name}")
            answer[name] = foreign(answer[name])


def _parts(plan: Plan, candidate: Candidate) -> set[str]:
    """What a block of this candidate may hold: a file with a fixed batch runs at that one only."""
    fixed = candidate.artifact["input_shape"][0]
    return {f"model_only/{batch}" for batch in (plan.times.batches if fixed < 0 else [fixed])} | {"end_to_end/1"}


def _check_part(name: str, part: dict[str, Any], plan: Plan) -> None:
    scope, _, batch = name.partition("/")
    times, samples = plan.times, part["samples_ms"]
    asked = TimingPlan(times.warmup, -(-times.min_samples // times.rounds), 0.0, times.max_seconds)
    if scope == "model_only":
        asked = asked.for_batch(int(batch))
    _positive(samples)
    if len(samples) > max(asked.min_samples, MAX_SAMPLES):
        raise ValueError(f"{name}: {len(samples)} samples in one round")
    if len(samples) < asked.min_samples and sum(samples) < CUT_SHORT * 1000 * times.max_seconds:
        raise ValueError(f"{name}: {len(samples)} samples in one round, and there was time for more")
    for stage, values in part["stages_ms"].items():
        if stage not in STAGES:
            raise ValueError(f"{str(stage)[:40]} is no stage of a call")
        _positive(values, least=0.0)
    # A window of warm-up calls is never shorter than three.
    _check_whole("warmup_calls", part["warmup_calls"], (WARMUP_CAP + 1) * max(times.warmup, 3))
    _check_digest(name, part["digest"])
    for key in ("peak_mb", "vram_mb"):
        part[key] = number(part.get(key))
        if not is_size(part[key]):
            raise ValueError(f"{name}: {key} is no size")
    part["energy_j"] = _joules(part.get("energy_j"))
    share = part.get("foreign_cpu")
    if share is not None and not 0 <= float(share) <= 1:
        raise ValueError(f"{name}: others had {share} of the cores")


def _check_whole(name: str, value: Any, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError(f"{name} is {str(value)[:40]}")


def _check_digest(name: str, rows: Any) -> None:
    """Of every input of the ring two figures; from file to boxes there are none."""
    if not isinstance(rows, list) or len(rows) > RING:
        raise ValueError(f"{name} has no digests")
    for row in rows:
        if len(row) != 2 or not all(math.isfinite(number(value)) for value in row):
            raise ValueError(f"{name} has digests that are none")


def _positive(values: Any, least: float = 1e-9) -> None:
    if not isinstance(values, list) or not values:
        raise ValueError("there are no samples")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= MOST_MS:
            raise ValueError(f"{str(value)[:40]} is no duration")


def _joules(counted: Any) -> dict[str, float]:
    """Energy by counter, which bundles of earlier versions and machines without counters don't tell.

    Raises:
        ValueError: a counter says what is no energy.
    """
    found = {foreign(str(name)): number(joules) for name, joules in (counted or {}).items()}
    if not all(0 <= joules < math.inf for joules in found.values()):
        raise ValueError("a counter of energy says what is none")
    return found
