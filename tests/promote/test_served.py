"""The registered model as it is served: on the runtime that was measured, and with nothing that it doesn't need."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.promote.recorded_model import RecordedModel
from src.promote.registry import Registry
from src.promote.requirements import requirements
from src.promote.serving_plan import plan_of
from src.records.schema import Artifact
from src.report import load_decision
from tests.conftest import ROOT
from tests.exported_models import artifact_of
from tests.promote.test_promote import tiny_onnx
from tests.report.factory import deep_study

STANDING = RecordedModel("a" * 64, "host", 10.0, "p95", "same", None)
PLAN = {"runtime": "onnxruntime", "threads": 2, "device": "cpu", "imgsz": 64, "confidence": 0.25, "class_names": []}

BARE = """
import json, sys
from pathlib import Path
from types import SimpleNamespace

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "ultralytics", "torchvision", "hydra", "omegaconf", "optuna"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refuse())
import numpy as np
from src.promote.serving import Detector

for plan in sys.argv[2:]:
    model = Detector()
    model.load_context(SimpleNamespace(artifacts={"plan": plan, "model": sys.argv[1]}))
    print(model.predict(None, np.zeros((1, 48, 64, 3), np.uint8)).to_json(orient="values"))
"""


def artifact(path: Path, **changes: Any) -> Artifact:
    """The tiny ONNX file."""
    tiny_onnx(path, 0.0)
    return replace(Artifact("onnx", "fp32", str(path), "0" * 64, 1, [1, 3, 64, 64], 0.0, "0" * 64), **changes)


def write_plan(path: Path, made: Artifact, **changes: Any) -> str:
    """A plan as it lies beside the served model."""
    path.write_text(json.dumps({**PLAN, **changes, "artifact": dataclasses.asdict(made)}), encoding="utf-8")
    return str(path)


def test_it_is_served_without_torch_and_with_classes_that_have_no_name(tmp_path: Path) -> None:
    made = artifact(tmp_path / "tiny.onnx", input_shape=[-1, 3, -1, -1])
    plans = [
        write_plan(tmp_path / "ort.json", made),
        write_plan(tmp_path / "vino.json", made, runtime="openvino", class_names=["zero", "one"]),
        write_plan(tmp_path / "high.json", made, confidence=0.95),
    ]
    done = subprocess.run(
        [sys.executable, "-c", BARE, made.path, *plans], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row[-2:] for rows in found for row in rows] == [[1, "1"], [1, "one"]]
    assert found[0][0][1:5] == [22, 14, 42, 34]


def test_a_confidence_of_zero_is_one(tmp_path: Path) -> None:
    from types import SimpleNamespace

    from src.promote.serving import Detector

    made = artifact(tmp_path / "tiny.onnx")
    model = Detector()
    plan = write_plan(tmp_path / "plan.json", made, confidence=0.95)
    model.load_context(SimpleNamespace(artifacts={"plan": plan, "model": made.path}))
    image = np.zeros((1, 64, 64, 3), np.uint8)
    assert len(model.predict(None, image)) == 0
    assert len(model.predict(None, image, {"confidence": 0.0})) == 1


def test_threads_device_and_runtime_are_those_that_were_measured(tmp_path: Path) -> None:
    decision = load_decision(deep_study().write(tmp_path))
    assert decision.recommended is not None
    plan = plan_of(decision)
    measured = decision.recommended.best.measurement
    assert measured is not None
    assert (plan["threads"], plan["device"], plan["runtime"]) == (measured.threads, measured.device, measured.runtime)
    assert measured.threads == 2
    assert plan_of(decision, 1)["threads"] == 1


def test_requirements_follow_the_runtime() -> None:
    def names(runtime: str, fmt: str = "onnx", family: str = "ultralytics") -> set[str]:
        made = Artifact(fmt, "fp32", "", "", 0, [1, 3, 64, 64], 0.0, "", family=family)
        lines = requirements(runtime, made)
        assert "+" not in "".join(lines), "a local version is on no index"
        return {line.partition("==")[0] for line in lines}

    common = {"mlflow", "numpy", "pandas", "opencv-python"}
    assert names("onnxruntime") == common | {"onnxruntime"}
    assert names("openvino") == common | {"openvino"}
    assert names("pytorch", "pytorch") == common | {"torch", "ultralytics"}
    assert names("pytorch", "pytorch", "torchvision") == common | {"torch", "torchvision"}


def uv() -> str:
    """The installer; the test is skipped where it or the package registry is out of reach."""
    found = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        pytest.skip("uv is not installed")
    asked = subprocess.run(
        [found, "pip", "compile", "-q", "-"], input="numpy", text=True, capture_output=True, check=False
    )
    if asked.returncode:
        pytest.skip("the package registry does not answer")
    return found


LOAD = """
import importlib.util, json, sys
import numpy as np
import mlflow

assert importlib.util.find_spec("torch") is None
model = mlflow.pyfunc.load_model(sys.argv[1])
found = model.predict(np.load(sys.argv[2]), params={"confidence": 0.01})
print(found.to_json(orient="values", double_precision=15))
"""


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_it_loads_in_an_environment_of_its_requirements(
    runtime: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A fresh environment made from the model's requirements finds the boxes that are found here."""
    import mlflow

    installer = uv()
    made = artifact_of(tmp_path_factory, "onnx/fp32")
    registry = Registry(f"sqlite:///{tmp_path / 'mlflow.db'}", "detsweep")
    place = (tmp_path / "artifacts").as_uri()
    experiment = registry.client.create_experiment("detsweep", artifact_location=place)
    run_id = registry.client.create_run(experiment).info.run_id
    version = registry.register(run_id, made, {**PLAN, "runtime": runtime}, STANDING, ROOT / "src")
    folder = Path(mlflow.artifacts.download_artifacts(f"models:/detsweep/{version}", dst_path=str(tmp_path / "model")))
    images = np.random.default_rng(1).integers(0, 255, (2, 48, 64, 3), np.uint8)
    np.save(tmp_path / "images.npy", images)
    here = mlflow.pyfunc.load_model(str(folder)).predict(images, params={"confidence": 0.01})
    assert len(here)

    python = str(tmp_path / "venv" / "bin" / "python")
    subprocess.run([installer, "venv", "-q", "--python", sys.executable, tmp_path / "venv"], check=True)
    listed = str(folder / "requirements.txt")
    subprocess.run([installer, "pip", "install", "-q", "--python", python, "-r", listed], check=True)
    bare = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [python, "-c", LOAD, str(folder), str(tmp_path / "images.npy")],
        cwd=tmp_path, env=bare, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    there = json.loads(done.stdout.splitlines()[-1])
    assert [row[-2:] for row in there] == here[["class_id", "class_name"]].to_numpy().tolist()
    numbers = here[["image", "x1", "y1", "x2", "y2", "score"]].to_numpy()
    np.testing.assert_allclose([row[:6] for row in there], numbers, rtol=1e-5, atol=1e-4)
