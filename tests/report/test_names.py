"""How an image is fitted into a candidate's input stands in every table of candidates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from src.decide.verdict import verdict
from src.records.model_io import Input
from src.report import load_decision
from src.report.comparative import Comparative
from src.report.decision import decision_json
from src.report.names import fitted
from src.report.tables import benchmark_rows
from src.report.text import catalogue
from tests.report.factory import Sweep, study, trial


def test_the_file_says_it_before_the_checkpoint() -> None:
    plain = trial(0)
    assert plain.checkpoint is not None
    assert not fitted(plain, None), "records of earlier versions tell nothing"
    made = replace(plain, checkpoint=replace(plain.checkpoint, input=Input(96, 160, "stretch")))
    assert fitted(made, None) == "stretch 160 x 96"


def test_candidates_are_told_with_it(tmp_path: Path) -> None:
    whole = study()
    trials = [
        replace(t, checkpoint=replace(t.checkpoint, input=Input(t.imgsz, t.imgsz))) if t.checkpoint else t
        for t in whole.trials
    ]
    decision = load_decision(Sweep(trials, whole.finalists).write(tmp_path))
    words = {f"letterbox {t.imgsz} x {t.imgsz}" for t in trials}
    assert {row["input"] for row in decision_json(decision, verdict(decision), [], [])["candidates"]} <= words
    assert {row["input"] for row in benchmark_rows(decision.saved, decision.settings)} <= words
    assert "letterbox" in Comparative(decision, catalogue("en")).candidates()
