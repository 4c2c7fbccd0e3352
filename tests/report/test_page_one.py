"""Page one: three rows by the bounds that decide, what is open and what settles it, what would change the choice."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from src.decide.choice import Decision
from src.records.schema import FinalistRecord
from src.report import Options, load_decision, summary, write_report
from src.report.headline import headline
from src.report.page_one import PageOne
from src.report.section import interval_of
from src.report.text import catalogue
from tests.report.factory import ONNX, PYTORCH, Sweep, deep_study, evaluation, finalist, study, trial

MOST_WORDS = 1800


def open_sweep(**decision: Any) -> Sweep:
    """A good, slow configuration and a fast one behind it that two unsteady seeds can't rule out."""
    slow = [trial(i, imgsz=320, seed=i + 1, score=s) for i, s in enumerate((0.60, 0.61))]
    fast = [trial(2 + i, imgsz=160, seed=i + 1, score=s) for i, s in enumerate((0.52, 0.60))]
    finalists = [finalist(slow[1], (PYTORCH, ONNX)), finalist(fast[1], (PYTORCH, ONNX))]
    settings = {"name": "default", "max_export_loss": 0.02, "margin": 0.01, **decision}
    sweep = Sweep([*slow, *fast], finalists, settings)
    by_number = {t.trial: t for t in sweep.trials}
    sweep.evaluations = [evaluation(by_number[f.trial], v) for f in finalists for v in f.verifications]
    return sweep


def written(sweep: Sweep, tmp_path: Path) -> tuple[Decision, str, dict[str, Any]]:
    folder = sweep.write(tmp_path)
    path = write_report(folder, tmp_path / "reports")
    return load_decision(folder), path.read_text(), json.loads(path.with_suffix(".json").read_text())


