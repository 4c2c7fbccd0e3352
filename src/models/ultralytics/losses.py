"""YOLO's loss with what Ultralytics has no argument for: another overlap of boxes, focal weights, smoothed labels.

Ultralytics builds the loss when a network first needs it, also for the moving average that val is judged with and again
after a restart. So the place where it is built is changed, and every one of them is the loss that was asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from ultralytics.utils import loss as loss_module
from ultralytics.utils.metrics import bbox_iou as plain_overlap

module: Any = loss_module
overlap: Any = plain_overlap
NAMES = {"iou": {}, "giou": {"GIoU": True}, "diou": {"DIoU": True}, "ciou": {"CIoU": True}}


@dataclass(frozen=True)
class LossOptions:
    """What is asked for; None and 0 mean: as Ultralytics does."""

    box: str | None = None  # iou | giou | diou | ciou
    focal_gamma: float = 0.0
    focal_alpha: float = 0.0
    smoothing: float = 0.0


def smoothed(targets: Tensor, share: float) -> Tensor:
    """Targets [..., classes] with a share of every object's score spread over all classes.

    Background stays 0: there are thousands of places without an object, and to teach each of them that it holds a
    little of everything would outweigh the objects.
    """
    total = targets.sum(-1, keepdim=True)
    return targets * (1 - share) + total * (share / targets.shape[-1])


def focal_weight(logits: Tensor, targets: Tensor, gamma: float, alpha: float) -> Tensor:
    """Weights [..., classes] of the cross-entropy: |target - prediction| ** gamma, balanced by alpha.

    With targets of 0 and 1 this is the focal loss (Lin et al., 2017); YOLO's targets are scores between them, for which
    it is the quality focal loss (Li et al., 2020).
    """
    weight = (targets - logits.sigmoid()).abs() ** gamma if gamma else torch.ones_like(logits)
    if alpha:
        weight = weight * torch.where(targets > 0, alpha, 1 - alpha)
    return weight


class ClassLoss(nn.Module):
    """Takes the place of the binary cross-entropy of scores [batch, places, classes], element by element."""

    def __init__(self, options: LossOptions) -> None:
        super().__init__()
        self.options = options

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The loss of every place and class."""
        options = self.options
        if options.smoothing:
            targets = smoothed(targets, options.smoothing)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        if options.focal_gamma or options.focal_alpha:
            loss = loss * focal_weight(logits, targets, options.focal_gamma, options.focal_alpha)
        return loss


class BoxLoss(module.BboxLoss):  # type: ignore[misc]
    """Ultralytics' loss of boxes with another overlap; the part of the distances stays."""

    def __init__(self, reg_max: int, kind: str) -> None:
        super().__init__(reg_max)
        self.kind = kind

    def forward(
        self, dist: Tensor, boxes: Tensor, points: Tensor, wanted: Tensor, scores: Tensor, total: Tensor, found: Tensor,
        *rest: Any,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Losses of overlap and distances, over the places that `found` marks; boxes are corners."""
        _, distances = super().forward(dist, boxes, points, wanted, scores, total, found, *rest)
        weight = scores[found].sum(-1, keepdim=True)
        overlaps = overlap(boxes[found], wanted[found], xywh=False, **NAMES[self.kind])
        return ((1.0 - overlaps) * weight).sum() / total, distances


def shape(criterion: Any, options: LossOptions) -> Any:
    """Make a loss of YOLO the one that is asked for; of heads with two branches, both."""
    for part in ("one2many", "one2one"):
        if hasattr(criterion, part):
            shape(getattr(criterion, part), options)
    if not isinstance(criterion, module.v8DetectionLoss):
        return criterion
    if options.focal_gamma or options.focal_alpha or options.smoothing:
        criterion.bce = ClassLoss(options)
    if options.box is not None:
        criterion.bbox_loss = BoxLoss(criterion.reg_max, options.box).to(criterion.device)
    return criterion


def install(options: Callable[[], LossOptions]) -> None:
    """Have every network of YOLO build its loss as the options of the training in hand ask for."""
    from ultralytics.nn.tasks import DetectionModel

    build: Any = DetectionModel.init_criterion

    def init_criterion(self: Any) -> Any:
        return shape(build(self), options())

    DetectionModel.init_criterion = init_criterion  # type: ignore[method-assign]


def set_dropout(network: nn.Module, probability: float) -> int:
    """Set the probability of every layer that has one; returns how many there are."""
    count = 0
    for layer in network.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = probability
        elif isinstance(layer, nn.MultiheadAttention):
            layer.dropout = probability
        else:
            continue
        count += 1
    return count
