"""The decision group: every preset composes, and what could not be judged is refused before anything runs."""

from __future__ import annotations

import pytest

from src.common.errors import UserError
from src.config.checks import check
from tests.configurations import typed
from tests.conftest import ROOT


@pytest.mark.parametrize("name", sorted(p.stem for p in (ROOT / "conf/decision").glob("*.yaml")))
def test_every_preset_can_be_judged(name: str) -> None:
    check(typed(f"decision={name}", "benchmark=standard"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["decision.scope=both"], "decision.scope"),
        (["decision.batch=4"], "decision.batch is not among"),
        (["decision.runtime=tensorrt", "runtime=onnxruntime"], "decision.runtime"),
        (["decision.latency=p99", "decision.max_latency_ms=5", "benchmark=quick"], "needs 662 samples"),
        (["decision=edge", "benchmark=quick"], "needs 130 samples"),
        (["report.language=xx"], "report.language"),
        (["model=snapshot", "model.licence=nonsense"], "model.licence is no SPDX expression"),
        (["decision.device=../pi5"], "decision.device"),
        (["decision.devices={}"], "decision.devices"),
        (["decision.devices={pi5: {max_latncy_ms: 80}}"], "decision.devices.pi5.max_latncy_ms"),
        (["decision.devices={pi5: {max_latency_ms: quick}}"], "decision.devices.pi5.max_latency_ms"),
    ],
)
def test_what_can_not_be_judged_is_refused(words: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        check(typed(*words))


def test_the_default_limit_works_with_every_benchmark() -> None:
    for name in ("quick", "standard", "thorough"):
        check(typed("decision.max_latency_ms=5", f"benchmark={name}"))


def test_devices_that_are_yet_to_be_measured_are_no_error() -> None:
    cfg = typed("decision.devices={pi5: {max_latency_ms: 80}, server: {max_latency_ms: 10}}", "decision.device=4")
    check(cfg)
    assert cfg.decision.devices == {"pi5": {"max_latency_ms": 80}, "server": {"max_latency_ms": 10}}
    assert cfg.decision.device == "4"
