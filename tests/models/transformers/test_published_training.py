"""A published model is fine-tuned: killed and gone on with, exported, told from others, opened without its folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.benchmark import predict
from src.benchmark.verify import agreement, answers_alike
from src.config.schema import ExportConfig
from src.config.training import Training
from src.data import load_split
from src.export import export
from src.models.base import EpochHook, family_of
from src.models.transformers.family import FAMILY
from src.records.model_io import Input
from src.records.schema import Artifact, DatasetRef
from tests.conftest import ROOT
from tests.models.transformers.snapshots import MEAN, NORMALISED, SOME, STD, change, snapshot
from tests.models.transformers.toy import asked

IMAGES = {**NORMALISED, "image_mean": MEAN, "image_std": STD}
ONNX = "onnx/fp32"
NO_HUB = {**os.environ, "HF_HUB_OFFLINE": "1"}


def of(folder: Path, *words: str) -> Training:
    """The toy training, from a folder."""
    return asked("snapshot", f"model.weights={folder}", *words)


def tuned(
    folder: Path, dataset: DatasetRef, out: Path, on_epoch: EpochHook = lambda epoch, row: None, *words: str
) -> Any:
    """Fine-tune, as a trial does."""
    training = of(folder, *words)
    FAMILY.check(training)
    start = FAMILY.start(training, out / "kept")
    FAMILY.check_start(training, start, dataset)
    return FAMILY.train(training, dataset, start, out, 1, on_epoch)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SOME)
def test_it_trains_and_its_file_answers_alike_without_the_folder(
    kind: str, dataset: DatasetRef, tmp_path: Path
) -> None:

    folder = snapshot(tmp_path / kind, kind, IMAGES)
    result = tuned(folder, dataset, tmp_path / "out")
    made = result.checkpoint
    assert (made.family, made.licence, made.start) == (
        "transformers",
        "Apache-2.0 AND LicenseRef-unknown",
        f"snapshot:{kind}",
    )
    assert (made.input, made.output.classes, made.output.queries) == (Input(128, 128), 10, True)
    assert all(np.isfinite(v) for row in result.history for v in row.values())
    shutil.rmtree(folder)
    assert family_of(Path(made.path)) is FAMILY
    assert FAMILY.weights_hash(Path(made.path)) == made.weights_sha256
    sources = {target: export(made, target, tmp_path, ExportConfig(name="test")) for target in ("pytorch/fp32", ONNX)}
    images = [sample.image for sample in load_split(dataset, "val")]

    def answers(artifact: Artifact, engine: str) -> Path:
        return predict(artifact, engine, images, threads=1, out=tmp_path / f"{engine}.npz", isolated=False)

    source = answers(sources["pytorch/fp32"], "pytorch")
    found = agreement(source, answers(sources[ONNX], "onnxruntime"))
    assert answers_alike(found, "fp32"), found  # of queries that tie, either file may take another
    for output, defect in {0: boxes_moved, 1: classes_changed}.items():
        broken = planted(sources[ONNX], output, defect)
        found = agreement(source, answers(broken, "onnxruntime"))
        assert not answers_alike(found, "fp32"), (defect.__name__, found)


def boxes_moved(name: str) -> list[Any]:
    """Every box is a twentieth of the picture too far to the right."""
    import onnx

    offset = onnx.numpy_helper.from_array(np.array([0.05, 0, 0, 0], np.float32))
    constant = onnx.helper.make_node("Constant", [], ["defect"], value=offset)
    return [constant, onnx.helper.make_node("Add", ["sound", "defect"], [name])]


def classes_changed(name: str) -> list[Any]:
    """Every class answers for the next one."""
    import onnx

    order = onnx.numpy_helper.from_array(np.roll(np.arange(10), 1))
    constant = onnx.helper.make_node("Constant", [], ["defect"], value=order)
    return [constant, onnx.helper.make_node("Gather", ["sound", "defect"], [name], axis=-1)]


def planted(artifact: Artifact, output: int, defect: Any) -> Artifact:
    """A copy of an ONNX file with a defect in one of its outputs."""
    import onnx

    model = onnx.load(artifact.path)
    name = model.graph.output[output].name
    for node in model.graph.node:
        for names in (node.input, node.output):
            for i, known in enumerate(names):
                names[i] = "sound" if known == name else known
    if defect is classes_changed and model.graph.output[output].type.tensor_type.shape.dim[-1].dim_value == 11:
        order = [*np.roll(np.arange(10), 1), 10]  # the last one means that there is nothing
        nodes = defect(name)
        nodes[0].attribute[0].t.CopyFrom(onnx.numpy_helper.from_array(np.array(order)))
    else:
        nodes = defect(name)
    model.graph.node.extend(nodes)
    path = Path(artifact.path).with_name(f"{defect.__name__}.onnx")
    onnx.save(model, path)
    return replace(artifact, path=str(path))


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.models.transformers.test_published_training import tuned
from src.records.schema import DatasetRef
def hook(epoch, row):
    os.kill(os.getpid(), signal.SIGKILL)
tuned(Path(sys.argv[1]), DatasetRef(**eval(sys.argv[3])), Path(sys.argv[2]), hook)
"""


@pytest.mark.slow
def test_a_killed_fine_tuning_goes_on_bit_for_bit(dataset: DatasetRef, tmp_path: Path) -> None:
    folder = snapshot(tmp_path / "yolos", "yolos", IMAGES)
    words = [sys.executable, "-c", KILLED, str(folder), str(tmp_path / "cut"), repr(vars(dataset))]
    done = subprocess.run(words, cwd=ROOT, check=False, capture_output=True, text=True, env=NO_HUB)
    assert done.returncode == -signal.SIGKILL, done.stderr
    resumed, whole = (tuned(folder, dataset, tmp_path / name) for name in ("cut", "whole"))
    assert resumed.history == whole.history
    assert resumed.checkpoint.weights_sha256 == whole.checkpoint.weights_sha256
    assert FAMILY.weights_hash(resumed.last) == FAMILY.weights_hash(whole.last)


def test_a_training_is_known_by_its_configuration_and_its_weights(dataset: DatasetRef, tmp_path: Path) -> None:
    folder = snapshot(tmp_path / "yolos", "yolos", IMAGES)
    training = of(folder)

    def signature() -> Any:
        return FAMILY.signature(training, dataset, FAMILY.start(training, tmp_path))

    plain = signature()
    assert signature() == plain
    copied = replace(training, model=replace(training.model, weights=str(shutil.copytree(folder, tmp_path / "copy"))))
    assert FAMILY.signature(copied, dataset, FAMILY.start(copied, tmp_path)) == plain, "names of folders decide nothing"
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    other = signature()
    change(folder, class_cost=3)
    third = signature()
    (folder / "preprocessor_config.json").unlink()
    assert len({str(s) for s in (plain, other, third, signature())}) == 4


def test_an_untrained_network_tells_its_size(dataset: DatasetRef, tmp_path: Path) -> None:
    training = of(snapshot(tmp_path / "yolos", "yolos"))
    start = FAMILY.start(training, tmp_path)
    made = FAMILY.save_untrained(training, start, dataset.class_names, tmp_path / "x.pt")
    assert made.parameters > 1000
    assert FAMILY.load(made.path).names == dataset.class_names
