"""A confirmed configuration is judged by its fresh seeds; the lucky ones that chose it are shown beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from src.report import Options, load_decision, write_report
from src.report.searched import scored
from tests.report.factory import Sweep, finalist, trial

DECISION = {"name": "default", "max_export_loss": 0.02, "confirm_seeds": 3}


def lucky() -> Sweep:
    """Of two configurations, the first was lucky in the search, and only it was confirmed."""
    search = [trial(n, seed=n + 1, score=0.62 + n / 100) for n in range(3)]
    search += [trial(n, seed=n - 2, lr=0.01, score=0.60 + (n - 3) / 100) for n in range(3, 6)]
    fresh = [trial(n, seed=n - 2, score=0.50 + (n - 6) / 100, role="confirm") for n in range(6, 9)]
    return Sweep([*search, *fresh], [finalist(t) for t in fresh], decision=DECISION)


def test_the_score_is_that_of_the_fresh_seeds(tmp_path: Path) -> None:
    folder = lucky().write(tmp_path)
    decision = load_decision(folder)
    first, second = decision.configurations
    assert [t.trial for t in first.trials] == [6, 7, 8]
    assert round(first.spread.mean, 6) == 0.51
    assert first.selection is not None
    assert round(first.selection.mean, 6) == 0.63
    assert second.selection is None, "an unconfirmed one stands behind, though its seeds of the search scored higher"
    assert second.spread.mean > first.spread.mean
    assert len(scored(decision)) == 6, "figures of the search show the search"


def test_both_are_shown(tmp_path: Path) -> None:
    document = write_report(lucky().write(tmp_path), tmp_path / "reports", Options())
    text = document.read_text(encoding="utf-8")
    assert "Seeds of the search" in text
    assert "-0.1200" in text or "−0.1200" in text, "0.51 less 0.63"
    decision = json.loads(document.with_suffix(".json").read_text(encoding="utf-8"))
    assert decision["recommended"]["seeds"] == [4, 5, 6]
    first, second = decision["configurations"]
    assert (first["confirmed"], second["confirmed"]) == (True, False)
    assert (first["objective"]["mean"], first["selection"]["mean"]) == pytest.approx((0.51, 0.63))
    assert second["selection"] is None


def test_what_was_not_confirmed_cannot_be_recommended(tmp_path: Path) -> None:
    search = [trial(n, seed=n + 1, score=0.6) for n in range(3)]
    folder = Sweep(search, [finalist(t) for t in search], decision=DECISION).write(tmp_path)
    decision = load_decision(folder)
    assert decision.recommended is None
    document = write_report(folder, tmp_path / "reports", Options())
    told = json.loads(document.with_suffix(".json").read_text(encoding="utf-8"))
    assert {"unconfirmed"} == {limit for c in told["candidates"] for limit in c["broken_limits"]}


def test_without_confirmation_nothing_changes(tmp_path: Path) -> None:
    search = [trial(n, seed=n + 1, score=0.6) for n in range(3)]
    folder = Sweep(search, [finalist(t) for t in search]).write(tmp_path)
    document = write_report(folder, tmp_path / "reports", Options())
    assert "Seeds of the search" not in document.read_text(encoding="utf-8")
    assert load_decision(folder).recommended is not None
