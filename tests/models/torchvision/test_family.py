"""Torchvision's family on a tiny set: what it learns from, what it gives and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.common.errors import UserError
from src.config.schema import ExportConfig
from src.data import load_split
from src.export import export
from src.inference import Detector, fit, load_image
from src.models import devices
from src.models.base import family_of
from src.models.torchvision import checkpoint
from src.models.torchvision.average import Average
from src.models.torchvision.family import FAMILY
from src.models.torchvision.images import Images, batches
from src.models.torchvision.network import build_network
from src.records.model_io import Input
from src.records.schema import Artifact, Checkpoint, DatasetRef
from src.runtime import load as load_session
from tests.models.torchvision.toy import SCRATCH, asked
from tests.models.ultralytics.toy import toy_dataset


@pytest.fixture(scope="module")
def lively(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A checkpoint whose scores differ from box to box, as those of a trained one do: ties may change places."""
    import torch

    architecture = asked().model.architecture
    dataset = toy_dataset(tmp_path_factory)  # eight images: with fewer, scores are all near 1
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


@pytest.mark.slow
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


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("augment.mosaic=1",), "augment.mosaic"),
        (("train.optimizer=MuSGD",), "train.optimizer"),
        (("train.freeze=3",), "train.freeze"),
        (("train.dfl=2",), "train.dfl"),
        (("train.cache=disk",), "train.cache"),
        (("train.keep_top=2",), "train.keep_top"),
        (("train.amp=bf16",), "train.amp"),
        (("train.freeze_names=[backbone,rpn,roi_heads]",), "train.freeze_names"),
        (("train.freeze_names=[nowhere]",), "train.freeze_names"),
    ],
)
def test_what_it_can_not_honour_is_refused(
    words: tuple[str, ...], key: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(devices, "PROCESSOR", tmp_path / "none")
    with pytest.raises(UserError, match=key.replace(".", r"\.")):
        FAMILY.check(asked(*words))


def test_keys_without_effect_leave_the_signature_as_it_is(dataset: DatasetRef) -> None:
    plain = FAMILY.signature(asked(), dataset, SCRATCH)
    assert FAMILY.signature(asked("train.step_gamma=0.5"), dataset, SCRATCH) == plain
    assert FAMILY.signature(asked("train.plots=true"), dataset, SCRATCH) == plain
    for word in ("lr=0.5", "train.weight_decay=0.1", "augment.fliplr=0.5", "train.schedule=cosine", "seed=9"):
        assert FAMILY.signature(asked(word), dataset, SCRATCH) != plain


def test_an_epoch_sees_every_image_once_in_an_order_of_its_own(dataset: DatasetRef) -> None:
    images = Images(load_split(dataset, "train"), 64, keep=False)
    first, second = (batches(images, 2, 1, epoch) for epoch in (1, 2))
    assert sorted(i for b in first for i in b) == list(range(len(images)))
    assert first != second
    assert first == batches(images, 2, 1, 1)


def test_the_average_follows_slowly_and_without_decay_at_once() -> None:
    import torch

    layer = torch.nn.Linear(1, 1, bias=False)
    slow, at_once = Average(layer, 0.9, 1.0), Average(layer, 0.0, 1.0)
    before = layer.weight.item()
    with torch.no_grad():
        layer.weight.add_(1.0)
    slow.update()
    at_once.update()
    assert before < slow.network.weight.item() < before + 0.6
    assert at_once.network.weight.item() == pytest.approx(before + 1)


def test_an_unknown_architecture_or_size_is_refused() -> None:
    with pytest.raises(UserError, match="architecture"):
        FAMILY.scaled(replace(asked().model, architecture="ssd"))
    with pytest.raises(UserError, match="sizes"):
        FAMILY.scaled(replace(asked().model, scale="s"))


@pytest.mark.slow
def test_openvino_rounds_ssdlite(dataset: DatasetRef, tmp_path: Path) -> None:
    """Conversion leaves operations behind that nobody asks for; NNCF once stumbled over them."""
    pytest.importorskip("openvino")
    found = FAMILY.save_untrained(
        asked("model=ssdlite", "model.weights=scratch"), SCRATCH, dataset.class_names, tmp_path / "best.pt"
    )
    images = [sample.image for sample in load_split(dataset, "train")]
    made = export(found, "openvino/int8", tmp_path / "artifacts", ExportConfig(name="test"), calibration=images)
    assert float(made.facts["weights_i8"]) > 0.9
