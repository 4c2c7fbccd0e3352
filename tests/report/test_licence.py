"""The licence is told where a network is bound by it, as its record says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from src.decide.choice import decide
from src.decide.licence import licence_of
from src.decide.verdict import verdict
from src.records.schema import TrialRecord
from src.report import load_decision
from src.report.comparative import Comparative
from src.report.decision import decision_json
from src.report.risks import next_steps, risks
from src.report.text import catalogue
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
    best = load_decision(whole.write(tmp_path / "plain")).recommended
    assert best is not None
    own = best.best.trial.trial
    for name, (key, level) in {"other": ("licence_others", "low"), "own": ("licence", "high")}.items():
        bound = next(t.trial for t in whole.trials if (t.trial == own) is (name == "own") and t.checkpoint is not None)
        trials = [under("AGPL-3.0" if t.trial == bound else "BSD-3-Clause", t) for t in whole.trials]
        decision = load_decision(Sweep(trials, whole.finalists).write(tmp_path / name))
        found = risks(decision)
        assert [(r.key, r.level) for r in found if r.key.startswith("licence")] == [(key, level)]
        steps = {step.what.key for step in next_steps(decision, verdict(decision), found)}
        assert ("step_licence" in steps) is (name == "own"), "what is recommended is free of it: nothing to settle"


def test_weights_whose_licence_nobody_said_are_told(tmp_path: Path) -> None:
    whole = study()
    trials = [under("Apache-2.0 AND LicenseRef-unknown", t) for t in whole.trials]
    decision = load_decision(Sweep(trials, whole.finalists).write(tmp_path))
    found = {r.key: r for r in risks(decision)}
    assert found["licence_unknown"].level == "high"
    assert "licence" not in found
    assert "Apache-2.0 AND LicenseRef-unknown" in Comparative(decision, catalogue("en")).candidates()


def test_a_limit_on_licences_takes_candidates_away(tmp_path: Path) -> None:
    whole = study()
    free = {t.trial for t in whole.trials if t.imgsz == min(x.imgsz for x in whole.trials)}
    trials = [under("BSD-3-Clause" if t.trial in free else "AGPL-3.0", t) for t in whole.trials]
    folder = Sweep(trials, whole.finalists).write(tmp_path)
    unbound = load_decision(folder)
    settings = replace(unbound.settings, licence="permissive")
    decision = decide(unbound.saved, settings)
    assert unbound.recommended is not None
    assert unbound.recommended.best.trial.trial not in free, "the best is not free, or this test shows nothing"
    assert decision.recommended is not None
    assert decision.recommended.best.trial.trial in free
    told = decision_json(decision, verdict(decision), [], [])
    assert told["recommended"]["licence"] == "BSD-3-Clause"
    row = next(c for c in told["constraints"] if c["name"] == "licence")
    assert (row["limit"], row["measured"], row["holds"]) == ("permissive", "BSD-3-Clause", True)
    bound = [c for c in told["candidates"] if c["licence"] == "AGPL-3.0"]
    assert bound
    assert all(not c["feasible"] and "licence" in c["broken_limits"] for c in bound)
