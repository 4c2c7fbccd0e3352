"""Records of earlier versions say in today's fields what their model takes and answers with."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from src.records.earlier import artifact_from
from src.records.model_io import LAYOUTS, Input, Output
from src.records.parsing import RecordError
from src.records.schema import Artifact, Checkpoint, FinalistRecord
from src.records.store import load, save

OLD: dict[str, Any] = {
    "format": "onnx",
    "precision": "fp32",
    "path": "model.onnx",
    "sha256": "a" * 64,
    "size_bytes": 1,
    "input_shape": [-1, 3, 96, 128],
    "export_s": 0.5,
    "source_sha256": "b" * 64,
    "tool_versions": {"onnx": "1"},
    "head": "queries",
    "facts": {"weights_f32": "1.0"},
    "names": ["a", "b"],
    "classes": 0,
    "task": "detect",
    "outputs": [1],
}


def test_an_artifact_of_an_earlier_version_is_read() -> None:
    found = artifact_from(OLD)
    assert found.input == Input(96, 128, "stretch")
    assert found.output == Output("listed", units="unit", nms=True, classes=2, task="detect", picks=[1])
    assert (found.family, found.names, found.facts) == ("ultralytics", ["a", "b"], {"weights_f32": "1.0"})


def test_one_from_before_layouts_had_a_name_is_a_plain_yolos() -> None:
    needed = ("format", "precision", "path", "sha256", "size_bytes", "export_s", "source_sha256")
    old = {key: OLD[key] for key in needed}
    found = artifact_from({**old, "input_shape": [1, 3, 64, 64]})
    assert (found.input, found.output) == (None, None)
    found = artifact_from({**old, "input_shape": [1, 3, 64, 64], "head": "dense"})
    assert (found.input, found.output) == (Input(64, 64, batch=1), Output())


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_that_was_written_is_known(name: str) -> None:
    found = artifact_from({**OLD, "head": name})
    assert found.output is not None
    assert dataclasses.replace(found.output, classes=0, task="", picks=[]) == LAYOUTS[name]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"head": "../x"}, "not known"),
        ({"head": 7}, "not known"),
        ({"input_shape": "big"}, "input_shape"),
        ({"classes": "many"}, "classes"),
        ({"outputs": 3}, "picks"),
        ({"evil": 1}, "evil"),
    ],
)
def test_what_makes_no_sense_is_named(change: dict[str, Any], says: str) -> None:
    with pytest.raises(RecordError, match=says):
        artifact_from({**OLD, **change})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"height": -64}, "-64 x 64 px"),
        ({"std": [1.0, 0.0, 1.0]}, "std"),
        ({"mean": [1.0]}, "three numbers"),
        ({"resize": "crop"}, "none of letterbox"),
    ],
)
def test_an_input_that_no_image_fits_into_is_named(change: dict[str, Any], says: str) -> None:
    now = {key: value for key, value in OLD.items() if key not in ("head", "classes", "task", "outputs")}
    with pytest.raises(RecordError, match=f"artifact.input.*{says}"):
        artifact_from({**now, "input": {"height": 64, "width": 64, **change}})


def test_what_is_no_artifact_is_refused() -> None:
    cases: list[Any] = [5, None, [], "x"]
    for raw in cases:
        with pytest.raises(RecordError):
            artifact_from(raw)


def test_a_finalists_record_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    now = Artifact("onnx", "fp16", "new.onnx", "c" * 64, 1, [-1, 3, 64, 64], 0.1, "b" * 64, output=Output(classes=3))
    path = tmp_path / "finalist.json"
    save(path, FinalistRecord("s", 0, "c", "r", artifacts=[now]))
    raw = json.loads(path.read_text())
    raw["artifacts"].append(OLD)
    path.write_text(json.dumps(raw))
    record = load(FinalistRecord, path)
    assert record.artifacts[0] == now
    assert record.artifacts[1] == artifact_from(OLD)
    save(path, record)
    assert load(FinalistRecord, path) == record, "and is written in today's fields"
    assert '"head"' not in path.read_text()
    raw["artifacts"][1]["head"] = "odd"
    path.write_text(json.dumps(raw))
    with pytest.raises(RecordError, match=r"artifacts\[1\].head: the layout 'odd' is not known"):
        load(FinalistRecord, path)


def test_a_checkpoint_of_an_earlier_version_is_ultralytics() -> None:
    found = Checkpoint("x.pt", "a", "b", "v8n", 64, 1, 1, 1, "scratch", 1, 0.1)
    assert (found.family, found.licence, found.input, found.output) == ("ultralytics", "", None, None)
