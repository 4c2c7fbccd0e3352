"""The loop that trains torchvision's networks and those of transformers: what it learns, keeps and goes on from.

Most of it is seen on a network of a few hundred weights; the real ones are trained in the slow tier.
"""

from __future__ import annotations

import itertools
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
from src.models.base import EpochHook, Start, family, family_of
from src.models.torchvision import checkpoint
from src.models.torchvision.family import FAMILY
from src.models.torchvision.network import build_network, size_of
from src.records.model_io import Input
from src.records.schema import Checkpoint, DatasetRef
from tests.conftest import ROOT
from tests.models.torchvision.tiny import NETWORKS, tiny_trained
from tests.models.torchvision.toy import StoppedError, asked, first_epoch, trained


@pytest.fixture(scope="module")
def result(dataset: DatasetRef, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return trained(asked(augment="light"), dataset, tmp_path_factory.mktemp("frcnn"))


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_loss_falls(result: Any) -> None:
    sums = [sum(v for k, v in row.items() if k.startswith("train/")) for row in result.history]
    assert sums[-1] < 0.8 * sums[0]


@pytest.mark.slow
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


@pytest.mark.slow
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
    absurd = replace(asked("train.warmup_epochs=0", "train.optimizer=SGD"), lr=1e30)
    with pytest.raises(StageError, match="not finite"):
        tiny_trained(absurd, dataset, tmp_path)


def test_a_training_goes_on_where_it_was_ended_bit_for_bit(dataset: DatasetRef, tmp_path: Path) -> None:
    training = asked("train.schedule=cosine", augment="light")
    with pytest.raises(StoppedError):
        tiny_trained(training, dataset, tmp_path / "cut", stop_at(2))
    epochs: list[int] = []
    resumed = tiny_trained(training, dataset, tmp_path / "cut", lambda epoch, row: epochs.append(epoch))
    whole = tiny_trained(training, dataset, tmp_path / "whole")
    assert epochs == [1, 2, 3]
    assert resumed.history == whole.history
    for ours, theirs in ((resumed.last, whole.last), (Path(resumed.checkpoint.path), Path(whole.checkpoint.path))):
        assert checkpoint.weights_hash(ours, NETWORKS) == checkpoint.weights_hash(theirs, NETWORKS)
    other = tiny_trained(asked("train.schedule=cosine", "seed=2", augment="light"), dataset, tmp_path / "other")
    assert other.history != whole.history


def test_it_ends_when_its_minutes_are_used_and_goes_on_counting_after_a_kill(
    dataset: DatasetRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.count(0, 12)  # each reading of the clock, once to begin and once an epoch, is 15 s later
    monkeypatch.setattr("src.models.budget.time.process_time", lambda: float(next(ticks)) * 1.25)
    training = asked("study.budget=minutes", "study.minutes=1", "epochs=2", "train.schedule=linear")
    with pytest.raises(StoppedError):
        tiny_trained(training, dataset, tmp_path / "cut", stop_at(2))
    resumed = tiny_trained(training, dataset, tmp_path / "cut")
    whole = tiny_trained(training, dataset, tmp_path / "whole")
    assert [row["used_minutes"] for row in whole.history] == [0.25, 0.5, 0.75, 1.0]
    assert whole.history == resumed.history
    assert [row["lr"] for row in whole.history] == pytest.approx([0.001 * (1 - 0.99 * k / 4) for k in range(4)])
    assert whole.checkpoint.epochs == 4


def test_half_precision_is_learnt_in(dataset: DatasetRef, tmp_path: Path) -> None:
    """On the processor bfloat16 is emulated here, which is refused before: the arithmetic is what is seen."""
    full, half = (tiny_trained(asked(f"train.amp={amp}"), dataset, tmp_path / amp) for amp in ("fp32", "bf16"))
    losses = [[row["train/bbox_regression"] for row in result.history] for result in (full, half)]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_parts_learn_at_their_own_rates(dataset: DatasetRef, tmp_path: Path) -> None:
    training = asked("train.lr_backbone=1e-6", "train.ema=false", "train.optimizer=SGD", "train.weight_decay=0")
    begun, made = start_of(training), tiny_trained(training, dataset, tmp_path)
    now = checkpoint.load(made.last, NETWORKS).weights
    moves = {name: float((now[name] - begun[name]).abs().max()) for name in ("backbone.0.weight", "head.weight")}
    assert 0 < moves["backbone.0.weight"] < 1e-3 * moves["head.weight"]


def stop_at(last: int) -> EpochHook:
    """Ends a training from outside after an epoch."""

    def stop(epoch: int, row: dict[str, float]) -> None:
        if epoch == last:
            raise StoppedError

    return stop


@pytest.mark.slow
def test_a_start_is_taken_over(result: Any, dataset: DatasetRef, tmp_path: Path) -> None:
    path = Path(result.checkpoint.path)
    start = FAMILY.start(replace(asked(), model=replace(asked().model, weights=str(path))), tmp_path)
    assert start == Start(path, "file:best.pt")
    FAMILY.check_start(asked(), start, dataset)
    untrained = build_network(asked().model.architecture, 10, 64)
    assert checkpoint.fill(untrained, checkpoint.start_weights(path)).missing == []
    given = checkpoint.load(path).weights
    assert all(bool((value == given[name]).all()) for name, value in untrained.state_dict().items())


@pytest.mark.slow
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
    with pytest.raises(StoppedError):
        tiny_trained(training, dataset, tmp_path, stop_at(1))
    begun = start_of(training)
    now = checkpoint.load(tmp_path / "weights" / "best.pt", NETWORKS).weights
    moved = {name for name, value in now.items() if not bool((value == begun[name]).all())}
    assert moved == {"head.weight", "head.bias"}, "norms keep their statistics too"
    later = checkpoint.load(tiny_trained(training, dataset, tmp_path).last, NETWORKS).weights  # the second epoch
    assert all(bool((v != begun[name]).any()) for name, v in later.items() if "num_batches" not in name)


def start_of(training: Training) -> dict[str, Any]:
    """The weights that a training of the tiny network begins with."""
    import torch

    torch.manual_seed(training.seed)
    return dict(NETWORKS.build(training.model.architecture, 10, training.imgsz).state_dict())


@pytest.mark.slow
def test_an_untrained_network_has_the_size_of_a_trained_one(result: Any, dataset: DatasetRef, tmp_path: Path) -> None:
    made = FAMILY.save_untrained(asked(), Start(None, ""), dataset.class_names, tmp_path / "x.pt")
    assert (made.parameters, round(made.gflops, 4)) == (result.checkpoint.parameters, result.checkpoint.gflops)
    assert size_of(asked().model.architecture, 10, 128)[1] > 1.2 * size_of(asked().model.architecture, 10, 64)[1]
    assert family("torchvision").load(made.path).input == Input(64, 64)
