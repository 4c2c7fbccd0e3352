"""The family of transformers on a tiny set: every architecture trains, goes on where it was killed, and exports."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.common.errors import UserError
from src.common.hashes import sha256_file
from src.config.schema import ExportConfig
from src.data import load_split
from src.export import export
from src.inference import fit, load_image
from src.models.base import family_of
from src.models.torchvision import checkpoint
from src.models.transformers.configurations import BUILDERS
from src.models.transformers.family import FAMILY
from src.models.transformers.network import NETWORKS
from src.records.model_io import Input
from src.records.schema import Checkpoint, DatasetRef
from src.runtime import load as load_session
from tests.conftest import ROOT
from tests.models.transformers.toy import asked, trained

NO_HUB = {**os.environ, "HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="module", params=BUILDERS)
def result(request: pytest.FixtureRequest, dataset: DatasetRef, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return trained(asked(request.param, "epochs=6"), dataset, tmp_path_factory.mktemp(request.param))


@pytest.mark.slow
def test_a_training_gives_curves_a_checkpoint_and_records(result: Any) -> None:
    made = result.checkpoint
    assert [row["epoch"] for row in result.history] == list(range(1, made.epochs + 1))
    assert all(np.isfinite(v) for row in result.history for v in row.values())
    assert result.history[-1]["train/loss"] < result.history[0]["train/loss"]
    assert (made.family, made.licence, made.input) == ("transformers", "Apache-2.0", Input(128, 128))
    assert made.output.queries
    assert made.output.classes == 10
    assert made.parameters > 5e5
    assert made.gflops > 0.01
    assert family_of(Path(made.path)) is FAMILY
    assert FAMILY.weights_hash(Path(made.path)) == made.weights_sha256


def settle(network: Any) -> None:
    """Give batch norms the statistics of some images, as a longer training would: a few steps leave maps near 0."""
    import torch

    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the mean over all that it sees
    with torch.no_grad():
        network.train().raw(torch.rand(4, 3, 128, 128))


def lively(made: Checkpoint, folder: Path) -> Checkpoint:
    """The checkpoint with scores that differ from query to query, as those of a trained one do: ties change places."""
    import torch

    saved = checkpoint.load(made.path, NETWORKS)
    network: Any = NETWORKS.build(saved.architecture, len(saved.names), saved.imgsz)
    checkpoint.fill(network, saved.weights, Path(made.path))
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, torch.nn.Linear) and module.out_features in (10, 11):  # classes, and "nothing"
            torch.nn.init.normal_(module.weight, std=0.5)
    settle(network)
    path = folder / "lively.pt"
    checkpoint.save(path, replace(saved, weights=network.state_dict()), NETWORKS)
    sha = sha256_file(path)
    return replace(made, path=str(path), sha256=sha, weights_sha256=FAMILY.weights_hash(path))


@pytest.mark.slow
def test_the_exported_file_answers_as_its_source(result: Any, dataset: DatasetRef, tmp_path: Path) -> None:
    import torch

    source = lively(result.checkpoint, tmp_path)
    made = export(source, "onnx/fp32", tmp_path, ExportConfig(name="test"))
    assert made.output == source.output
    session = load_session("onnxruntime", made, threads=1)
    module: Any = FAMILY.load(source.path).module
    for sample in load_split(dataset, "val")[:2]:
        x = fit(load_image(sample.image), Input(128, 128))[0][None]
        with torch.inference_mode():
            own = [t.numpy() for t in module(torch.from_numpy(x))]
        found = [np.concatenate([boxes, logits], axis=-1)[0] for boxes, logits in (own, session.run(x))]
        apart = np.abs(found[0][:, None] - found[1][None]).max(axis=-1)
        # Queries of equal rank may change places, and of two at the edge of the choice the other one may be taken.
        assert (apart.min(axis=1) < 1e-3).mean() >= 0.96, np.sort(apart.min(axis=1))[-6:]


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.models.transformers.toy import asked, trained
from src.records.schema import DatasetRef
dataset = DatasetRef(**eval(sys.argv[2]))
def hook(epoch, row):
    os.kill(os.getpid(), signal.SIGKILL)
trained(asked(), dataset, Path(sys.argv[1]), hook)
"""


@pytest.mark.slow
def test_a_killed_training_goes_on_bit_for_bit(dataset: DatasetRef, tmp_path: Path) -> None:
    words = [sys.executable, "-c", KILLED, str(tmp_path / "cut"), repr(vars(dataset))]
    done = subprocess.run(words, cwd=ROOT, check=False, capture_output=True, text=True, env=NO_HUB)
    assert done.returncode == -signal.SIGKILL, done.stderr
    resumed, whole = (trained(asked(), dataset, tmp_path / name) for name in ("cut", "whole"))
    assert resumed.history == whole.history
    assert resumed.checkpoint.weights_sha256 == whole.checkpoint.weights_sha256
    assert FAMILY.weights_hash(resumed.last) == FAMILY.weights_hash(whole.last)


@pytest.mark.slow
def test_shared_tensors_are_averaged_once() -> None:
    """D-FINE's heads stand in two modules: the average after one step is what its formula says."""
    import torch

    from src.models.torchvision.average import Average

    network: Any = NETWORKS.build("dfine_s", 3, 64)
    average = Average(network, 0.5, 1e-9)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1.0)
    average.update()
    given = network.state_dict()
    for name, value in average.network.state_dict().items():
        if name in dict(network.named_parameters(remove_duplicate=False)):
            assert torch.allclose(value, given[name] - 0.5, atol=1e-5), name


def test_what_it_cannot_do_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="so small"):
        FAMILY.check(replace(asked("rfdetr_s"), imgsz=64))
    with pytest.raises(UserError, match="so small"):
        FAMILY.check(replace(asked("dfine_s"), imgsz=32))
    with pytest.raises(UserError, match="so small"):
        FAMILY.check(replace(asked("rtdetrv2_s"), imgsz=32))
    with pytest.raises(UserError, match="published"):
        FAMILY.check(replace(asked(), model=replace(asked().model, weights="auto")))
    with pytest.raises(UserError, match="no such architecture"):
        FAMILY.scaled(replace(asked().model, architecture="nope"))
    with pytest.raises(UserError, match="no sizes"):
        FAMILY.scaled(replace(asked().model, scale="n"))
    with pytest.raises(UserError, match=r"model\.family=transformers"):
        FAMILY.check(replace(asked(), train=replace(asked().train, amp="bf16")))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="needs transformers and scipy"):
        FAMILY.check(asked())


def test_a_checkpoint_of_torchvision_is_no_start(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "other.pt"
    torch.save({"format": "detsweep.torchvision", "weights": {}}, path)
    with pytest.raises(UserError, match="a checkpoint of the family torchvision"):
        FAMILY.start(replace(asked(), model=replace(asked().model, weights=str(path))), tmp_path)
