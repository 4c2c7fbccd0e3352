"""Networks of published configurations: built by the library, filled with what fits, given the images they expect."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from src.common.errors import UserError
from src.models.torchvision import checkpoint
from src.models.transformers.begin import check_fit, published_start
from src.models.transformers.network import NETWORKS, output_of, queries
from src.models.transformers.published import build_published, parsed, published
from src.models.transformers.sides import check_side
from src.models.transformers.snapshot import Snapshot
from tests.models.transformers.snapshots import (
    KINDS,
    MEAN,
    NORMALISED,
    PUBLISHED_CLASSES,
    SIDE,
    SOME,
    STD,
    change,
    config_of,
    model,
    published_network,
    snapshot,
)


@pytest.fixture(scope="module", params=SOME)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot of each kind; its folder has the kind's name."""
    images = {**NORMALISED, "image_mean": MEAN, "image_std": STD}
    return snapshot(tmp_path_factory.mktemp("snapshots") / request.param, request.param, images)


def begun(folder: Path, classes: int, side: int) -> tuple[Any, Any]:
    """The family's network with the weights of a folder, and what was taken over."""
    import torch

    start = published_start(model(str(folder)), folder, "")
    built = (start.architecture, classes, side)
    torch.manual_seed(1)
    network: Any = NETWORKS.build(*built)
    return network.eval(), checkpoint.begin(network, start, built, NETWORKS)


@pytest.mark.parametrize("side", [SIDE, 160])
def test_with_its_own_classes_it_answers_as_the_library_does(folder: Path, side: int) -> None:
    """Also at another size than published, where the library interpolates positions for every image."""
    import torch

    network, taken = begun(folder, PUBLISHED_CLASSES, side)
    assert taken.missing == []
    own = published_network(folder.name)
    x = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        boxes, logits = queries(network)(x)
        wanted = own(pixel_values=(x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None])
    assert torch.allclose(boxes, wanted.pred_boxes, atol=1e-4)
    assert torch.allclose(logits, wanted.logits, atol=1e-3)
    assert output_of(published_start(model(str(folder)), folder, "").architecture, 5).background == (
        "last" if folder.name in ("detr", "yolos") else ""
    )


def test_the_class_head_starts_anew_for_other_classes(folder: Path) -> None:
    import torch

    network, taken = begun(folder, 3, SIDE)
    assert taken.missing
    assert all("class" in name or "score" in name or "model.decoder" in name for name in taken.missing)
    assert f"{len(taken.loaded)} of {taken.total} tensors are taken over; these start anew: network." in taken.text()
    own = published_network(folder.name).state_dict()
    given = network.network.state_dict()
    same = [n for n in given if f"network.{n}" in taken.loaded and given[n].shape == own[n].shape]
    assert all(torch.equal(given[n], own[n]) for n in same)
    assert len(same) > 0.8 * len(given)
    assert not any(
        torch.equal(given[n], own[n])
        for n in given
        if given[n].shape == own[n].shape and given[n].ndim > 1 and f"network.{n}" in taken.missing
    )


def test_a_checkpoint_carries_its_configuration(folder: Path, tmp_path: Path) -> None:
    """It opens without the folder, and is a start for another training."""
    import torch

    network, _ = begun(folder, 3, SIDE)
    start = published_start(model(str(folder)), folder, "")
    path = tmp_path / "best.pt"
    checkpoint.save(path, checkpoint.Saved(start.architecture, ["a", "b", "c"], SIDE, network.state_dict()), NETWORKS)
    opened = checkpoint.network_of(checkpoint.load(path, NETWORKS), path, of=NETWORKS)
    x = torch.rand(1, 3, SIDE, SIDE)
    with torch.inference_mode():
        assert all(torch.equal(a, b) for a, b in zip(queries(network)(x), queries(opened)(x), strict=True))
    again = published_start(model(str(path), folder.name), folder, "")
    assert (again.path, again.note, again.architecture) == (path, "file:best.pt", start.architecture)
    with pytest.raises(UserError, match="another detector than was asked for"):
        published_start(model(str(path), next(k for k in KINDS if k != folder.name)), folder, "")


def test_it_learns(folder: Path) -> None:
    """One backward pass reaches every weight that isn't frozen, with the norms as published."""
    import torch

    network, _ = begun(folder, 3, SIDE)
    target = {"boxes": torch.tensor([[10.0, 10.0, 60.0, 50.0]]), "labels": torch.tensor([2])}
    torch.manual_seed(0)
    network.train()([torch.rand(3, SIDE, SIDE)] * 2, [target] * 2)["loss"].backward()
    reached = [p.grad is not None for p in network.parameters() if p.requires_grad]
    assert sum(reached) > 0.9 * len(reached)


