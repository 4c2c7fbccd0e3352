"""What a detector takes and what it answers with: the two records that every room reads instead of asking who made it.

They stand on checkpoints and artifacts. A family says them of its networks; files of other makers are known by what
they declare and by the shapes they answer with. `LAYOUTS` holds the outputs that are common enough to have a name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

Resize = Literal["letterbox", "stretch", "shortest_side"]
Axis = Literal["columns", "rows", "listed", "indexed", "pair"]


@dataclass(frozen=True)
class Input:
    """What a model takes: float32 [n, 3, height, width], an image fitted in by `resize`, then (x - mean) / std."""

    height: int  # px
    width: int
    # letterbox: as large as fits, the rest grey; stretch: both sides made to fit; shortest_side: scaled until the
    # shorter side fits and the longer one is at most the input's, the rest black at the right and the bottom.
    resize: Resize = "letterbox"
    mean: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])  # of values in 0..1, in the order of `colour`
    std: list[float] = field(default_factory=lambda: [1.0, 1.0, 1.0])
    colour: Literal["rgb", "bgr"] = "rgb"
    batch: int = 0  # images per call that the file insists on; 0 = any number

    def __post_init__(self) -> None:
        """Refuse what no image could be fitted into: records come from files.

        Raises:
            ValueError: saying what.
        """
        if min(self.height, self.width, self.batch) < 0:
            raise ValueError(f"an input of {self.height} x {self.width} px, {self.batch} at once")
        if len(self.mean) != 3 or len(self.std) != 3 or 0 in self.std:
            raise ValueError("mean and std must be three numbers each, and no std may be 0")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, px."""
        return self.height, self.width


@dataclass(frozen=True)
class Output:
    """What a model answers with.

    `layout` says where a box's numbers are: "columns" [n, numbers, boxes], "rows" [n, boxes, numbers], "listed" the
    same with score and class id in place of a score per class, "indexed" [boxes, 7] with the image's index in front,
    "pair" two outputs [n, boxes, 4] and [n, boxes, classes].
    """

    layout: Axis = "columns"
    box: Literal["centre", "corners"] = "centre"  # centre and size, or two corners
    units: Literal["px", "unit"] = "px"  # coordinates in px of the input, or in 0..1 of it
    objectness: bool = False  # a score of its own between box and classes, which multiplies theirs
    activation: Literal["", "sigmoid", "softmax"] = ""  # what turns the numbers into scores
    background: Literal["", "first", "last"] = ""  # a class that means nothing is there
    nms: bool = False  # suppression is done, or the network chose by itself: none is wanted
    classes: int = 0  # 0 = as many as the width says
    task: str = ""  # detect, segment, pose or obb; numbers beyond box and scores are told apart by it
    picks: list[int] = field(default_factory=list)  # which outputs count, boxes first; empty = the first that fits

    @property
    def rotated(self) -> bool:
        """Whether each box has an angle, as its last number."""
        return self.task == "obb"

    @property
    def queries(self) -> bool:
        """Whether the boxes answer a set of learned queries, as those of DETR and its kin do."""
        return self.nms and self.units == "unit" and self.box == "centre"


# The outputs that have a name here: `src.inference.layout` tells files of other makers by them, and records of earlier
# versions hold the name alone.
LAYOUTS: dict[str, Output] = {
    "dense": Output("columns"),
    "dense_unit": Output("columns", units="unit"),
    "rows": Output("rows"),
    "rows_unit": Output("rows", units="unit"),
    "objectness": Output("rows", objectness=True),  # YOLOv5, YOLOv7
    "objectness_unit": Output("rows", units="unit", objectness=True),
    "objectness_columns": Output("columns", objectness=True),
    "end2end": Output("listed", "corners", nms=True),
    "end2end_unit": Output("listed", "corners", units="unit", nms=True),
    "listed_rotated": Output("listed", nms=True),  # centre, size, score, class, angle
    "indexed": Output("indexed", "corners", nms=True),  # YOLOv7: image, corners, class, score
    "queries": Output("listed", units="unit", nms=True),  # RT-DETR as Ultralytics exports it
    "query_scores": Output("rows", units="unit", nms=True),  # and as it was exported before
    "detr": Output("pair", units="unit", activation="softmax", background="last", nms=True),
    "detr_sigmoid": Output("pair", units="unit", activation="sigmoid", nms=True),
    "detr_scores": Output("pair", units="unit", nms=True),
    "ssd": Output("pair", "corners", "unit", background="first"),
    "ssd_logits": Output("pair", "corners", "unit", activation="softmax", background="first"),
    "corner_scores": Output("pair", "corners", "unit"),
    "corner_logits": Output("pair", "corners", "unit", activation="sigmoid"),
}
# Models that answer so are trained on images whose sides are both made to fit.
STRETCHED = {"queries", "query_scores"} | {name for name, output in LAYOUTS.items() if output.layout == "pair"}


def layout(name: str, classes: int = 0, task: str = "", picks: Sequence[int] = ()) -> Output:
    """The output of this name in `LAYOUTS`, with what differs from model to model."""
    return replace(LAYOUTS[name], classes=classes, task=task, picks=list(picks))


def resize_of(name: str) -> Resize:
    """How images are fitted into models whose output has this name in `LAYOUTS`."""
    return "stretch" if name in STRETCHED else "letterbox"
