"""Whether an exported file keeps its source's accuracy."""

from __future__ import annotations

import pytest

from src.common.errors import UserError
from src.config.checks import check
from src.evaluate.gate import accuracy_gate
from tests.config.test_config import composed


@pytest.mark.parametrize(
    ("value", "reference", "gate"),
    [(0.5, 0.5, "pass"), (0.4951, 0.5, "pass"), (0.494, 0.5, "warn"), (0.474, 0.5, "fail"), (0.1, 0.0, "pass")],
)
def test_what_may_be_lost(value: float, reference: float, gate: str) -> None:
    assert accuracy_gate(value, reference, max_loss=0.01, warn_below=0.95) == gate


def test_the_limit_of_the_decision_is_the_gate() -> None:
    assert accuracy_gate(0.475, 0.5, max_loss=0.05, warn_below=0.95) == "pass"


def test_the_older_key_is_refused_with_the_one_that_counts() -> None:
    with pytest.raises(UserError, match="max_export_loss") as caught:
        check(composed("export.tolerance=0.98"))
    assert caught.value.remedy == "decision.max_export_loss=0.02"
