"""Which classes are taken for which, regions to ignore, and why there is no interval."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src.common.matrix import condensed
from src.report import Options, write_report
from tests.report.factory import Sweep, deep_study

NOTE = "fewer than 3 independent images hold 7"


def matrix(n: int = 10) -> list[list[int]]:
    """Mostly right; 3 is taken for 8 seven times, 5 for 9 nine times, 2 missed four times, 6 found in background."""
    cells = [[(30 if a == b else 0) for b in range(n + 1)] for a in range(n + 1)]
    cells[n][n] = 0
    cells[3][8], cells[5][9], cells[2][n], cells[n][6] = 7, 9, 4, 6
    return cells


def renewed(**changes: Any) -> Sweep:
    """A study whose evaluations have what records of today have."""
    sweep = deep_study()
    new = {"confusion_matrix": matrix(), "confusions": [["5", "9", 9], ["3", "8", 7]], "also_called": [["4", "1", 11]]}
    sweep.evaluations = [replace(e, **{**new, **changes}) for e in sweep.evaluations]
    return sweep


def unclaimed() -> Sweep:
    """Evaluations that claim no interval, with detections on regions to ignore."""
    sweep = renewed(interval_note=NOTE, intervals={})
    sweep.evaluations = [replace(e, errors={**e.errors, "ignored": 17}) for e in sweep.evaluations]
    return sweep


def written(sweep: Sweep, tmp_path: Path, language: str = "en") -> tuple[str, str]:
    path = write_report(sweep.write(tmp_path), tmp_path / "reports", Options(language=language))
    return path.read_text(), (path.parent / "appendix.md").read_text()


@pytest.fixture(scope="module")
def claimed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The appendix of a study whose evaluations have everything."""
    return written(renewed(), tmp_path_factory.mktemp("claimed"))[1]


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Page one and appendix of the study that claims no interval."""
    return written(unclaimed(), tmp_path_factory.mktemp("without"))


@pytest.fixture(scope="module")
def french(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Its appendix in French."""
    return written(unclaimed(), tmp_path_factory.mktemp("french"), "fr")[1]


def rows_after(text: str, heading: str) -> list[list[str]]:
    lines = text.split(heading)[1].strip().split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_matrix_counts_every_object_once(claimed: str) -> None:
    head, _, *rows = rows_after(claimed, "the class they were called (columns), at the best threshold:")
    assert head == ["", *map(str, range(10)), "Missed"]
    assert [row[0] for row in rows] == [*map(str, range(10)), "Background"]
    assert rows[5][1:] == ["·", "·", "·", "·", "·", "30", "·", "·", "·", "9", "·"]
    assert rows[2][-1] == "4"
    assert rows[10][7] == "6"
    assert "5 taken for 9 (9); 3 taken for 8 (7)" in claimed
    assert "Found rightly, with another name too: 4 also called 1 (11)" in claimed
    assert "again=true" not in claimed


def test_of_many_classes_the_most_confused_and_others_are_shown(tmp_path: Path) -> None:
    names = [{"name": f"c{i}", "truths": 40, "AP50-95": 0.5, "AP50": 0.7} for i in range(14)]
    many = matrix(14)
    many[12][13] = 5
    _, text = written(renewed(confusion_matrix=many, per_class=names), tmp_path)
    head, _, *rows = rows_after(text, "the class they were called (columns), at the best threshold:")
    assert len(head) == 13
    assert {"c2", "c3", "c5", "c6", "c8", "c9", "c12", "c13"} <= set(head)
    assert head[-2:] == ["others", "Missed"]
    assert rows[-2][-2] == "120", "four classes of 30 that nobody confuses"
    assert sum(int(v) for row in rows for v in row[1:] if v != "·") == sum(map(sum, many))


def test_no_cell_is_lost_when_classes_are_added_up() -> None:
    cells = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 1, 2, 3], [4, 5, 6, 0]]
    shown, others, cut = condensed(cells, 1)
    assert (shown, others) == ([2], True)  # 29 mistakes in its row and column, against 27 and 28
    assert cut == [[2, 10, 3], [10, 14, 12], [6, 9, 0]]
    assert condensed(cells, 3) == ([0, 1, 2], False, cells)


def test_old_records_say_what_they_count(tmp_path: Path) -> None:
    _, text = written(deep_study(), tmp_path)
    assert "3 taken for 8 (7); 1 taken for 7 (5) (boxes over objects that were found rightly are counted too" in text
    assert "also called" not in text
    assert "Objects by class" not in text


def test_regions_to_ignore_are_counted_where_there_are_any(claimed: str, without: tuple[str, str]) -> None:
    assert "On ignored regions" not in claimed
    head, _, *rows = rows_after(without[1], "(kinds after TIDE):")
    assert {row[head.index("On ignored regions")] for row in rows} == {"17"}


def test_why_there_is_no_interval_is_said(claimed: str, without: tuple[str, str]) -> None:
    page, text = without
    assert f"; no interval is claimed: “{NOTE}”." in page.split("\n## ")[0]
    assert text.count(NOTE) == 2, "once for val and once for test"
    assert f"No interval is claimed on val: “{NOTE}”." in text
    assert "[no interval]" in text
    assert "no interval" not in claimed


@pytest.mark.parametrize("word", ["5 pris pour 9 (9)", "4 appelé aussi 1 (11)", "Sur des régions ignorées", "« fewer"])
def test_french_says_it_too(word: str, french: str) -> None:
    assert word in french
