"""The licence is told where a network is bound by it, as its record says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from src.records.schema import TrialRecord
from src.report import load_decision
from src.report.licence import licence_of
from src.report.risks import risks
from tests.report.factory import Sweep, study


def under(licence: str, trial: TrialRecord, libraries: dict[str, str] | None = None) -> TrialRecord:
    """The trial with another licence, made with other libraries."""
    if trial.checkpoint is None:
        return trial
    environment = replace(trial.environment, libraries=libraries or trial.environment.libraries)
    return replace(trial, checkpoint=replace(trial.checkpoint, licence=licence), environment=environment)


@pytest.mark.parametrize(
    ("licence", "libraries", "told", "risk"),
    [
        ("", None, "AGPL-3.0", True),
        ("", {"torch": "2.8"}, None, False),
        ("AGPL-3.0", {"torch": "2.8"}, "AGPL-3.0", True),
        ("BSD-3-Clause", None, "BSD-3-Clause", False),
    ],
    ids=["earlier version", "earlier version of nobody", "as recorded", "of another family"],
)
def test_the_licence_is_the_recorded_one(
    licence: str, libraries: dict[str, str] | None, told: str | None, risk: bool, tmp_path: Path
) -> None:
    whole = study()
    trials = [under(licence, t, libraries) for t in whole.trials]
    decision = load_decision(Sweep(trials, whole.finalists).write(tmp_path))
    assert decision.recommended is not None
    assert licence_of(decision.recommended) == told
    assert ("licence" in {r.key for r in risks(decision)}) is risk


def test_one_network_under_the_agpl_among_others_is_told(tmp_path: Path) -> None:
    whole = study()
    trials = [under("AGPL-3.0" if t.trial == 4 else "BSD-3-Clause", t) for t in whole.trials]
    decision = load_decision(Sweep(trials, whole.finalists).write(tmp_path))
    assert "licence" in {r.key for r in risks(decision)}
