"""What an architecture costs: a goal on a percentile that nobody could measure is no goal that holds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from src.common.errors import StageError
from src.config.schema import StudyConfig
from src.pipeline.architecture_cost import Costs
from src.records.schema import Latency, Measurement
from src.sweeper.goals import parse_goals


def _costs(*constraints: str) -> Costs:
    costs = Costs.__new__(Costs)
    request: Any = SimpleNamespace(goals=parse_goals(StudyConfig(name="x", constraints=list(constraints))))
    costs._request = request
    return costs


def _measured(p99: float | None) -> Measurement:
    latency = Latency(700, 5.0, 5.0, 6.0, 7.0, p99)
    names = ("onnx", "fp32", "sha", "onnxruntime", "1", "cpu", "model_only")
    return Measurement(*names, 1, 1, 64, latency, 1.0, 1.0, 1.0, 1.0, 1, "x.json", {"effective_samples": 350.0})  # type: ignore[arg-type]


def test_a_percentile_that_a_goal_names_must_be_supported() -> None:
    costs = _costs("latency_p99_ms <= 10", "latency_p90_ms <= 8")
    assert max(costs._asked()) == "p99"
    costs._refuse_unsupported(_measured(9.0))
    with pytest.raises(StageError, match="700 calls are worth 350 independent ones, too few for p99"):
        costs._refuse_unsupported(_measured(None))


def test_others_may_be_missing() -> None:
    _costs("latency_p50_ms <= 10")._refuse_unsupported(_measured(None))
