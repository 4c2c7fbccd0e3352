"""Rounding is that of an INT8 file, gradients pass it, and what is saved is a plain checkpoint."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from src.models.ultralytics.checkpoint import load_checkpoint
from src.records.schema import Checkpoint, DatasetRef
from tests.models.ultralytics.toy import run, toy
from tests.tiny import make_checkpoint


@pytest.fixture(scope="module")
def plain(dataset: DatasetRef, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A plain training: what others start from, are taught by, and are compared with."""
    return run(toy(), dataset, tmp_path_factory.mktemp("plain")).checkpoint


def test_weights_and_activations_land_on_their_steps() -> None:
    import torch

    from src.models.ultralytics.qat import round_activation, round_weight

    torch.manual_seed(0)
    weight = torch.randn(4, 3, 3, 3, requires_grad=True)
    rounded = round_weight(weight)
    for channel, original in zip(rounded.detach(), weight.detach(), strict=True):
        step = original.abs().max() / 127
        assert torch.allclose((channel / step).round() * step, channel, atol=1e-6)
        assert (channel - original).abs().max() <= step / 2 + 1e-6
        assert len(channel.unique()) <= 255
    rounded.sum().backward()
    assert weight.grad is not None
    assert bool(torch.all(weight.grad == 1))
    x = torch.linspace(-1, 3, 1000, requires_grad=True)
    y = round_activation(x, -0.5, 2.0)
    assert len(y.detach().round(decimals=5).unique()) <= 256
    assert (float(y.min()), float(y.max())) == pytest.approx((-0.5, 2.0))
    y.sum().backward()
    assert x.grad is not None
    assert (x.grad[(x > -0.49) & (x < 1.99)] == 1).all()
    assert (x.grad[x > 2.01] == 0).all()


@pytest.mark.parametrize("name", ["x86", "fbgemm", "qnnpack"])
def test_a_scheme_rounds_as_pytorchs_own(name: str) -> None:
    import torch
    from torch.ao.quantization import get_default_qat_qconfig

    from src.models.ultralytics.qat import SCHEMES, round_activation, round_weight

    torch.manual_seed(0)
    weight, x = torch.randn(8, 4, 3, 3) * torch.linspace(0.1, 2, 8)[:, None, None, None], torch.rand(2, 4, 8, 8) * 3
    config: Any = get_default_qat_qconfig(name)
    assert torch.allclose(round_weight(weight, SCHEMES[name]), config.weight()(weight), atol=1e-6)
    levels = SCHEMES[name].levels
    assert torch.allclose(round_activation(x, 0.0, float(x.max()), levels), config.activation()(x), atol=1e-5)
    assert len(round_activation(x, 0.0, float(x.max()), levels).unique()) <= levels + 1


def test_frozen_statistics_stay_while_weights_learn() -> None:
    import torch

    from src.models.ultralytics.qat import freeze_statistics

    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4)).train()
    network(torch.rand(4, 3, 8, 8))
    before = network[1].running_mean.clone()  # type: ignore[union-attr, operator]
    freeze_statistics(network)
    network(torch.rand(4, 3, 8, 8) + 3).sum().backward()
    assert torch.equal(network[1].running_mean, before)  # type: ignore[arg-type]
    assert network[1].weight.grad is not None
    assert network[0].training


def test_rounding_is_there_only_while_it_is_on(tmp_path: Path) -> None:
    import torch

    from src.models.ultralytics.qat import Rounding

    model: Any = load_checkpoint(make_checkpoint(tmp_path).path)
    torch.manual_seed(0)
    x, rounding = torch.rand(2, 3, 64, 64), Rounding()
    plain = model(x)[0]
    rounding.calibrate(model, lambda m: m(x))
    assert len(rounding.ranges) > 50
    assert not any("dfl" in name for name in rounding.ranges)
    with torch.no_grad(), rounding.on(model):
        rounded = model(x)[0]
    assert (rounded - plain).abs().max() > 0
    assert torch.equal(model(x)[0], plain)
    assert not any("_conv_forward" in vars(m) or m._forward_pre_hooks for m in copy.deepcopy(model).modules())


@pytest.mark.slow
def test_qat_starts_from_a_checkpoint_and_leaves_a_plain_one(
    plain: Checkpoint, dataset: DatasetRef, tmp_path: Path
) -> None:
    start = Path(plain.path)
    words = ["train=qat", f"model.weights={start}", "train.qat_batches=1", "epochs=2", "lr=0.0001"]
    seen: list[int] = []

    def count(trainer: Any) -> None:
        live = [m for m in trainer.model.modules() if "_conv_forward" in vars(m)]
        average = [m for m in trainer.ema.ema.modules() if "_conv_forward" in vars(m)]
        seen.append(len(live))
        assert not average

    result = run(toy(*words), dataset, tmp_path / "qat", start=start, hooks={"on_train_batch_end": count})
    assert min(seen) > 50
    model: Any = load_checkpoint(result.checkpoint.path)
    assert not any(m._forward_pre_hooks or "_conv_forward" in vars(m) for m in model.modules())
    assert result.checkpoint.weights_sha256
    off = run(toy(*words, "train.qat=false"), dataset, tmp_path / "off", start=start)
    assert off.checkpoint.weights_sha256 != result.checkpoint.weights_sha256


@pytest.mark.slow
def test_distillation_trains_the_small_one_alone(plain: Checkpoint, dataset: DatasetRef, tmp_path: Path) -> None:
    result = run(toy("train=distill", f"train.distill_model={plain.path}"), dataset, tmp_path / "student")
    assert any("dis" in name for name in result.history[0])
    assert plain.weights_sha256 != result.checkpoint.weights_sha256
    assert plain.parameters == result.checkpoint.parameters, "neither teacher nor projector is left"


@pytest.mark.slow
def test_statistics_are_frozen_after_as_many_epochs_as_asked(
    plain: Checkpoint, dataset: DatasetRef, tmp_path: Path
) -> None:
    import torch

    words = ["train=qat", f"model.weights={plain.path}", "train.qat_batches=1", "epochs=3", "train.qat_freeze_bn=2"]
    means: dict[int, Any] = {}

    def look(trainer: Any) -> None:
        norms = [m for m in trainer.model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        means[trainer.epoch] = torch.cat([m.state_dict()["running_mean"].clone() for m in norms])

    run(toy(*words, "train.qat_scheme=qnnpack"), dataset, tmp_path / "qat", start=Path(plain.path),
        hooks={"on_train_epoch_end": look})  # fmt: skip
    assert not torch.equal(means[0], means[1])
    assert torch.equal(means[1], means[2])
