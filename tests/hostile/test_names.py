"""Names from outside stay inside their folder and mean nothing in Markdown, HTML and CSV."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from src.common.csv_cells import FORMULA, NUMBER, cell
from src.common.errors import UserError
from src.evaluate.sweep import evaluation_file
from src.inference import Detections
from src.predict.model import Opened
from src.predict.sources import Frame
from src.predict.writers import Csv
from src.records.schema import Artifact, Verification
from src.records.sweep_folder import is_name
from src.report.markdown import code, escape, table
from src.report.tables import to_csv
from src.report.write import write_report
from tests.report.factory import DATASET, Sweep, finalist, trial

NASTY = [
    "../../escaped", "/tmp/escaped", "a\nb", "=cmd|' /C calc'!A0", "+1+1", "-2+3+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1",
    " =1", "\r\n=1", "＝1", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[a](javascript:alert(1))",
    "![a](http://127.0.0.1/x.png)", "a|b", "`x`", "**b**", "# h", "- l", "> q", "1. n", "&lt;", "\u202egnp.exe", "é💥",
    "'\"", "{{ 7*7 }}", "{% raw %}", "</td></table>", "http://127.0.0.1/", "~~s~~", "a\\",
    "[x]: http://a", "<!-- c -->", "$\\frac{x", "a$b$c", "%s%n",
]  # fmt: skip
SIGNS = "=+-@|`*_[]()<>!#&~\\\n\t '\"{}%./:ab1"
TEXT = st.one_of(st.sampled_from(NASTY), st.text(max_size=40), st.text(SIGNS, max_size=25))


def as_read(value: object) -> str:
    stream = io.StringIO()
    csv.writer(stream).writerow([cell(value), "end"])
    return next(csv.reader(io.StringIO(stream.getvalue(), newline="")))[0]


@given(TEXT)
@settings(max_examples=400, deadline=None)
def test_no_text_becomes_a_formula_and_none_is_lost(text: str) -> None:
    found = as_read(text)
    assert NUMBER.fullmatch(found) or not found.lstrip().startswith(FORMULA)
    assert found.removeprefix("'") == text.replace("\0", "").removeprefix("'")


@given(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False)))
def test_numbers_stay_numbers_also_negative_ones_and_as_text(number: float) -> None:
    assert float(as_read(number)) == float(number)
    assert float(as_read(repr(number))) == float(number)


class Tags(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def shown(markdown: str) -> Tags:
    page = Tags()
    page.feed(MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown))
    return page


@given(TEXT)
@settings(max_examples=400, deadline=None)
def test_text_in_a_table_cell_is_shown_as_it_is(text: str) -> None:
    page = shown(table(["a", "b"], [["x", text], ["y", "end"]]))
    assert set(page.tags) <= {"table", "thead", "tbody", "tr", "th", "td"}
    assert page.tags.count("td") == 4
    assert " ".join(text.replace("\0", "\ufffd").split()) in " ".join(page.text.split())


@given(TEXT)
@settings(max_examples=300, deadline=None)
def test_text_in_a_sentence_brings_no_element(text: str) -> None:
    assert set(shown(f"before {escape(text)} after").tags) <= {"p"}
    assert set(shown(f"before {code(text)} after").tags) <= {"p", "code"}


@pytest.mark.parametrize("name", NASTY)
def test_a_name_in_a_record_is_escaped_in_the_whole_report(name: str, tmp_path: Path) -> None:
    one = trial(0, dataset=replace(DATASET, name=name, class_names=[name, "b"]), overrides=[f"train.x={name}"])
    one = replace(one, model=name)
    document = write_report(Sweep([one], [finalist(one)]).write(tmp_path / "o"), tmp_path / "r")
    page = "".join((document.parent / f"{name}.html").read_text() for name in ("decision", "appendix"))
    assert "<script" not in page
    assert "onerror=" not in re.sub(r"&lt;.*?(&gt;|…)", "", page)  # long names are cut
    assert 'href="javascript' not in page
    assert 'src="http' not in page
    for row in csv.reader((document.parent / "trials.csv").open(newline="")):
        assert not [c for c in row if c.lstrip().startswith(FORMULA) and not NUMBER.fullmatch(c)]
    assert {p.name for p in tmp_path.iterdir()} == {"o", "r"}
    assert {p.name for p in (tmp_path / "r").iterdir()} == {"friday"}


@pytest.mark.parametrize("name", ["..", ".", "../../escaped", "/tmp/detsweep-escaped", "a/b", "", "other"])
def test_a_sweep_record_that_names_another_place_writes_no_report(name: str, tmp_path: Path) -> None:
    folder = Sweep([]).write(tmp_path / "o")
    file = folder / "sweep.json"
    file.write_text(file.read_text().replace('"sweep": "friday"', f'"sweep": "{name}"'))
    with pytest.raises(UserError):
        write_report(folder, tmp_path / "r")
    assert [p.name for p in tmp_path.iterdir()] == ["o"]


@given(TEXT)
def test_a_name_of_a_sweep_is_one_part_of_a_path(text: str) -> None:
    if is_name(text):
        assert Path("/x", text).resolve().parent == Path("/x")
        assert text not in (".", "..")


@pytest.mark.parametrize("key", ["split", "runtime", "format", "precision"])
def test_an_evaluation_can_not_be_written_elsewhere(key: str, tmp_path: Path) -> None:
    plain = asdict(finalist(trial(0)).verifications[0])
    with pytest.raises(UserError, match=key):
        evaluation_file(tmp_path, Verification(**{**plain, key: "../../x"}))


def test_predictions_of_classes_with_formulas_for_names(tmp_path: Path) -> None:
    artifact = Artifact("onnx", "fp32", "x", "", 0, [1, 3, 32, 32], 0.0, "")
    writer = Csv(tmp_path, Opened(artifact, ["=cmd|calc", "b"]))
    boxes = np.array([[-1.5, 0.0, 2.0, 2.0]], np.float32)
    frame = Frame("@name", np.zeros((4, 4, 3), np.uint8))
    writer.add(frame, Detections(boxes, np.array([0.5], np.float32), np.array([0])))
    writer.close()
    row = list(csv.reader((tmp_path / "predictions.csv").open(newline="")))[1]
    assert row[0] == "'@name"
    assert row[4] == "'=cmd|calc"
    assert row[6] == "-1.50"


def test_to_csv_escapes_headers_too() -> None:
    assert to_csv([{"=x": -1}], []).splitlines() == ["'=x", "-1"]


def test_the_report_says_when_a_checkpoint_was_trusted(tmp_path: Path) -> None:
    plain = trial(0)
    for trust in (True, False):
        one = replace(plain, config={"model": {"weights": "stranger.pt", "trust": trust}})
        document = write_report(Sweep([one]).write(tmp_path / "o"), tmp_path / "r")
        assert ("stranger.pt" in document.read_text()) is trust
