"""The profile of val that goes into the registered model."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from src.common.errors import UserError
from src.data import load_split
from src.evaluate.files import Loaded
from src.monitor.profile import NAME, load_profile
from src.promote.reference_profile import kept, reference_profile
from src.promote.registry import Registry
from src.records.schema import Artifact, DatasetRef
from tests.conftest import ROOT
from tests.promote.test_promote import judged, tiny_onnx
from tests.promote.test_rejudge import PLAN
from tests.promote.test_rejudge import dataset as dataset  # a fixture


def decided(dataset: DatasetRef, folder: Path) -> Any:
    """What a profile is made from: detections of six images, one of them below the threshold, and timed calls."""
    np.savez(
        folder / "val.npz",
        image_index=np.array([0, 0, 1, 3, 3]),
        boxes=np.array([[0, 0, 9, 9], [0, 0, 9, 9], [5, 5, 20, 20], [1, 1, 8, 8], [30, 30, 50, 50]], float),
        scores=np.array([0.9, 0.5, 0.1, 0.6, 0.7]),
        classes=np.array([1, 0, 1, 0, 1]),
    )
    samples = {"rounds": [{"model_only/1": {"samples_ms": [1.0, 2.0]}}, {"model_only/1": {"samples_ms": [3.0]}}]}
    (folder / "samples.json").write_text(json.dumps(samples))
    measurement = SimpleNamespace(
        scope="model_only", batch=1, samples_file="samples.json", runtime_version="1", device="cpu", threads=2
    )
    best = SimpleNamespace(
        trial=SimpleNamespace(dataset=dataset, imgsz=64),
        val=SimpleNamespace(detections_file="val.npz"),
        val_depth=SimpleNamespace(figures={"threshold": 0.3}),
        measurement=measurement,
        test_map=0.61,
    )
    return SimpleNamespace(
        recommended=SimpleNamespace(best=best, runtime="onnxruntime", measured=False),
        saved=SimpleNamespace(folder=folder),
        settings=SimpleNamespace(margin=0.02, confidence=0.9),
        statistic="p90",
    )


def test_it_holds_val_as_the_model_saw_it(dataset: DatasetRef, tmp_path: Path) -> None:
    found = reference_profile(decided(dataset, tmp_path))
    assert found.class_names == ["zero", "one"]
    assert found.values["detections"] == [1, 0, 0, 2, 0, 0]
    assert found.classes == [(1,), (), (), (0, 1), (), ()]
    assert found.values["confidence_max"][0] == 0.9
    assert (found.values["pixels"], found.values["aspect"]) == ([4096.0] * 6, [1.0] * 6)
    assert 100 < min(found.values["brightness"]) < max(found.values["brightness"]) < 155
    assert (found.promise.accuracy, found.promise.threshold, found.promise.margin) == (0.61, 0.3, 0.02)
    assert sorted(found.latency_ms) == [1.0, 2.0, 3.0]


def test_one_box_is_one_detection() -> None:
    boxes = np.array([[0, 0, 9, 9], [0, 0, 9, 9], [1, 1, 5, 5]], float)
    found = kept(Loaded(boxes, np.array([3, 4, 5]), np.array([0.4, 0.8, 0.5])), 0.3)
    assert sorted(zip(found.scores, found.classes, strict=True)) == [(0.5, 5), (0.8, 4)]
    assert len(kept(Loaded(boxes, np.array([3, 4, 5]), np.array([0.4, 0.8, 0.5])), 0.9).scores) == 0


def test_without_pictures_or_detections_there_is_none(dataset: DatasetRef, tmp_path: Path) -> None:
    decision = decided(dataset, tmp_path)
    (tmp_path / "val.npz").unlink()
    with pytest.raises(UserError, match="can't be read"):
        reference_profile(decision)
    decision.recommended.best.val = None
    with pytest.raises(UserError, match="not verified"):
        reference_profile(decision)


def test_samples_outside_of_the_sweep_are_not_read(dataset: DatasetRef, tmp_path: Path) -> None:
    (tmp_path / "sweep").mkdir()
    decision = decided(dataset, tmp_path / "sweep")
    (tmp_path / "samples.json").write_text((tmp_path / "sweep" / "samples.json").read_text())
    decision.recommended.best.measurement.samples_file = "../samples.json"
    assert reference_profile(decision).latency_ms == []


@pytest.mark.slow
def test_it_travels_with_the_registered_model(dataset: DatasetRef, tmp_path: Path) -> None:
    import mlflow

    registry = Registry(f"sqlite:///{tmp_path / 'mlflow.db'}", "detsweep")
    experiment = registry.client.create_experiment("detsweep", artifact_location=(tmp_path / "artifacts").as_uri())
    run_id = registry.client.create_run(experiment).info.run_id
    tiny_onnx(tmp_path / "tiny.onnx", 0.0)
    made = Artifact("onnx", "fp32", str(tmp_path / "tiny.onnx"), "0" * 64, 1, [1, 3, 64, 64], 0.0, "0" * 64)
    own = reference_profile(decided(dataset, tmp_path))
    plan = {**PLAN, "confidence": 0.25, "imgsz": 64}
    version = registry.register(run_id, made, plan, judged(0.5, "a"), ROOT / "src", own)
    registry.model_of(version, tmp_path / "registered")
    found = load_profile(next((tmp_path / "registered").rglob(NAME)))
    assert (found.classes, found.promise.margin) == (own.classes, own.promise.margin)
    model = mlflow.pyfunc.load_model(f"models:/detsweep/{version}")
    assert len(model.predict(np.zeros((1, 64, 64, 3), np.uint8))) == 1
    assert len(load_split(dataset, "val")) == found.images
