"""The loss that a recipe asks for, on tensors of a few numbers and on a network's own loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from src.models.ultralytics.checkpoint import prepare_environment


@pytest.fixture(scope="module")
def losses(tmp_path_factory: pytest.TempPathFactory) -> Any:
    prepare_environment(tmp_path_factory.mktemp("settings"))
    from src.models.ultralytics import losses, trainers

    assert trainers.engine
    return losses


LOGITS = torch.tensor([[3.0, -3.0], [0.0, -1.0], [-4.0, -4.0]])
TARGETS = torch.tensor([[1.0, 0.0], [0.6, 0.0], [0.0, 0.0]])


def test_smoothing_spreads_the_score_of_objects_and_leaves_background_alone(losses: Any) -> None:
    found = losses.smoothed(TARGETS, 0.2)
    assert torch.allclose(found, torch.tensor([[0.9, 0.1], [0.54, 0.06], [0.0, 0.0]]))
    assert torch.equal(losses.smoothed(TARGETS, 0.0), TARGETS)


def test_focal_weights_are_those_of_the_paper_where_targets_are_0_or_1(losses: Any) -> None:
    targets = (TARGETS > 0).float()
    p = LOGITS.sigmoid()
    of_truth = torch.where(targets > 0, p, 1 - p)
    found = losses.ClassLoss(losses.LossOptions(focal_gamma=2.0, focal_alpha=0.25))(LOGITS, targets)
    alpha = torch.where(targets > 0, 0.25, 0.75)
    assert torch.allclose(found, alpha * (1 - of_truth) ** 2 * -of_truth.log(), atol=1e-6)


def test_a_score_that_is_met_weighs_nothing(losses: Any) -> None:
    logits = torch.logit(torch.tensor([[0.6, 0.5]]))
    weight = losses.focal_weight(logits, torch.tensor([[0.6, 0.0]]), 2.0, 0.0)
    assert weight.tolist()[0] == pytest.approx([0.0, 0.25], abs=1e-6)


def test_without_options_the_loss_is_the_plain_one(losses: Any) -> None:
    plain = cross_entropy(LOGITS, TARGETS, reduction="none")
    assert torch.equal(losses.ClassLoss(losses.LossOptions())(LOGITS, TARGETS), plain)


def test_boxes_are_compared_as_asked(losses: Any) -> None:
    boxes = torch.tensor([[[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 1.0, 1.0]]])  # the second one is not an object's
    wanted = torch.tensor([[[1.0, 1.0, 3.0, 5.0], [0.0, 0.0, 1.0, 1.0]]])
    scores, found = torch.tensor([[[1.0], [0.0]]]), torch.tensor([[True, False]])
    points, total = torch.tensor([[1.0, 1.0], [0.5, 0.5]]), torch.tensor(1.0)
    iou = 1 / 11  # 1 of 4 + 8 - 1
    centres, diagonal = (2 - 1) ** 2 + (3 - 1) ** 2, 3**2 + 5**2
    expected = {
        "iou": 1 - iou,
        "giou": 1 - (iou - (15 - 11) / 15),
        "diou": 1 - (iou - centres / diagonal),
    }
    dist = torch.zeros(1, 2, 4 * 16)
    rest = (torch.tensor([32, 32]), torch.ones(2, 1))
    got = {}
    for kind in ("iou", "giou", "diou", "ciou"):
        got[kind], distances = losses.BoxLoss(16, kind)(dist, boxes, points, wanted, scores, total, found, *rest)
        assert float(distances) > 0, "the distances are learned as before"
    for kind, value in expected.items():
        assert float(got[kind]) == pytest.approx(value, rel=1e-4), kind
    plain, _ = losses.module.BboxLoss(16)(dist, boxes, points, wanted, scores, total, found, *rest)
    assert torch.allclose(got["ciou"], plain), "Ultralytics' own"
    assert got["ciou"] > got["diou"], "the proportions differ"


def test_the_loss_that_yolo_has_anyway_is_no_other_training() -> None:
    """A sweep over null and ciou would train the same network twice, and is refused for it."""
    from src.models.ultralytics.arguments import training_options
    from tests.models.ultralytics.toy import toy

    assert training_options(toy("train.box_loss=ciou").training) == training_options(toy().training)
    assert training_options(toy("train.box_loss=giou").training) != training_options(toy().training)


@pytest.mark.slow
@pytest.mark.parametrize("yaml", ["yolov8n.yaml", "yolo26n.yaml"])
def test_a_network_builds_the_loss_that_its_training_asks_for(
    losses: Any, yaml: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from src.models.ultralytics.arguments import training_options
    from src.models.ultralytics.network import build_network
    from src.models.ultralytics.trainers import VARIABLE, hand_over
    from tests.models.ultralytics.toy import toy

    monkeypatch.setenv(VARIABLE, "{}")
    network = build_network(yaml, 3)
    network.args = type("Args", (), {"box": 7.5, "cls": 0.5, "dfl": 1.5, "epochs": 3})()
    torch.manual_seed(0)
    boxes = {"cls": torch.tensor([[1.0]]), "bboxes": torch.tensor([[0.5, 0.5, 0.6, 0.9]]), "batch_idx": torch.zeros(1)}
    batch = {"img": torch.rand(1, 3, 64, 64), **boxes}
    network.train()
    values = {}
    words = {
        "": [],
        "box": ["train.box_loss=iou"],
        "focal": ["train.focal_gamma=2"],
        "soft": ["train.label_smoothing=0.3"],
    }
    for name, asked in words.items():
        hand_over(training_options(toy(*asked).training))
        network.criterion = None
        _, values[name] = network.loss(batch)
    changed = {n: [k for k, v in row.items() if not torch.equal(v, values[""][k])] for n, row in values.items()}
    assert changed == {"": [], "box": ["box_loss"], "focal": ["cls_loss"], "soft": ["cls_loss"]}
    assert values["focal"]["cls_loss"] < values[""]["cls_loss"]


def test_dropout_is_set_where_there_are_such_layers(losses: Any) -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.0), nn.MultiheadAttention(4, 1))
    assert losses.set_dropout(network, 0.5) == 2
    x = torch.ones(64, 4)
    assert float((network[1](x) == 0).float().mean()) == pytest.approx(0.5, abs=0.15)
    assert network[2].dropout == 0.5
    assert losses.set_dropout(nn.Sequential(nn.Conv2d(3, 3, 1)), 0.5) == 0
