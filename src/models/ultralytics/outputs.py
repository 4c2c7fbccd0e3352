"""What a network of Ultralytics takes and answers with, told from the network itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from src.common.errors import UserError
from src.models.ultralytics.checkpoint import class_names
from src.records.model_io import Input, Output, layout, resize_of

if TYPE_CHECKING:
    from torch import nn

NAME, LICENCE = "ultralytics", "AGPL-3.0"  # of the family, and of its code and every network trained with it
TASKS = ("detect", "segment", "pose", "obb")
DECODER = "RTDETRDecoder"
HEADS = {DECODER: "detect", "SemanticSegment": "semantic"}  # of which the end of the name says nothing
ENDS = {"Detect": "detect", "Segment": "segment", "Segment26": "segment", "Pose": "pose", "Pose26": "pose",
        "OBB": "obb", "OBB26": "obb"}  # fmt: skip


class Described(TypedDict):
    """Fields of a checkpoint that its family fills in."""

    family: str
    licence: str
    input: Input
    output: Output


def describe(model: nn.Module, imgsz: int, licence: str = LICENCE) -> Described:
    """What the record of a checkpoint says of its network, used at images of `imgsz` px, under an SPDX expression."""
    return {"family": NAME, "licence": licence, "input": input_of(model, imgsz), "output": output_of(model)}


def input_of(model: nn.Module, imgsz: int | None) -> Input:
    """What a network takes; `imgsz` None = as it was trained, and a size of 0 where it doesn't tell."""
    height, width = (imgsz, imgsz) if imgsz else _trained_size(model)
    return Input(height, width, resize_of(_layout(model)))


def output_of(model: nn.Module) -> Output:
    """What a network answers with, when it is exported or run by itself."""
    return layout(_layout(model), len(class_names(model)), task_of(model))


def refuse_task(model: nn.Module, path: Path | str) -> None:
    """Refuse a network that finds no boxes.

    Raises:
        UserError: naming its task.
    """
    if (task := task_of(model)) not in TASKS:
        raise UserError(
            f"the model's output is not understood: the file says that its task is {task[:40]!r}; boxes come from "
            f"{', '.join(TASKS)}",
            value=path,
        )


def task_of(model: nn.Module) -> str:
    """What a network was made for, by the class of its head; that class where it is not known."""
    name = type(_head(model)).__name__
    return HEADS.get(name) or next((ENDS[end] for end in ENDS if name.endswith(end)), name)


def is_alone(model: nn.Module) -> bool:
    """Whether only the head that chooses its boxes by itself is left, as fusing leaves it."""
    head = _head(model)
    return getattr(head, "one2one_cv2", None) is not None and head.cv2 is None


def _head(model: nn.Module) -> Any:
    return model.model[-1]  # type: ignore[index]


def _layout(model: nn.Module) -> str:
    """Name of the output's layout. Of two heads (YOLO26) the one-to-many counts: see `export_source`."""
    if type(_head(model)).__name__ == DECODER:
        return "queries"
    if not is_alone(model):
        return "dense"
    return "listed_rotated" if task_of(model) == "obb" else "end2end"


def _trained_size(model: nn.Module) -> tuple[int, int]:
    trained: Any = getattr(model, "args", None) or {}
    size = trained.get("imgsz") if isinstance(trained, dict) else getattr(trained, "imgsz", None)
    sides = size if isinstance(size, (list, tuple)) else [size]
    whole = [side for side in sides if isinstance(side, int) and side > 0]
    return (whole[0], whole[-1]) if whole and len(whole) == len(sides) else (0, 0)
