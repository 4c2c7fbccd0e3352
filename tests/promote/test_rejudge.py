"""A champion on a test split that it was not registered with: it runs there, and is compared on equal images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from src.common.errors import UserError
from src.config.schema import DataConfig
from src.data import load_split, resolve
from src.evaluate import save_ground_truth
from src.promote import rejudge
from src.promote.__main__ import judge
from src.promote.recorded_model import RecordedModel, deficit
from src.promote.registry import Registry
from src.records.schema import Artifact, DatasetRef
from src.records.sweep_folder import SweepFolder
from tests.conftest import ROOT
from tests.promote.test_promote import judged, tiny_onnx

NAMES = ["zero", "one"]
PLAN = {"runtime": "onnxruntime", "threads": 1, "class_names": NAMES}
STANDING = RecordedModel("a" * 64, "host", 10.0, "p95", "same", None)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DatasetRef:
    """Pictures whose one object lies where the tiny detector always sees it, in two of three test images."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for folder in ("images", "labels"):
            (root / folder / split).mkdir(parents=True)
        for i in range(6):
            picture = Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8))
            picture.save(root / "images" / split / f"{split}{i}.png")
            where = 0.5 if i % 3 else 0.2
            (root / "labels" / split / f"{split}{i}.txt").write_text(f"1 {where} {where} 0.3125 0.3125\n")
    names = "".join(f"  {i}: {name}\n" for i, name in enumerate(NAMES))
    (root / "data.yaml").write_text(f"train: images/train\nval: images/val\ntest: images/test\nnames:\n{names}")
    return resolve(DataConfig(name="tiny", kind="yolo", path=str(root / "data.yaml")), root / "outputs")


def decision(dataset: DatasetRef, folder: Path) -> Any:
    """What is needed of a decision."""
    save_ground_truth(SweepFolder(folder).ground_truth(dataset.fingerprint, "test"), load_split(dataset, "test"))
    best = SimpleNamespace(trial=SimpleNamespace(dataset=dataset))
    return SimpleNamespace(
        recommended=SimpleNamespace(best=best),
        saved=SimpleNamespace(folder=folder),
        settings=SimpleNamespace(margin=0.01, confidence=0.95),
    )


def test_it_is_judged_on_the_images_of_the_challenger(dataset: DatasetRef, tmp_path: Path) -> None:
    tiny_onnx(tmp_path / "tiny.onnx", 0.0)
    path = str(tmp_path / "tiny.onnx")
    made = Artifact("onnx", "fp32", path, "0" * 64, 1, [1, 3, 64, 64], 0.0, "0" * 64)
    found = rejudge.on_split_of(decision(dataset, tmp_path), STANDING, made, PLAN)
    assert found.evaluation is not None
    assert (found.sha256, found.test) == (STANDING.sha256, dataset.split_fingerprints["test"])
    assert found.evaluation.n_images == 6
    assert 0.3 < found.evaluation.figures["mAP50-95"] < 0.8, "four objects of six, among two misses"
    gap = deficit(found, replace(found, sha256="c" * 64))
    assert gap is not None
    assert (gap.delta, gap.se) == (0, 0)
    with pytest.raises(UserError, match="other classes"):
        rejudge.on_split_of(decision(dataset, tmp_path), STANDING, made, {**PLAN, "class_names": ["x"]})


@pytest.mark.slow
def test_a_fresh_test_split_goes_on_with_the_champion_of_before(
    dataset: DatasetRef, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = Registry(f"sqlite:///{tmp_path / 'mlflow.db'}", "detsweep")
    experiment = registry.client.create_experiment("detsweep", artifact_location=(tmp_path / "artifacts").as_uri())
    run_id = registry.client.create_run(experiment).info.run_id
    tiny_onnx(tmp_path / "tiny.onnx", 0.0)
    path = str(tmp_path / "tiny.onnx")
    made = Artifact("onnx", "fp32", path, "0" * 64, 1, [1, 3, 64, 64], 0.0, "0" * 64)
    plan = {**PLAN, "confidence": 0.25, "imgsz": 64}
    registry.promote(registry.register(run_id, made, plan, judged(0.5, "a", test="old"), ROOT / "src"))

    of = decision(dataset, tmp_path)
    fresh = rejudge.on_split_of(of, replace(STANDING, sha256="b" * 64), made, PLAN)
    found = judge(registry, fresh, of)
    assert [g.name for g in found.gates if not g.passed] == []
    assert "use 1 of this test split" in found.gates[0].said
    assert "it runs over its images now" in capsys.readouterr().out

    of.recommended.best.trial.dataset = replace(dataset, class_names=["others"])
    found = judge(registry, fresh, of)
    assert not found.passed
    assert "it knows other classes" in capsys.readouterr().out
