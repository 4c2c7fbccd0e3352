"""The script beside an artifact gives the boxes of the shared detection path, for every layout, with nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from src import runtime
from src.export import script, standalone
from src.inference import DEPLOYMENT, Detector, Float, decode, fit, load_image
from src.records.model_io import LAYOUTS, Input, Output
from src.records.schema import Artifact
from tests.conftest import ROOT
from tests.exported_models import artifact_of

SIZE = (64, 96)
BOXES, CLASSES = 40, 3
TURNED = {"rows of OBB": Output("columns", task="obb", classes=CLASSES)}
CASES = {**LAYOUTS, **TURNED}


def artifact(output: Output, fitted: Input | None = None, names: list[str] | None = None) -> Artifact:
    shape = fitted or Input(*SIZE)
    record = Artifact("onnx", "fp32", "x/model.onnx", "0" * 64, 1, [1, 3, *shape.size], 0.0, "", input=shape)
    return replace(record, output=output, names=["a", "b", "c"] if names is None else names)


def executed(one: Artifact) -> dict[str, Any]:
    """The names that an artifact's script defines."""
    found: dict[str, Any] = {"__name__": "script", "__file__": "/nowhere/detect.py"}
    exec(compile(script.script(one), "detect.py", "exec"), found)
    return found


def answer(output: Output) -> list[Float]:
    """A network's answer to one image in a layout, drawn at random."""
    rng = np.random.default_rng(1)
    unit = np.array(SIZE[::-1] * 2) if output.units == "px" else np.ones(4)
    low = rng.uniform(0, 0.7, (BOXES, 2))
    boxes = np.hstack([low, low + rng.uniform(0.05, 0.3, (BOXES, 2))]) * unit
    if output.box == "centre":
        boxes = np.hstack([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]])
    wide = CLASSES + (output.background != "")
    scores, ids = rng.uniform(0, 1, (BOXES, wide)), rng.integers(0, CLASSES, (BOXES, 1))
    angle = [rng.uniform(-1, 1, (BOXES, 1))] if output.rotated else []
    if output.layout == "pair":
        numbers = rng.normal(0, 3, (BOXES, wide)) if output.activation else scores
        return [np.asarray(boxes[None], np.float32), np.asarray(numbers[None], np.float32)]
    if output.layout == "indexed":
        return [np.asarray(np.hstack([np.zeros((BOXES, 1)), boxes, ids, scores[:, :1]]), np.float32)]
    if output.layout == "listed":
        return [np.asarray(np.hstack([boxes, scores[:, :1], ids, *angle])[None], np.float32)]
    own = [rng.uniform(0.3, 1, (BOXES, 1))] if output.objectness else []
    rows = np.asarray(np.hstack([boxes, *own, scores, *angle])[None], np.float32)
    return [rows.transpose(0, 2, 1) if output.layout == "columns" else rows]


@pytest.mark.parametrize("name", CASES)
def test_every_layout_is_decoded_as_the_shared_path_does(name: str) -> None:
    output = replace(CASES[name], classes=CLASSES, task="obb" if "rotated" in name else CASES[name].task)
    outputs = answer(output)
    boxes, scores, classes = decode(outputs, output, SIZE, DEPLOYMENT)[0]
    own = executed(artifact(output))["decode"](outputs, 0.25, 0.7, 300)
    assert len(scores) > 3
    assert np.array_equal(own[2], classes)
    assert np.abs(own[1] - scores).max() < 1e-6
    assert np.abs(own[0] - boxes).max() < 1e-4


def test_outputs_that_do_not_count_are_passed_over() -> None:
    output = replace(LAYOUTS["detr"], classes=CLASSES, picks=[2, 1])
    boxes, logits = answer(output)
    found = decode([np.zeros((1, 9, 9), np.float32), logits, boxes], output, SIZE, DEPLOYMENT)[0]
    own = executed(artifact(output))["decode"]([np.zeros((1, 9, 9), np.float32), logits, boxes], 0.25, 0.7, 300)
    assert np.abs(own[0] - found[0]).max() < 1e-4


