"""How the open questions closed: the sentence on page one, the table and the figure of the appendix, decision.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from src.common.errors import UserError
from src.report import Options, load_decision, write_report
from src.report.check import check_report
from src.report.looks import MOST_LINES, seen, shortened
from tests.report.factory import Sweep
from tests.report.test_page_one import MOST_WORDS, open_sweep

FAST, SLOW = "v8n · 160 px · lr 0.002 · onnx/fp32 · onnxruntime", "v8n · 320 px · lr 0.002 · onnx/fp32 · onnxruntime"


def question(delta: float, status: str = "open", wide: float | None = 0.02, candidate: str = FAST) -> dict[str, Any]:
    low, high = (None, None) if wide is None else (delta - wide, delta + wide)
    return {
        "candidate": candidate,
        "rival": SLOW,
        "config_id": "a",
        "rival_id": "b",
        "delta": delta,
        "low": low,
        "high": high,
        "status": status,
    }


def look(trainings: int, *questions: dict[str, Any], stopped: str = "") -> dict[str, Any]:
    head = {"trainings": trainings, "share": min(1.0, trainings / 12), "level": 0.97, "recommended": SLOW}
    return {**head, "questions": list(questions), "next": "" if stopped else "a", "stopped": stopped}


def looked(*looks: dict[str, Any]) -> Sweep:
    sweep = open_sweep()
    sweep.changes = {"looks": list(looks)}
    return sweep


def written(sweep: Sweep, tmp_path: Path, language: str = "en") -> tuple[Path, str, str]:
    path = write_report(sweep.write(tmp_path), tmp_path / "reports", Options(language=language))
    return path.parent, path.read_text(), (path.parent / "appendix.md").read_text()


SETTLED = (
    look(4, question(0.051, wide=None)),
    look(5, question(0.043)),
    look(7, question(0.0456, "worse", 0.0123), stopped="decided"),
)


def test_a_sweep_whose_speeds_are_undecided_is_not_called_settled(tmp_path: Path) -> None:
    last = {**look(7, question(0.0456, "worse", 0.0123), stopped="speed"), "speed": [FAST]}
    for language, words in (
        ("en", "The speed against v8n · 160 px"),
        ("fr", "La vitesse face à v8n · 160 px"),
    ):
        _, page, _ = written(looked(*SETTLED[:2], last), tmp_path / language, language)
        assert words in page
        assert "the decision was settled" not in page


def test_without_looks_nothing_is_said(tmp_path: Path) -> None:
    folder, page, appendix = written(open_sweep(), tmp_path)
    assert "further training(s)" not in page
    assert "How the open questions closed" not in appendix
    assert not (folder / "figures/closing.png").exists()
    assert json.loads((folder / "decision.json").read_text())["looks"] == []


@pytest.mark.usefixtures("painted")
def test_what_settled_it_is_told_in_short_and_in_full(tmp_path: Path) -> None:
    folder, page, appendix = written(looked(*SETTLED), tmp_path)
    opened = page.split("**What is open**")[1].split("**")[0]
    assert "After 3 further training(s), 7 in all, the decision was settled." in opened
    rows = [line for line in appendix.splitlines() if "held against" in line]
    assert [row.split("|")[1].strip() for row in rows] == ["4", "5", "7"]
    assert "0.051 [not established]" in rows[0]
    assert "0.043 [0.023; 0.063]" in rows[1]
    assert "0.046 [0.033; 0.058]" in rows[2]
    assert [row.split("|")[5].strip() for row in rows] == ["not shown", "not shown", "no, worse"]
    assert "![Difference and bounds of every open question" in appendix
    assert (folder / "figures/closing.png").stat().st_size > 5000
    assert json.loads((folder / "decision.json").read_text())["looks"] == list(SETTLED)
    assert check_report(tmp_path / "sweeps/friday", tmp_path / "reports") == []
    assert len(page.split()) <= MOST_WORDS


@pytest.mark.parametrize(
    ("stopped", "said"),
    [
        ("trainings", "study.max_trainings was spent with 1 question(s) still open"),
        ("hours", "study.max_hours was spent with 1 question(s) still open"),
        ("seeds", "seeds can't settle the 1 question(s) still open"),
        ("", "1 question(s) are still open, and more seeds were to follow"),
    ],
)
def test_what_stopped_it_is_told_with_what_is_still_open(stopped: str, said: str, tmp_path: Path) -> None:
    settled = question(0.2, "worse", candidate="another")
    _, page, _ = written(looked(look(4, question(0.05)), look(6, question(0.05), settled, stopped=stopped)), tmp_path)
    assert f"After 2 further training(s), 6 in all, {said}" in page or f"it stopped: {said}" in page
    assert "another model is better" not in page


def test_the_recommended_one_may_be_what_is_open(tmp_path: Path) -> None:
    own = question(-0.01, candidate=SLOW)
    _, page, _ = written(looked(look(4, own), look(5, own, stopped="trainings")), tmp_path)
    assert "1 question(s) still open. One is whether another model is better than the recommended one" in page


def test_a_search_that_leaves_nothing_open(tmp_path: Path) -> None:
    folder, page, appendix = written(looked(look(4, stopped="decided")), tmp_path)
    assert "The search had left nothing open" in page
    assert "| 4 | 33 | nothing asked | — | — |" in appendix
    assert not (folder / "figures/closing.png").exists(), "one look shows no course"


def test_of_many_looks_the_first_the_changes_and_the_last_are_shown(tmp_path: Path) -> None:
    changed = look(17, question(0.03), question(0.2, "worse", candidate="another"))
    many = [look(n, question(0.03)) for n in range(4, 17)] + [changed]
    many += [look(n, question(0.03)) for n in range(18, 40)] + [look(40, question(0.03), stopped="trainings")]
    folder, _, appendix = written(looked(*many), tmp_path)
    kept = [x.trainings for x in shortened(seen(load_decision(tmp_path / "sweeps/friday")))]
    assert kept == [4, 17, 18, 40]
    assert appendix.count("held against") == 5 <= MOST_LINES
    assert "… and 33 more looks" in appendix
    assert len(json.loads((folder / "decision.json").read_text())["looks"]) == len(many)


def test_changes_at_every_look_do_not_fill_the_page(tmp_path: Path) -> None:
    many = [look(n, question(0.03, ("open", "worse")[n % 2])) for n in range(4, 40)]
    looked(*many).write(tmp_path)
    kept = [x.trainings for x in shortened(seen(load_decision(tmp_path / "sweeps/friday")))]
    assert len(kept) == MOST_LINES
    assert (kept[0], kept[-1]) == (4, 39)


def test_a_look_that_this_program_did_not_write_is_refused(tmp_path: Path) -> None:
    """How much confidence is left follows from the looks, so nothing is guessed of them."""
    with pytest.raises(UserError, match=r"looks\[1\].trainings"):
        written(looked(look(4), {"trainings": "x", "share": 0.5}), tmp_path)


def test_a_question_of_a_foreign_record_reads_as_unknown(tmp_path: Path) -> None:
    _, page, _ = written(looked(look(4), {"trainings": 5, "share": 0.5, "questions": ["y", {}]}), tmp_path)
    assert "nan" not in page


def test_a_bound_that_was_spent_is_not_proposed_again(tmp_path: Path) -> None:
    _, before, _ = written(looked(), tmp_path / "before")
    _, after, _ = written(looked(look(12, question(0.01), stopped="trainings")), tmp_path / "after")
    assert "study.until=decided study.max_trainings=" in before
    assert "study.until=decided study.max_trainings=" not in after
