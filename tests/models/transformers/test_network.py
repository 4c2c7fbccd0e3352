"""Boxes through the product's decoding equal those of transformers' own post-processing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from src.inference.decode import decode
from src.inference.types import Thresholds
from src.models.transformers.configurations import BUILDERS, SOFTMAX
from src.models.transformers.network import build_network, output_of, queries

SIDE, CLASSES = 128, 5


def own_boxes(architecture: str, answer: Any) -> dict[str, Any]:
    """The library's post-processing of one image, without a threshold."""
    from transformers import DetrImageProcessor, RTDetrImageProcessor

    processor: Any = DetrImageProcessor() if architecture in SOFTMAX else RTDetrImageProcessor()
    found: dict[str, Any] = processor.post_process_object_detection(answer, threshold=0.0, target_sizes=[(SIDE, SIDE)])
    return {name: value.numpy() for name, value in found[0].items()}  # type: ignore[index]


@pytest.mark.parametrize("architecture", BUILDERS)
def test_boxes_equal_those_of_the_library(architecture: str) -> None:
    import torch

    torch.manual_seed(0)
    network: Any = build_network(architecture, CLASSES, SIDE).eval()
    with torch.inference_mode():
        x = torch.rand(1, 3, SIDE, SIDE)
        answer = network.raw(x)
        answer.logits = torch.randn_like(answer.logits) * 3  # untrained, all scores are near each other
        own = own_boxes(architecture, answer)
    one_class = architecture in SOFTMAX
    n = len(own["scores"])  # the library keeps as many as there are queries
    outputs = [answer.pred_boxes.numpy(), answer.logits.numpy()]
    thresholds = Thresholds(conf=0.0, max_det=n, multi_label=not one_class)
    boxes, scores, classes = decode(outputs, output_of(architecture, CLASSES), (SIDE, SIDE), thresholds)[0]
    order = np.argsort(-own["scores"], kind="stable")
    assert np.abs(boxes - own["boxes"][order]).max() < 1e-4
    assert np.abs(scores - own["scores"][order]).max() < 1e-6
    assert (classes == own["labels"][order]).all()


@pytest.mark.parametrize("architecture", BUILDERS)
def test_what_is_traced_is_what_the_library_says_of_normalised_images(architecture: str) -> None:
    import torch

    torch.manual_seed(0)
    network: Any = build_network(architecture, CLASSES, SIDE).eval()
    x = torch.rand(1, 3, SIDE, SIDE)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.inference_mode():
        boxes, logits = queries(network)(x)
        own = network.network(pixel_values=(x - mean[:, None, None]) / std[:, None, None])
    assert torch.allclose(boxes, own.pred_boxes, atol=1e-6)
    assert torch.allclose(logits, own.logits, atol=1e-5)


def test_targets_arrive_as_the_library_wants_them() -> None:
    """A box of the right half, as centre and size in 0..1; class 1 of torchvision is class 0."""
    import torch

    network: Any = build_network("yolos_s", CLASSES, SIDE)
    seen: list[Any] = []

    def raw(x: Any, labels: Any) -> Any:
        seen.append(labels)
        return SimpleNamespace(loss=torch.zeros(()))

    network.raw = raw
    target = {"boxes": torch.tensor([[64.0, 0.0, 128.0, 128.0]]), "labels": torch.tensor([1])}
    network(torch.rand(1, 3, SIDE, SIDE), [target])
    assert seen[0][0]["boxes"].tolist() == [[0.75, 0.5, 0.5, 1.0]]
    assert seen[0][0]["class_labels"].tolist() == [0]
