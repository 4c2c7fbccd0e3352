"""Records that can't be true are refused with their file and field, before anything is decided on them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src.common.errors import UserError
from src.decide.load import load_sweep
from src.records.schema import ImageResamples
from src.records.store import save
from tests.report.factory import DATASET, deep_study, study

Change = Callable[[dict[str, Any]], None]


def set_at(*path: Any, value: Any) -> Change:
    """Puts `value` at a place of a record."""

    def change(record: dict[str, Any]) -> None:
        for step in path[:-1]:
            record = record[step]
        record[path[-1]] = value

    return change


CASES: dict[str, tuple[str, Change]] = {
    "measurements[0].batch": ("finalist.json", set_at("measurements", 0, "batch", value=0)),
    "latency.p90": ("finalist.json", set_at("measurements", 0, "latency", "p90", value=-0.5)),
    "latency.intervals.p90": ("finalist.json", set_at("measurements", 0, "latency", "intervals", "p90", value=[5, 1])),
    "rounds.p90": ("finalist.json", set_at("measurements", 0, "rounds", value={"p90": [-3.0, 1.0]})),
    "rounds.p50": ("finalist.json", set_at("measurements", 0, "rounds", value={"p50": []})),
    "memory_mb": ("finalist.json", set_at("measurements", 0, "memory_mb", value=-5.0)),
    "verifications[0].reference_map": ("finalist.json", set_at("verifications", 0, "reference_map", value=1e308)),
    "metrics.mAP50-95": ("finalist.json", set_at("verifications", 0, "metrics", "mAP50-95", value=1.2)),
    "metrics.val/mAP50-95": ("record.json", set_at("metrics", "val/mAP50-95", value=1.7)),
    "n_trials": ("sweep.json", set_at("n_trials", value=-2)),
    "decision.margin": ("sweep.json", set_at("decision", "margin", value=-1)),
    "decision.confidence": ("sweep.json", set_at("decision", "confidence", value=0.2)),
    "looks[0].trainings": ("sweep.json", set_at("looks", value=[{"foo": 1}])),
    "looks[0].share": ("sweep.json", set_at("looks", value=[{"trainings": 4, "share": 7}])),
    "looks[0].questions": ("sweep.json", set_at("looks", value=[{"trainings": 4, "share": 1, "questions": 5}])),
    "looks[0].speed": ("sweep.json", set_at("looks", value=[{"trainings": 4, "share": 1, "speed": "x"}])),
    "halving": ("sweep.json", set_at("halving", value={"epochs": 8, "rungs": 2, "brackets": []})),
    "freedom": ("images.json", set_at("freedom", value=0)),
    "split": ("images.json", set_at("split", value="test")),
    "value": ("images.json", set_at("value", value=-1.0)),
    "resamples": ("images.json", set_at("resamples", value=[0.4, 3.0])),
}


EVALUATION: dict[str, Change] = {  # a figure on test of 1.85 stood on page one, and rows that were cut were a traceback
    "figures.mAP50-95": set_at("figures", "mAP50-95", value=1.85),
    "figures.f1": set_at("figures", "f1", value=-1),
    "intervals.mAP50-95": set_at("intervals", "mAP50-95", value=[0.4]),
    "intervals.mAP50": set_at("intervals", "mAP50", value=[0.7, 0.4]),
    "standard_errors.mAP50-95": set_at("standard_errors", "mAP50-95", value=-0.1),
    "errors.missed": set_at("errors", "missed", value=-70),
    "resamples": set_at("resamples", 0, value=7),
    "curve": set_at("curve", 0, value=[0.1]),
    "split": set_at("split", value="train"),
    "n_images": set_at("n_images", value=-1),
}


def test_a_latency_that_its_rounds_contradict_is_refused(tmp_path: Path) -> None:
    sweep = study()
    first, *others = sweep.finalists[0].measurements
    p90 = first.latency.p90 or 0.0
    rounds = {"p90": [p90 / 1.1, p90 * 1.1], "mean": [1.0, 9.0]}  # a mean is that of all calls, not of the rounds
    sweep.finalists[0] = replace(sweep.finalists[0], measurements=[replace(first, rounds=rounds), *others])
    folder = sweep.write(tmp_path)
    load_sweep(folder)
    path = folder / "trials" / f"{sweep.finalists[0].trial:04d}" / "finalist.json"
    record = json.loads(path.read_text())
    record["measurements"][0]["latency"]["p90"] = 1.0  # would keep any limit, while the rounds that compare stay
    path.write_text(json.dumps(record))
    with pytest.raises(UserError, match=r"measurements\[0\]\.latency\.p90 is not what its rounds say"):
        load_sweep(folder)


def test_an_evaluation_without_its_figure_is_refused(tmp_path: Path) -> None:
    folder = deep_study().write(tmp_path)
    path = next(folder.rglob("evaluation/test-*.json"))
    record = json.loads(path.read_text())
    del record["figures"]["mAP50-95"]
    path.write_text(json.dumps(record))
    with pytest.raises(UserError, match=r"figures\.mAP50-95 is missing"):
        load_sweep(folder)


@pytest.mark.parametrize("field", EVALUATION)
def test_an_evaluation_that_cant_be_true_is_refused(field: str, tmp_path: Path) -> None:
    folder = deep_study().write(tmp_path)
    path = next(folder.rglob("evaluation/test-*.json"))
    record = json.loads(path.read_text())
    EVALUATION[field](record)
    path.write_text(json.dumps(record))
    with pytest.raises(UserError) as refused:
        load_sweep(folder)
    assert field in refused.value.what
    assert path.name in refused.value.what


@pytest.mark.parametrize("field", CASES)
def test_what_cant_be_true_is_refused(field: str, tmp_path: Path) -> None:
    folder = study().write(tmp_path)
    resamples = ImageResamples("friday", 2, "val", DATASET.fingerprint, 120, 120, 119, 1, 0.41, 0.01, [0.4, 0.41])
    save(folder / "trials" / "0002" / "images.json", resamples)
    assert load_sweep(folder).images[2] == resamples
    name, change = CASES[field]
    path = folder / name if name == "sweep.json" else folder / "trials" / "0002" / name
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    with pytest.raises(UserError) as refused:
        load_sweep(folder)
    assert field in refused.value.what
    assert name in refused.value.what