@pytest.mark.parametrize("resize", ["letterbox", "stretch", "shortest_side"])
@pytest.mark.parametrize("shape", [(48, 80), (300, 200), (64, 96), (128, 192), (7, 500), (129, 65)])
def test_images_are_fitted_in_bit_for_bit(resize: Any, shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    for fitted in (Input(*SIZE, resize), Input(*SIZE, resize, mean=[0.4, 0.5, 0.6], std=[0.2, 0.3, 0.4], colour="bgr")):
        expected, transform = fit(image, fitted)
        x, gain, place = executed(artifact(LAYOUTS["dense"], fitted))["prepare"](image)
        assert np.array_equal(x[0], expected)
        assert (gain, place) == (transform.gain, transform.pad)


def test_resizing_is_opencvs() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        high, wide, new_h, new_w = (int(n) for n in rng.integers(1, 160, 4))
        image = rng.integers(0, 256, (high, wide, 3), np.uint8)
        assert np.array_equal(standalone.resize(image, new_w, new_h), cv2.resize(image, (new_w, new_h)))


def test_names_can_not_become_code() -> None:
    hostile = ['"]; raise SystemExit(9)  #', "a\nb'''\"\"\"", "日本", "\\"]
    assert executed(artifact(LAYOUTS["dense"], names=hostile))["NAMES"] == hostile
    many = [f"class {i}" for i in range(80)]
    assert executed(artifact(LAYOUTS["dense"], names=many))["NAMES"] == many


def test_the_script_finds_what_prediction_finds(onnx: Artifact, images: list[str]) -> None:
    done = run(sys.executable, onnx, *images)
    assert done.returncode == 0, done.stderr
    assert same(done.stdout, onnx, "onnxruntime", images) > 20


def test_pillow_will_do(onnx: Artifact, images: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    read = executed(onnx)["read_picture"]
    expected = read(Path(images[0]))
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert np.array_equal(read(Path(images[0])), expected)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["missing.png"], "missing.png: can't be read"),
        ([__file__], "this is no picture"),
        ([__file__, "--conf", "2"], "--conf and --iou lie in 0..1"),
        (["x.png", "--model", "none.onnx"], "none.onnx: no such file"),
    ],
)
def test_bad_input_is_told_in_a_line(words: list[str], told: str, onnx: Artifact) -> None:
    done = run(sys.executable, onnx, *words)
    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("fmt", ["pytorch", "tensorrt"])
def test_formats_without_a_script_have_a_reason(fmt: str, tmp_path: Path) -> None:
    assert script.write(tmp_path, replace(artifact(LAYOUTS["dense"]), format=fmt)) is None
    assert "src.predict" in script.WHY_NOT[fmt]


EMPTY = [
    ("onnx/fp32", "onnxruntime", ["onnxruntime"]),
    ("onnx/int8", "onnxruntime", ["onnxruntime"]),
    ("openvino/fp32", "openvino", ["openvino"]),
    ("litert/fp32", "litert", ["ai-edge-litert"]),
    ("litert/int8", "litert", ["ai-edge-litert"]),
]


@pytest.mark.slow
@pytest.mark.parametrize(("target", "engine", "packages"), EMPTY)
def test_it_runs_where_nothing_else_is_installed(
    target: str,
    engine: str,
    packages: list[str],
    images: list[str],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    python = empty_environment(tmp_path / "venv", ["numpy", *packages])
    pictures = []
    for path in images:
        pictures.append(str(tmp_path / f"{Path(path).stem}.npy"))
        np.save(pictures[-1], load_image(path))
    made = artifact_of(tmp_path_factory, target)
    done = run(python, made, *pictures, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert same(done.stdout, made, engine, images, pictures) > 20
    refused = run(python, made, images[0], cwd=tmp_path)  # no OpenCV, no Pillow
    assert refused.returncode == 2
    assert "install opencv-python or pillow" in refused.stderr


@pytest.mark.slow
def test_torchscript_needs_torch_alone(images: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    made = artifact_of(tmp_path_factory, "torchscript/fp32")
    done = run(sys.executable, made, *images)
    assert done.returncode == 0, done.stderr
    assert same(done.stdout, made, "torchscript", images) > 20


def empty_environment(folder: Path, packages: list[str]) -> str:
    """A fresh environment with these packages in the versions that the project has locked; its interpreter."""
    from importlib.metadata import version

    uv = ROOT / ".venv" / "bin" / "uv"
    if not uv.is_file():
        pytest.skip("uv is not at hand")
    subprocess.run([uv, "venv", "-q", str(folder)], check=True, timeout=120)
    python = str(folder / "bin" / "python")
    pinned = [f"{name}=={version(name)}" for name in packages]
    done = subprocess.run([uv, "pip", "install", "-q", "--python", python, *pinned], check=False, timeout=300)
    if done.returncode:
        pytest.skip("the packages can't be installed: no network")
    return python


def run(python: str, made: Artifact, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [python, str(Path(made.path).parent / script.NAME), *words, "--json"]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=cwd, env=environment)


def same(text: str, made: Artifact, engine: str, images: list[str], given: list[str] | None = None) -> int:
    """Check the script's answer against the shared detection path; the number of boxes that were compared."""
    rows = [json.loads(line) for line in text.splitlines()]
    detector, compared = Detector(runtime.load(engine, made, threads=1), made, DEPLOYMENT), 0
    for image, name in zip(images, given or images, strict=True):
        found = detector([detector.prepare(load_image(image))])[0]
        own = [row for row in rows if row["file"] == name]
        assert [row["class"] for row in own] == found.classes.tolist()
        assert np.abs(np.array([row["score"] for row in own]) - found.scores).max() < 1e-4
        assert np.abs(np.array([row["box"] for row in own]) - found.boxes).max() < 1e-2
        compared += len(own)
    return compared