@pytest.mark.parametrize(
    ("kind", "images", "mean", "std"),
    [
        ("yolos", None, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ("d_fine", None, [0, 0, 0], [1, 1, 1]),
        ("d_fine", {**NORMALISED, "do_normalize": False, "image_mean": MEAN, "image_std": STD}, [0, 0, 0], [1, 1, 1]),
        ("rt_detr_v2", {**NORMALISED, "image_mean": MEAN, "image_std": STD}, MEAN, STD),
        ("yolos", {"do_rescale": False, "image_mean": [127.5] * 3, "image_std": [51] * 3}, [0.5] * 3, [0.2] * 3),
        ("yolos", {"do_normalize": False, "rescale_factor": 1 / 127.5}, [0, 0, 0], [0.5] * 3),
    ],
)
def test_images_are_prepared_as_published(
    kind: str, images: dict[str, Any] | None, mean: list[float], std: list[float]
) -> None:
    """Of values in 0..1: whatever the file says about rescaling."""
    of = published(Snapshot(Path(), {"model_type": kind}, images))
    assert parsed(of.text()) == of
    assert of.mean == pytest.approx(tuple(mean))
    assert of.std == pytest.approx(tuple(std))


def text_of(kind: str, **keys: object) -> str:
    """An architecture of a tiny configuration, with other keys."""
    config = {**config_of(kind).to_dict(), **keys}
    return json.dumps({"config": config, "mean": [0] * 3, "std": [1] * 3, "frozen": True})


def test_sizes_that_it_cannot_take_are_refused() -> None:
    start = text_of
    many = start("d_fine", num_queries=300)
    check_side(many, 128, "x")
    with pytest.raises(UserError, match="picks 300 queries") as told:
        check_side(many, 96, "x")
    assert told.value.remedy == "imgsz=128 or more"
    windows = start("rf_detr")
    text = json.loads(windows)
    text["config"]["backbone_config"] |= {"patch_size": 14, "num_windows": 4}
    with pytest.raises(UserError, match="multiple of 224") as told:
        check_side(json.dumps(text), 256, "x")
    assert told.value.remedy == "imgsz=224 or imgsz=448"
    check_side(json.dumps(text), 448, "x")
    check_side(start("detr"), 32, "x")


def test_what_breaks_the_network_is_found_before_training(tmp_path: Path) -> None:
    folder = snapshot(tmp_path / "yolos", "yolos")
    start = published_start(model(str(change(folder, intermediate_size=32))), tmp_path, "")
    check_fit(start, 3, 64, "x")  # the layers of another width start anew
    for keys, match in (
        ({"num_attention_heads": 3}, "can't build the network"),
        ({"hidden_act": "no such"}, "can't build the network"),
        ({"hidden_size": "16"}, "can't build the network"),
        ({"hidden_size": 64, "num_hidden_layers": 9}, "another architecture"),
        ({"num_channels": 4, "intermediate_size": 16}, r"can't (take|build)"),
    ):
        changed = change(snapshot(tmp_path / f"{len(str(keys))}", "yolos"), **keys)
        with pytest.raises(UserError, match=match):
            check_fit(published_start(model(str(changed)), tmp_path, ""), 3, 64, "x")


def test_no_code_and_no_hub_is_reached_by_a_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: calls.append(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: calls.append(args))
    evil = {
        "auto_map": {"AutoConfig": "evil--x.Config", "AutoModelForObjectDetection": "someone/evil--x.Model"},
        "quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True},
        "attn_implementation": "someone/kernels",
        "_attn_implementation": "someone/kernels",
        "_name_or_path": "someone/evil",
        "torch_dtype": "float16",
        "return_dict": False,
        "id2label": {"0": "x"},
        "backbone": "microsoft/resnet-50",
        "use_pretrained_backbone": True,
    }
    plain = snapshot(tmp_path / "detr", "detr")
    text = published_start(model(str(plain)), tmp_path, "").architecture
    start = published_start(model(str(change(plain, **evil))), tmp_path, "")
    network = build_published(start.architecture, 3, SIDE)
    assert str(network) == str(build_published(text, 3, SIDE))
    assert {p.dtype for p in network.parameters()} == {next(iter(network.parameters())).float().dtype}
    check_fit(start, 3, SIDE, "x")
    named = published_start(
        model(str(change(plain, **evil, backbone_config=None, use_timm_backbone=False))), tmp_path, ""
    )
    with pytest.raises(UserError, match="can't build the network"):
        build_published(named.architecture, 3, SIDE)
    assert not calls


def test_from_nothing_its_norms_learn() -> None:
    """Frozen norms of a network that begins from nothing would keep statistics that nobody measured."""
    import torch

    for kind in ("rt_detr_v2", "detr"):
        text = text_of(kind)
        names = {type(m).__name__ for m in build_published(text, 2, SIDE).modules()}
        assert any("FrozenBatchNorm" in name for name in names)
        learning = build_published(json.dumps({**json.loads(text), "frozen": False}), 2, SIDE)
        assert not any("FrozenBatchNorm" in type(m).__name__ for m in learning.modules())
        assert any(isinstance(m, torch.nn.BatchNorm2d) for m in learning.modules())


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    path = snapshot(tmp_path / "yolos", "yolos") / "model.safetensors"
    weights = load_file(path)
    next(iter(weights.values())).fill_(torch.nan)
    save_file(weights, path)
    with pytest.raises(UserError, match="not finite"):
        check_fit(published_start(model(str(path.parent)), tmp_path, ""), 3, 64, "x")


@pytest.mark.parametrize(
    "text", ["{", '{"config":{}}', '{"config":{"model_type":"yolos"},"mean":[0],"std":[1],"frozen":1}']
)
def test_a_damaged_text_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="configuration is damaged"):
        build_published(text, 2, 64)
