"""Torchvision's family on a tiny set: what it learns from, what it keeps, what it gives and what it refuses."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.common.errors import StageError, UserError
from src.config.schema import ExportConfig
from src.config.training import AugmentConfig, Optimizer, Training
from src.data import load_split
from src.export import export
from src.inference import Detector, fit, load_image
from src.models.base import Start, family, family_of
from src.models.torchvision import checkpoint
from src.models.torchvision.average import Average
from src.models.torchvision.family import FAMILY
from src.models.torchvision.images import Fitted, Images, augmented, batches
from src.models.torchvision.network import build_network, size_of
from src.records.model_io import Input
from src.records.schema import Artifact, Checkpoint, DatasetRef
from src.runtime import load as load_session
from tests.conftest import ROOT
from tests.models.ultralytics.toy import toy, toy_dataset

SCRATCH = Start(None, "scratch")
WORDS = ("model=frcnn_mobilenet", "imgsz=64", "epochs=2", "train.plots=false", "augment=none")


def asked(*words: str) -> Training:
    return toy(*WORDS, *words).training


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DatasetRef:
    return toy_dataset(tmp_path_factory)


def trained(training: Training, dataset: DatasetRef, out: Path, rows: list[Any] | None = None) -> Any:
    def hook(epoch: int, row: dict[str, float]) -> None:
        if rows is not None:
            rows.append((epoch, row))

    return FAMILY.train(training, dataset, SCRATCH, out, 1, hook)


@pytest.fixture(scope="module")
def result(dataset: DatasetRef, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return trained(asked(), dataset, tmp_path_factory.mktemp("frcnn"))


@pytest.fixture(scope="module")
def lively(dataset: DatasetRef, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A checkpoint whose scores differ from box to box, as those of a trained one do: ties may change places."""
    import torch

    architecture = asked().model.architecture
    torch.manual_seed(0)
    network: Any = build_network(architecture, 10, 64)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    x = torch.stack(
        [torch.from_numpy(fit(load_image(s.image), Input(64, 64))[0]) for s in load_split(dataset, "train")]
    )
    with torch.no_grad():
        network.train().backbone((x - 0.45) / 0.225)
        torch.nn.init.normal_(network.rpn.head.cls_logits.weight, std=0.3)
        torch.nn.init.normal_(network.roi_heads.box_predictor.cls_score.weight, std=0.3)
    path = tmp_path_factory.mktemp("lively") / "best.pt"
    checkpoint.save(path, checkpoint.Saved(architecture, dataset.class_names, 64, network.state_dict()))
    sha = checkpoint.weights_hash(path)
    return Checkpoint(
        str(path),
        sha,
        sha,
        "frcnn_mobilenet",
        64,
        1,
        1,
        1,
        "scratch",
        1,
        1.0,
        family="torchvision",
        input=Input(64, 64),
    )


def test_a_training_gives_curves_a_checkpoint_and_records(result: Any) -> None:
    made: Checkpoint = result.checkpoint
    assert [row["epoch"] for row in result.history] == [1, 2]
    for row in result.history:
        assert {"lr", "val/mAP50-95", "val/f1"} <= set(row)
        assert {f"train/{name}" for name in FAMILY.losses} <= set(row)
        assert all(np.isfinite(v) for v in row.values())
    assert (made.family, made.licence, made.input) == ("torchvision", "BSD-3-Clause", Input(64, 64))
    assert made.parameters > 15e6
    assert made.gflops > 0.05
    assert family_of(Path(made.path)) is FAMILY
    assert checkpoint.weights_hash(Path(made.path)) == made.weights_sha256
    assert {p.name for p in result.files} == {"results.csv"}


def test_the_loss_falls(dataset: DatasetRef, tmp_path: Path) -> None:
    history = trained(asked("epochs=4", "lr=0.001"), dataset, tmp_path).history
    sums = [sum(v for k, v in row.items() if k.startswith("train/")) for row in history]
    assert sums[-1] < 0.8 * sums[0]


def test_two_trainings_are_one_bit_for_bit_and_another_seed_is_not(
    result: Any, dataset: DatasetRef, tmp_path: Path
) -> None:
    again = trained(asked(), dataset, tmp_path / "again")
    other = trained(asked("seed=2"), dataset, tmp_path / "other")
    assert again.checkpoint.weights_sha256 == result.checkpoint.weights_sha256
    assert other.checkpoint.weights_sha256 != result.checkpoint.weights_sha256


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.models.torchvision.test_torchvision import FAMILY, SCRATCH, asked
from src.records.schema import DatasetRef
dataset = DatasetRef(**eval(sys.argv[2]))
def hook(epoch, row):
    os.kill(os.getpid(), signal.SIGKILL)
