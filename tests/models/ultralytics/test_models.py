"""Every model of the group trains one epoch, exports to ONNX and benchmarks; so does a larger scale."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import yaml

from src.benchmark import measure
from src.config.schema import BenchmarkConfig
from src.data import load_split
from src.export import export
from src.models.base import Start, family
from src.models.transformers.configurations import BUILDERS
from src.records.schema import DatasetRef
from tests.conftest import ROOT
from tests.models.ultralytics.toy import run, toy


def _from_scratch(file: Path) -> bool:
    """Whether a model can be built without a folder of published weights (those: tests/models/transformers)."""
    values = yaml.safe_load(file.read_text())
    return values.get("family") != "transformers" or values["architecture"] in BUILDERS


MODELS = sorted(p.stem for p in (ROOT / "conf" / "model").glob("*.yaml") if _from_scratch(p))
LARGER = {"rfdetr_s": ["imgsz=128"]}  # what can't take 64 px
WORDS = [*[[f"model={name}", *LARGER.get(name, [])] for name in MODELS], ["model=v8n", "model.scale=s"]]


RECIPES = sorted(p.stem for p in (ROOT / "conf" / "train").glob("*.yaml"))


@pytest.fixture(scope="module")
def finished(dataset: DatasetRef, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A finished checkpoint, and one of a larger scale."""
    out = tmp_path_factory.mktemp("finished")
    cfgs = {"same": toy(), "larger": toy("model.scale=s")}
    return {name: run(cfg, dataset, out / name).checkpoint.path for name, cfg in cfgs.items()}


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_trains(recipe: str, dataset: DatasetRef, tmp_path: Path, finished: dict[str, str]) -> None:
    words = {
        "qat": [f"model.weights={finished['same']}", "train.qat_batches=1"],
        "distill": [f"train.distill_model={finished['larger']}"],
    }.get(recipe, [])
    cfg = toy(f"train={recipe}", "epochs=5", *words)
    start = Path(finished["same"]) if recipe in ("qat", "finetune") else None
    result = run(cfg, dataset, tmp_path / "t", start=start)
    assert len(result.history) == 5
    assert all(math.isfinite(value) for row in result.history for value in row.values())
    assert any("dis" in name for name in result.history[0]) == (recipe == "distill")


@pytest.mark.slow
@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_a_model_trains_exports_and_benchmarks(words: list[str], dataset: DatasetRef, tmp_path: Path) -> None:
    cfg = toy("imgsz=64", *words)
    start = Start(None, "scratch")
    result = family(cfg.model.family).train(
        cfg.training, dataset, start, tmp_path / "train", 1, lambda epoch, row: None
    )
    assert len(result.history) == 1
    assert result.checkpoint.parameters > 900_000
    artifact = export(result.checkpoint, "onnx/fp32", tmp_path / "artifacts", cfg.export)
    images = [sample.image for sample in load_split(dataset, "val")]
    plan = BenchmarkConfig(name="test", warmup=1, min_seconds=0, min_samples=2, max_seconds=5, rounds=1, batches=[1])
    found, failures = measure(
        [(artifact, "onnxruntime")], plan, images, threads=1, out_dir=tmp_path / "samples", base=tmp_path
    )
    assert not failures
    assert [m.format for m in found if m.scope == "model_only"] == ["onnx"]
