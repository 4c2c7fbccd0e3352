"""What is served goes on being served, whatever becomes of the registry and of versions that can't be loaded."""

from __future__ import annotations

import itertools
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2 as codes

from src.common.errors import UserError
from src.promote.registry import Registry
from src.promote.serving_plan import CONFIDENCE, known_threshold
from src.records.schema import Artifact
from src.serve.metrics import Metrics
from src.serve.model_source import Copy, Source
from src.serve.options import ServeArgs
from src.serve.state import State, Trouble


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of the test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


class NoModel:
    """A registry whose version is none that anything here loads."""

    def model_of(self, version: str, folder: Path) -> Any:
        """A copy, of which half arrived."""
        (folder / "half").write_bytes(b"x")
        if version == "2":
            raise UserError("the model of version 2 can't be read")
        artifact = Artifact("onnx", "fp32", str(folder / "half"), "", 1, [1, 3, 64, 64], 0.0, "")
        return artifact, {"runtime": "onnxruntime", "threads": 1, "confidence": 0.5, "class_names": [], "imgsz": 64}


@pytest.mark.parametrize("version", ["2", "3"])
def test_a_version_that_cannot_be_had_or_loaded_leaves_nothing(version: str, place: Path) -> None:
    source = Source(ServeArgs())
    source._registry = NoModel()
    for _ in range(2):
        with pytest.raises(UserError):
            source.open(source.fetch(version))
    assert not list(place.iterdir())


def test_a_threshold_that_is_no_number_is_the_usual_one(onnx: Artifact, place: Path) -> None:
    """A model that learned nothing has no best threshold, and JSON has no word for none."""
    plan = {"runtime": "onnxruntime", "threads": 1, "confidence": float("nan"), "class_names": ["a"], "imgsz": 64}
    served = Source(ServeArgs()).open(Copy("1", place, onnx, plan))
    assert served.confidence == CONFIDENCE == known_threshold(None)
    assert known_threshold(0.0) == 0


def test_trouble_is_told_once_and_a_broken_version_is_tried_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    trouble, told, tried = Trouble(5), [], []
    for now in range(0, 3600, 5):
        if trouble.is_over("3"):
            tried.append(now)
            told.append(trouble.news("3", f"can't load /tmp/detsweep-serve-{now}/x"))
    assert [b - a for a, b in itertools.pairwise(tried)][:5] == [10, 20, 40, 80, 160]
    assert len(tried) < 20
    assert [text for text in told if text] == ["can't load /tmp/…/x"]
    assert trouble.is_over("4"), "another version is tried at once"
    assert trouble.news("", "the registry is away")


def test_the_end_does_not_wait_for_a_registry_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    args, never = ServeArgs(poll_s=0.01), threading.Event()
    state = State(args, Metrics())
    asked = threading.Event()

    def hang() -> str:
        asked.set()
        never.wait(60)
        return "1"

    monkeypatch.setattr(state._source, "version", hang)
    state._follower = threading.Thread(target=state._follow, daemon=True)
    state._follower.start()
    assert asked.wait(10)
    begun = time.monotonic()
    state.stop()
    assert time.monotonic() - begun < 5
    never.set()


def test_a_registry_that_is_away_has_not_no_such_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    registry = Registry(f"sqlite:///{tmp_path}/mlflow.db", "detsweep")

    def fails(code: int) -> Any:
        def call(*_: Any) -> Any:
            raise MlflowException("API request failed", error_code=code)

        return call

    for code in (codes.INTERNAL_ERROR, codes.TEMPORARILY_UNAVAILABLE, codes.PERMISSION_DENIED):
        monkeypatch.setattr(registry.client, "get_model_version_by_alias", fails(code))
        with pytest.raises(UserError, match="does not answer"):
            registry.version_of("champion")
    for code in (codes.RESOURCE_DOES_NOT_EXIST, codes.INVALID_PARAMETER_VALUE):
        monkeypatch.setattr(registry.client, "get_model_version_by_alias", fails(code))
        assert registry.version_of("champion") is None