FAMILY.train(asked("augment=light"), dataset, SCRATCH, Path(sys.argv[1]), 1, hook)
"""


def test_a_killed_training_goes_on_bit_for_bit(dataset: DatasetRef, tmp_path: Path) -> None:
    whole = trained(asked("augment=light"), dataset, tmp_path / "whole")
    words = [sys.executable, "-c", KILLED, str(tmp_path / "cut"), repr(vars(dataset))]
    done = subprocess.run(words, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    rows: list[Any] = []
    resumed = trained(asked("augment=light"), dataset, tmp_path / "cut", rows)
    assert [epoch for epoch, _ in rows] == [1, 2]
    assert resumed.history == whole.history
    assert resumed.checkpoint.weights_sha256 == whole.checkpoint.weights_sha256
    last = [checkpoint.weights_hash(r.last) for r in (resumed, whole)]
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


def test_weights_of_another_family_are_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    model = replace(asked().model, weights=checkpoint.path)
    with pytest.raises(UserError, match="torchvision"):
        FAMILY.start(replace(asked(), model=model), tmp_path)
    assert family_of(Path(checkpoint.path)).name == "ultralytics"


def test_a_file_that_would_run_code_is_not_opened(tmp_path: Path) -> None:
    import torch

    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    path = tmp_path / "evil.pt"
    torch.save({"format": "detsweep.torchvision", "architecture": Evil()}, path)
    assert FAMILY.recognises(path)
    with pytest.raises(UserError, match="can't be read"):
        FAMILY.load(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("target", ["onnx/fp32", "torchscript/fp32"])
def test_exported_boxes_are_those_of_the_source(
    lively: Checkpoint, dataset: DatasetRef, tmp_path: Path, target: str
) -> None:
    made: Artifact = export(lively, target, tmp_path, ExportConfig(name="test"))
    assert made.input is not None
    assert made.input.batch == 1
    runtime = {"onnx": "onnxruntime", "torchscript": "torchscript"}[made.format]
    detector = Detector(load_session(runtime, made, threads=1), made)
    source: Artifact = export(lively, "pytorch/fp32", tmp_path, ExportConfig(name="test"))
    reference = Detector(load_session("pytorch", source, threads=1), source)
    found = 0
    for sample in load_split(dataset, "val"):
        image = load_image(sample.image)
        ours, theirs = (d([d.prepare(image)])[0] for d in (detector, reference))
        assert len(ours.scores) == len(theirs.scores)
        same = 0
        for box, score, label in zip(theirs.boxes, theirs.scores, theirs.classes, strict=True):
            near = (np.abs(ours.boxes - box).max(axis=1) < 1e-2) & (np.abs(ours.scores - score) < 1e-4)
            same += (near & (ours.classes == label)).any()
        # Of two boxes whose scores differ by a rounding error, suppression may keep the other one.
        assert same >= 0.9 * len(theirs.scores)
        found += len(ours.scores)
        assert np.ptp(ours.scores) > 0.01, "scores differ"
    assert found > 40


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


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("augment.mosaic=1",), "augment.mosaic"),
        (("train.optimizer=MuSGD",), "train.optimizer"),
        (("train.freeze=3",), "train.freeze"),
        (("train.dfl=2",), "train.dfl"),
        (("train.cache=disk",), "train.cache"),
        (("train.keep_top=2",), "train.keep_top"),
        (("train.freeze_names=[backbone,rpn,roi_heads]",), "train.freeze_names"),
        (("train.freeze_names=[nowhere]",), "train.freeze_names"),
    ],
)
def test_what_it_can_not_honour_is_refused(words: tuple[str, ...], key: str) -> None:
    with pytest.raises(UserError, match=key.replace(".", r"\.")):
        FAMILY.check(asked(*words))


def test_frozen_layers_stay_until_they_may_learn(dataset: DatasetRef, tmp_path: Path) -> None:
    training = asked("train.freeze_names=[backbone]", "train.ema=false", "epochs=1")
    first = trained(training, dataset, tmp_path / "a")
    begun = trained_start(training)
    now = checkpoint.load(first.checkpoint.path).weights
    moved = {name for name, value in now.items() if not bool((value == begun[name]).all())}
    assert moved
    assert not {name for name in moved if name.startswith("backbone")}, "norms keep their statistics too"
    words = ("train.freeze_names=[backbone]", "train.ema=false", "train.unfreeze_epoch=2")
    both = trained(asked(*words), dataset, tmp_path / "b")
    later = checkpoint.load(both.last).weights
    assert any(name.startswith("backbone") and bool((v != begun[name]).any()) for name, v in later.items())


def trained_start(training: Training) -> dict[str, Any]:
    """The weights that a training from scratch begins with."""
    import torch

    torch.manual_seed(training.seed)
    return build_network(training.model.architecture, 10, training.imgsz).state_dict()


def test_keys_without_effect_leave_the_signature_as_it_is(dataset: DatasetRef) -> None:
    plain = FAMILY.signature(asked(), dataset, SCRATCH)
    assert FAMILY.signature(asked("train.step_gamma=0.5"), dataset, SCRATCH) == plain
    assert FAMILY.signature(asked("train.plots=true"), dataset, SCRATCH) == plain
    for word in ("lr=0.5", "train.weight_decay=0.1", "augment.fliplr=0.5", "train.schedule=cosine", "seed=9"):
        assert FAMILY.signature(asked(word), dataset, SCRATCH) != plain


def test_every_optimizer_takes_a_step() -> None:
    import torch

    from src.models.torchvision.recipe import build_optimizer

    for kind in Optimizer:
        if kind is Optimizer.MuSGD:
            continue
        layer = torch.nn.Linear(2, 1)
        before = layer.weight.detach().clone()
        optimizer = build_optimizer(layer, replace(asked().train, optimizer=kind), 0.1)
        layer(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        assert not torch.equal(before, layer.weight), kind


def test_boxes_follow_the_picture() -> None:
    pixels = np.zeros((3, 64, 64), np.uint8)
    pixels[:, 10:20, 30:50] = 255
    item = Fitted(pixels, np.array([[30.0, 10, 50, 20]]), np.array([4]), None)  # type: ignore[arg-type]
    for recipe in (AugmentConfig(fliplr=1), AugmentConfig(flipud=1), AugmentConfig(scale=0.3, translate=0.2)):
        for seed in range(8):
            image, boxes, classes = augmented(item, recipe, np.random.default_rng(seed))
            ys, xs = np.nonzero(image[0] > 200)
            np.testing.assert_allclose(boxes[0], [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], atol=1.5)
            assert list(classes) == [4]
    assert not len(augmented(replace_box(item, [70, 70, 80, 80]), AugmentConfig(), np.random.default_rng(0))[1])


def replace_box(item: Fitted, box: list[float]) -> Fitted:
    return Fitted(item.pixels, np.array([box], float), item.classes, item.transform)


def test_an_epoch_sees_every_image_once_in_an_order_of_its_own(dataset: DatasetRef) -> None:
    images = Images(load_split(dataset, "train"), 64, keep=False)
    first, second = (batches(images, 4, 1, epoch) for epoch in (1, 2))
    assert sorted(i for b in first for i in b) == list(range(len(images)))
    assert first != second
    assert first == batches(images, 4, 1, 1)


def test_the_average_follows_slowly_and_without_decay_at_once() -> None:
    import torch

    layer = torch.nn.Linear(1, 1, bias=False)
    slow, at_once = Average(layer, 0.9, 1.0), Average(layer, 0.0, 1.0)
    before = layer.weight.item()
    with torch.no_grad():
        layer.weight.add_(1.0)
    slow.update(layer)
    at_once.update(layer)
    assert before < slow.network.weight.item() < before + 0.6
    assert at_once.network.weight.item() == pytest.approx(before + 1)


def test_an_untrained_network_has_the_size_of_a_trained_one(result: Any, dataset: DatasetRef, tmp_path: Path) -> None:
    made = FAMILY.save_untrained(asked(), dataset.class_names, tmp_path / "x.pt")
    assert (made.parameters, round(made.gflops, 4)) == (result.checkpoint.parameters, result.checkpoint.gflops)
    assert size_of(asked().model.architecture, 10, 128)[1] > 1.2 * size_of(asked().model.architecture, 10, 64)[1]
    assert family("torchvision").load(made.path).input == Input(64, 64)


def test_an_unknown_architecture_or_size_is_refused() -> None:
    with pytest.raises(UserError, match="architecture"):
        FAMILY.scaled(replace(asked().model, architecture="ssd"))
    with pytest.raises(UserError, match="sizes"):
        FAMILY.scaled(replace(asked().model, scale="s"))
