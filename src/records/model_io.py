"""What a detector takes and what it answers with: the two records that every room reads instead of asking who made it.

They stand on checkpoints and artifacts. A family says them of its networks; files of other makers are known by what
they declare and by the shapes they answer with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