def rows_of(text: str) -> list[list[str]]:
    """The cells of the first table."""
    lines = [line for line in text.split("\n## ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_three_rows_name_what_they_are(tmp_path: Path) -> None:
    _, text, _ = written(deep_study(), tmp_path)
    rows = rows_of(text)
    assert [r[0] for r in rows] == ["Best", "Recommended", "Cheapest refused: worse than the margin allows"]
    assert all(r[6] == "AGPL-3.0" for r in rows)


def test_rows_that_coincide_are_one(tmp_path: Path) -> None:
    _, text, _ = written(open_sweep(), tmp_path)
    assert [r[0] for r in rows_of(text)] == ["Best and recommended", "Cheapest refused: open"]


def test_the_bounds_that_decide_are_the_bounds_that_are_printed(tmp_path: Path) -> None:
    decision, text, got = written(open_sweep(), tmp_path)
    refused = headline(decision)[-1]
    assert refused.comparison is not None
    found = refused.comparison.deficit
    assert rows_of(text)[1][2] == f"{found.delta:.3f} [{found.low:.3f}; {found.high:.3f}]"
    key = (refused.candidate.configuration.config_id, refused.candidate.format)
    row = next(c for c in got["comparisons"] if (c["candidate"]["config_id"], c["candidate"]["format"]) == key)
    assert (row["delta"], row["interval"], row["bound"]) == (found.delta, [found.low, found.high], found.high)
    assert (row["status"], row["decided"], row["method"]) == ("open", False, "seeds and images")


def test_what_is_open_says_what_would_settle_it(tmp_path: Path) -> None:
    _, text, got = written(open_sweep(), tmp_path)
    page = text.split("\n## ")[0]
    assert "neither shown to be within the margin nor shown to be worse" in page
    question = got["open"][0]
    assert f"{question['seeds']} seeds of each" in page
    assert question["command"].endswith(f"study.until=decided study.max_trainings={4 + 2 * (question['seeds'] - 2)}")
    assert f"`{question['command']}`" in page
    assert {"config_id", "format", "precision", "runtime", "run_ids"} == question["rival"].keys()
    low, high = question["latency_ratio_interval"]
    assert low < question["latency_ratio"] < high < 1


def test_nothing_open_is_said(tmp_path: Path) -> None:
    _, text, got = written(deep_study(), tmp_path)
    assert got["open"] == []
    assert "no candidate that is measured to be faster could still be within the margin" in text


def test_a_seed_that_flips_the_choice_stands_on_page_one(tmp_path: Path) -> None:
    _, text, _ = written(deep_study(), tmp_path)
    assert "If seed 1 is dropped, the choice becomes v8n · 320 px" in text.split("\n## ")[0]


def test_decision_json_is_of_schema_two(tmp_path: Path) -> None:
    decision, _, got = written(deep_study(), tmp_path)
    assert got["schema_version"] == 2
    assert (got["margin"], got["confidence"]) == (0.03, 0.95)
    assert len(got["comparisons"]) == len(decision.feasible) - 1
    test = next(c["test"] for c in got["comparisons"] if c["test"])
    assert test["interval"][0] < test["delta"] < test["interval"][1]


def test_the_headline_is_the_test_figure_of_the_file_that_ships(tmp_path: Path) -> None:
    decision, text, _ = written(deep_study(), tmp_path)
    assert decision.recommended is not None
    depth = decision.recommended.best.test_depth
    assert depth is not None
    assert f"this very file reaches mAP50-95 {depth.figures['mAP50-95']:.3f} [" in text.split("\n|")[0]


def closed(record: FinalistRecord) -> FinalistRecord:
    """A finalist for which test was not opened."""
    kept = [v for v in record.verifications if v.split != "test"]
    return replace(record, verifications=kept, test_metrics={})


def test_a_candidate_without_test_reads_well(tmp_path: Path) -> None:
    """Test is opened for the recommended and the best alone."""
    sweep = open_sweep()
    sweep.finalists[1] = closed(sweep.finalists[1])
    sweep.evaluations = [e for e in sweep.evaluations if e.trial == 1 or e.split == "val"]
    _, text, got = written(sweep, tmp_path)
    assert rows_of(text)[1][3] == "—"
    assert "nan" not in text
    assert [
        c["test"] for c in got["comparisons"] if c["candidate"]["run_ids"] != got["recommended"]["run_ids"][1:]
    ] == [None] * 2


def test_a_replicate_without_test_takes_nothing_from_the_one_that_ships(tmp_path: Path) -> None:
    """Both replicates are exported; test is opened for the one that ships."""
    pair = [trial(i, seed=i + 1, score=s) for i, s in enumerate((0.50, 0.51))]
    found = [finalist(pair[0]), closed(finalist(pair[1]))]
    decision, text, got = written(Sweep(pair, found), tmp_path)
    assert decision.recommended is not None
    assert decision.recommended.best.trial.trial == 0
    assert "On test this very file reaches mAP50-95 0.490" in text
    assert "no_test" not in {r["risk"] for r in got["risks"]}


def test_no_figure_stands_twice(tmp_path: Path) -> None:
    """Figures with three digits or intervals; the margin and names of configurations are no figures."""
    decision, text, _ = written(open_sweep(), tmp_path)
    assert decision.recommended is not None
    plain = re.sub(r"`[^`]*`|lr [\d.]+", "", text).replace(f"{decision.settings.margin:.3f}", "")
    found = Counter(re.findall(r"\d+\.\d+ \[[^\]]*\]", plain))
    assert len(found) > 6
    assert [figure for figure, n in found.items() if n > 1] == []


@pytest.mark.parametrize("sweep", [deep_study(), open_sweep()])
def test_the_document_is_short(sweep: Sweep, tmp_path: Path) -> None:
    _, text, _ = written(sweep, tmp_path)
    assert len(text.split()) <= MOST_WORDS


@pytest.mark.parametrize(("sweep", "asks"), [(deep_study(), False), (open_sweep(), True)])
def test_the_terminal_fits_eighty_columns(sweep: Sweep, asks: bool, tmp_path: Path) -> None:
    decision = load_decision(sweep.write(tmp_path))
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(summary(decision))
    lines = console.export_text().splitlines()
    assert max(len(line) for line in lines) <= 80
    text = " ".join(" ".join(lines).split())
    part = PageOne(decision, catalogue("en"))
    for row in headline(decision):
        assert catalogue("en").say(part.role(row)).split(":")[0] in text
        assert f"{row.candidate.format}/{row.candidate.precision} · {row.candidate.runtime}" in text
    assert "…" not in text.replace(" … ", ""), "no cell is cut"
    assert ("study.until=decided" in text) == asks


def test_intervals_of_means_are_of_seeds_and_images(tmp_path: Path) -> None:
    """Two seeds by Student's t alone would reach beyond 1."""
    decision, text, got = written(open_sweep(), tmp_path)
    for c in decision.finished:
        low, high = interval_of(c, decision)
        assert 0 <= low < c.spread.mean < high <= 1
        assert f"{c.spread.mean:.3f} [{low:.3f}; {high:.3f}]" in text
    assert max(c["objective"]["high"] for c in got["configurations"]) <= 1


def test_one_seed_establishes_no_interval(tmp_path: Path) -> None:
    one = trial(0)
    _, text, got = written(Sweep([one], [finalist(one)]), tmp_path)
    assert "0.400 [not established]" in text
    assert got["configurations"][0]["objective"]["low"] is None


def test_an_unstable_configuration_is_named(tmp_path: Path) -> None:
    scores = {0.001: (0.60, 0.601, 0.602), 0.002: (0.59, 0.591, 0.592), 0.003: (0.40, 0.62, 0.50)}
    trials = [
        trial(3 * i + j, lr=lr, seed=j, score=s)
        for i, (lr, row) in enumerate(scores.items())
        for j, s in enumerate(row)
    ]
    _, text, _ = written(Sweep(trials, [finalist(trials[0])]), tmp_path)
    assert "Unstable over seeds, clearly more than the others: v8n · 160 px · lr 0.003." in text


def noisy_copy(record: FinalistRecord) -> FinalistRecord:
    """A finalist whose PyTorch measurement was disturbed."""
    found = []
    for m in record.measurements:
        wide = replace(m.latency, intervals={k: [v[0] / 4, v[1] * 4] for k, v in m.latency.intervals.items()})
        changes = {"latency": wide, "extra": {"contaminated_rounds": 2.0}} if m.format == "pytorch" else {}
        found.append(replace(m, **changes))  # type: ignore[arg-type]
    return replace(record, measurements=found)


def test_noise_is_told_of_candidates_that_did_not_win(tmp_path: Path) -> None:
    sweep = open_sweep()
    sweep.finalists[1] = noisy_copy(sweep.finalists[1])
    _, text, got = written(sweep, tmp_path)
    row = next(line for line in text.splitlines() if "160 px" in line and "pytorch/fp32" in line)
    assert "wide interval, 2 rounds disturbed" in row
    assert {"noisy", "disturbed"} <= {r["risk"] for r in got["risks"]}
    assert "for 1 of 4 candidates" in text


def test_french_page_one(tmp_path: Path) -> None:
    path = write_report(open_sweep().write(tmp_path), tmp_path / "reports", Options(language="fr"))
    page = path.read_text().split("\n## ")[0]
    assert "Ce qui reste ouvert" in page
    assert "study.until=decided" in page
    assert "0,1" in page or "0,0" in page


def test_what_is_rejected_is_not_called_recommended(tmp_path: Path) -> None:
    one = trial(0, score=0.0)
    folder = Sweep([one], [finalist(one, test=None)]).write(tmp_path)
    page = write_report(folder, tmp_path / "reports").read_text().split("\n## ")[0]
    assert "Verdict: reject" in page
    assert "ecommended" not in page
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(summary(load_decision(folder)))
    assert "Which model ships" not in console.export_text()


def test_seeds_do_not_settle_what_export_changed(tmp_path: Path) -> None:
    """Without an evaluation in depth nobody knows what int8 loses; more seeds would not tell."""
    _, text, got = written(study(), tmp_path)
    int8 = [q for q in got["open"] if q["candidate"]["precision"] == "int8"]
    assert int8
    assert all(q["seeds"] is None and q["command"] is None for q in int8)
    assert "python -m src.evaluate sweep=friday" in text.split("\n## ")[0]


def test_a_file_that_was_made_after_test_was_opened_has_no_figure_on_it(tmp_path: Path) -> None:
    """The checkpoint was judged on test, and then its export was made again: the new file never was."""
    pair = [trial(i, seed=i + 1, score=s) for i, s in enumerate((0.50, 0.51))]
    first = finalist(pair[0])
    kept = [v for v in first.verifications if v.split != "test" or v.format == "pytorch"]
    assert first.test_metrics
    decision, text, _ = written(Sweep(pair, [replace(first, verifications=kept), closed(finalist(pair[1]))]), tmp_path)
    assert decision.recommended is not None
    assert decision.recommended.best.trial.trial == 0
    assert decision.recommended.best.artifact is not None
    assert decision.recommended.best.artifact.format != "pytorch"
    assert "On test" not in text.split("\n|")[0]
    assert "nan" not in text


def test_what_was_never_exported_broke_no_limit(tmp_path: Path) -> None:
    sweep = open_sweep()
    sweep.trials += [trial(8 + i, imgsz=160, lr=0.005, seed=i + 1, score=s) for i, s in enumerate((0.5, 0.51))]
    _, text, _ = written(sweep, tmp_path)
    row = next(line for line in text.splitlines() if "lr 0.005" in line and "T8" in line)
    assert "not exported, so not compared" in row
    assert "limits" not in row
