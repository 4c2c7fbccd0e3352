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

from src.config.schema import ExportConfig
from src.config.training import Training
from src.data import load_split
from src.export import export
from src.inference import fit, load_image
from src.models.base import EpochHook, family_of
from src.models.transformers.family import FAMILY
from src.records.model_io import Input
from src.records.schema import DatasetRef
from src.runtime import load as load_session
from tests.conftest import ROOT
from tests.models.transformers.snapshots import MEAN, NORMALISED, SOME, STD, change, snapshot
from tests.models.transformers.toy import asked

IMAGES = {**NORMALISED, "image_mean": MEAN, "image_std": STD}
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
    import torch

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
    module: Any = FAMILY.load(made.path).module
    artifact = export(made, "onnx/fp32", tmp_path, ExportConfig(name="test"))
    session = load_session("onnxruntime", artifact, threads=1)
    x = fit(load_image(load_split(dataset, "val")[0].image), Input(128, 128))[0][None]
    with torch.inference_mode():
        own = [t.numpy() for t in module(torch.from_numpy(x))]
    found = [np.concatenate(pair, axis=-1)[0] for pair in (own, session.run(x))]
    apart = np.abs(found[0][:, None] - found[1][None]).max(axis=-1).min(axis=1)
    assert (apart < 1e-3).mean() >= 0.75, apart  # of two queries at the edge of the choice the other may be taken


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
