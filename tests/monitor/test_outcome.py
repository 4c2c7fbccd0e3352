"""The outcome as a document, and labels that come as files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.common.errors import UserError
from src.monitor.experiment import Experiment
from src.monitor.outcome import NAME, as_json, conclude, load_outcome, markdown, take_labels
from src.monitor.plan import CHAMPION, ExperimentPlan
from tests.monitor.test_experiment import CLASSES, LABELS, PLAN, answer, run


def test_the_document_is_read_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(Experiment(tmp_path, replace(PLAN, mode="shadow")), 200, 0.5, 0.9)
    assert conclude(tmp_path, None, None) == 0
    found = load_outcome(tmp_path / "outcome" / NAME)
    assert (found.experiment, found.champion, found.challenger) == ("autumn", "4", "6")
    assert (found.verdict, found.advice) == ("better", "promote")
    assert "advice: promote" in capsys.readouterr().out
    raw = json.loads((tmp_path / "outcome" / NAME).read_text())
    assert raw["f1_difference"]["at_least"] > 0
    assert raw["arms"]["challenger"]["labelled"] == 200
    assert "confidence_mean" not in json.dumps(raw)


def test_without_labels_the_document_claims_nothing(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path, replace(PLAN, mode="shadow"))
    run(experiment, 60, 0.9, 0.2, labels=False)
    found = experiment.verdict()
    raw, page = as_json(found), markdown(found)
    assert (raw["verdict"], raw["advice"], raw["f1_difference"]["low"]) == ("open", "wait", None)
    assert "this says nothing about accuracy" in page
    assert "Agreement: " in page
    assert json.dumps(raw, allow_nan=False)


@pytest.mark.parametrize("mode", ["split", "shadow", "canary"])
def test_an_empty_experiment_has_a_document(mode: str, tmp_path: Path) -> None:
    found = Experiment(tmp_path, ExperimentPlan("a|b<c>", "4", "6", mode=mode)).verdict()  # type: ignore[arg-type]
    assert "No verdict: 0 labelled images" in markdown(found)
    assert "<c>" not in markdown(found)


def test_labels_come_from_a_folder(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path / "e", PLAN)
    rng = np.random.default_rng(0)
    for name in ("one", "two", "three"):
        experiment.record(name, {CHAMPION: answer(rng, 1.0, 0.0)}, size=(640, 480))
    folder = tmp_path / "labels"
    folder.mkdir()
    (folder / "one.json").write_text(json.dumps({"boxes": LABELS, "classes": CLASSES}))
    rows = [
        f"{c} {(x1 + x2) / 2 / 640} {(y1 + y2) / 2 / 480} {(x2 - x1) / 640} {(y2 - y1) / 480}"
        for (x1, y1, x2, y2), c in zip(LABELS, CLASSES, strict=True)
    ]
    (folder / "two.txt").write_text("\n".join(rows))
    (folder / "other.txt").write_text("")
    assert take_labels(experiment, folder) == (2, 1)
    assert take_labels(experiment, folder) == (0, 3)
    assert (experiment.verdict().champion.labelled, experiment.verdict().champion.f1) == (2, 1.0)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("one.json", "{", "labels can't be read"),
        ("one.json", '{"boxes": [[1, 2]], "classes": [0]}', "feedback is malformed"),
        ("one.txt", "0 0.5 0.5", "line 1"),
        ("two.txt", "0 0.5 0.5 0.1 0.1", "size of an image was not recorded"),
    ],
)
def test_labels_that_cant_be_read(name: str, content: str, says: str, tmp_path: Path) -> None:
    experiment = Experiment(tmp_path / "e", PLAN)
    experiment.record("one", {CHAMPION: answer(np.random.default_rng(0), 1.0)}, size=(640, 480))
    experiment.record("two", {CHAMPION: answer(np.random.default_rng(0), 1.0)})
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / name).write_text(content)
    with pytest.raises(UserError, match=says):
        take_labels(experiment, tmp_path / "labels")
    with pytest.raises(UserError, match="labels is no folder"):
        take_labels(experiment, tmp_path / "none")


@pytest.mark.parametrize("change", [{"advice": "guess"}, {"champion": 4}, {"said": None}])
def test_a_malformed_outcome_is_refused(change: dict[str, object], tmp_path: Path) -> None:
    raw = as_json(Experiment(tmp_path, PLAN).verdict())
    (tmp_path / NAME).write_text(json.dumps(raw | change))
    with pytest.raises(UserError, match="malformed"):
        load_outcome(tmp_path / NAME)
    with pytest.raises(UserError, match="can't be read"):
        load_outcome(tmp_path / "none")
