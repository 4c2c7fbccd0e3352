"""Torchvision's family trains on a tiny set: what it learns, keeps and goes on from."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.common.errors import StageError
from src.config.training import Training
from src.data import load_split
from src.inference import fit, load_image
from src.models.base import Start, family, family_of
from src.models.torchvision import checkpoint
from src.models.torchvision.family import FAMILY
from src.models.torchvision.network import build_network, size_of
from src.records.model_io import Input
from src.records.schema import Checkpoint, DatasetRef
from tests.conftest import ROOT
from tests.models.torchvision.toy import asked, first_epoch, trained


@pytest.fixture(scope="module")
def result(dataset: DatasetRef, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return trained(asked(augment="light"), dataset, tmp_path_factory.mktemp("frcnn"))


def test_a_training_gives_curves_a_checkpoint_and_records(result: Any) -> None:
    made: Checkpoint = result.checkpoint
    assert [row["epoch"] for row in result.history] == [1, 2, 3]
    for row in result.history:
        assert {"lr", "val/mAP50-95", "val/f1"} <= set(row)
        losses = {name for name in row if name.startswith("train/")}
        assert len(losses) == 4
        assert losses <= {f"train/{name}" for name in FAMILY.losses}
        assert all(np.isfinite(v) for v in row.values())
    assert (made.family, made.licence, made.input) == ("torchvision", "BSD-3-Clause", Input(64, 64))
    assert made.parameters > 15e6
    assert made.gflops > 0.05
    assert family_of(Path(made.path)) is FAMILY
    assert checkpoint.weights_hash(Path(made.path)) == made.weights_sha256
    assert {p.name for p in result.files} == {"results.csv"}


def test_the_loss_falls(result: Any) -> None:
    sums = [sum(v for k, v in row.items() if k.startswith("train/")) for row in result.history]
    assert sums[-1] < 0.8 * sums[0]


def test_two_trainings_are_one_and_another_seed_is_not(result: Any, dataset: DatasetRef, tmp_path: Path) -> None:
    first = {name: value for name, value in result.history[0].items() if name != "epoch"}
    assert first_epoch(asked(augment="light"), dataset, tmp_path / "again") == first
    assert first_epoch(asked("seed=2", augment="light"), dataset, tmp_path / "other") != first


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.models.torchvision.toy import asked, trained
from src.records.schema import DatasetRef
dataset = DatasetRef(**eval(sys.argv[2]))
def hook(epoch, row):
    os.kill(os.getpid(), signal.SIGKILL)
trained(asked(augment="light"), dataset, Path(sys.argv[1]), hook)
"""


def test_a_killed_training_goes_on_bit_for_bit(result: Any, dataset: DatasetRef, tmp_path: Path) -> None:
    words = [sys.executable, "-c", KILLED, str(tmp_path / "cut"), repr(vars(dataset))]
    done = subprocess.run(words, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    epochs: list[int] = []
    resumed = trained(asked(augment="light"), dataset, tmp_path / "cut", lambda epoch, row: epochs.append(epoch))
    assert epochs == [1, 2, 3]
    assert resumed.history == result.history
    assert resumed.checkpoint.weights_sha256 == result.checkpoint.weights_sha256
    last = [checkpoint.weights_hash(r.last) for r in (resumed, result)]
    assert last[0] == last[1]
    FAMILY.forget_state(tmp_path / "cut")
    assert not (tmp_path / "cut" / "state").exists()


def test_a_loss_that_is_not_finite_ends_the_training(dataset: DatasetRef, tmp_path: Path) -> None:
    with pytest.raises(StageError, match="not finite"):
        trained(asked("lr=1e30", "train.warmup_epochs=0", "train.optimizer=SGD"), dataset, tmp_path)


def test_a_start_is_taken_over(result: Any, dataset: DatasetRef, tmp_path: Path) -> None:
    path = Path(result.checkpoint.path)
    start = FAMILY.start(replace(asked(), model=replace(asked().model, weights=str(path))), tmp_path)
    assert start == Start(path, "file:best.pt")
    FAMILY.check_start(asked(), start, dataset)
    untrained = build_network(asked().model.architecture, 10, 64)
    assert checkpoint.fill(untrained, checkpoint.start_weights(path)) == []
    given = checkpoint.load(path).weights
    assert all(bool((value == given[name]).all()) for name, value in untrained.state_dict().items())


def test_boxes_equal_torchvisions_own_post_processing(result: Any, dataset: DatasetRef) -> None:
    import torch

    saved = checkpoint.load(result.checkpoint.path)
    network: Any = checkpoint.network_of(saved, "")
    module: Any = FAMILY.load(result.checkpoint.path).module
    for sample in load_split(dataset, "val"):
        prepared, _ = fit(load_image(sample.image), Input(64, 64))
        x = torch.from_numpy(prepared)
        with torch.inference_mode():
            own, rows = network([x])[0], module(x[None])[0]
        n = len(own["scores"])
        assert torch.equal(rows[:n, :4], own["boxes"])
        assert torch.equal(rows[:n, 4], own["scores"])
        assert torch.equal(rows[:n, 5].long(), own["labels"] - 1)
        assert not rows[n:].any()


def test_frozen_layers_stay_until_they_may_learn(dataset: DatasetRef, tmp_path: Path) -> None:
    words = ("train.freeze_names=[backbone]", "train.ema=false", "train.unfreeze_epoch=2", "epochs=2")
    training = asked(*words)
    first_epoch(training, dataset, tmp_path)
    begun = trained_start(training)
    now = checkpoint.load(tmp_path / "weights" / "best.pt").weights
    moved = {name for name, value in now.items() if not bool((value == begun[name]).all())}
    assert moved
    assert not {name for name in moved if name.startswith("backbone")}, "norms keep their statistics too"
    later = checkpoint.load(trained(training, dataset, tmp_path).last).weights  # goes on with the second epoch
    assert any(name.startswith("backbone") and bool((v != begun[name]).any()) for name, v in later.items())


def trained_start(training: Training) -> dict[str, Any]:
    """The weights that a training from scratch begins with."""
    import torch

    torch.manual_seed(training.seed)
    return build_network(training.model.architecture, 10, training.imgsz).state_dict()


def test_an_untrained_network_has_the_size_of_a_trained_one(result: Any, dataset: DatasetRef, tmp_path: Path) -> None:
    made = FAMILY.save_untrained(asked(), dataset.class_names, tmp_path / "x.pt")
    assert (made.parameters, round(made.gflops, 4)) == (result.checkpoint.parameters, result.checkpoint.gflops)
    assert size_of(asked().model.architecture, 10, 128)[1] > 1.2 * size_of(asked().model.architecture, 10, 64)[1]
    assert family("torchvision").load(made.path).input == Input(64, 64)
