"""What `python -m src.evaluate` can be told: a sweep's finalists, or model files of any origin on any dataset."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from src.common.errors import UserError
from src.config.idle_keys import Idle, refuse_idle
from src.config.ranges import ABOVE_0, MOST_THREADS, refuse_outside
from src.config.schema import DataConfig, RuntimeConfig
from src.config.unused_keys import refuse_unused_data
from src.records.tiling import tiling_of

SPLITS = ("train", "val", "test")


@dataclass
class EvaluateArgs:
    """Arguments of the command."""

    sweep: str = "latest"  # name of a sweep, or latest
    trial: int | None = None  # show this finalist only
    production: float = 0.25  # confidence threshold in use
    again: bool = False  # evaluate again what was evaluated
    suspects: int | None = None  # list so many likely label errors and hard images, as an HTML sheet
    outputs: str = "outputs"
    # Model files instead of a sweep:
    artifacts: Any = None  # one file, or several: a.pt,b.onnx; each after the first is compared with the first
    data: DataConfig = field(default_factory=DataConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)  # the first of them that runs a file is taken
    split: str = "val"
    limit: int | None = None  # images of the split; null = all
    imgsz: int | None = None  # px; of a checkpoint only, exported files have their own
    conf: float = 0.001  # lowest score that counts for mAP
    iou: float = 0.7  # overlap above which two boxes of one class are one
    max_det: int = 300  # per image
    tile: int | None = None  # px; large pictures are cut into tiles of this side too; null = whole only
    overlap: float = 0.2  # share of a tile that the next one repeats
    merge: str = "iou"  # boxes of several tiles are one by: iou, or smaller (share of the smaller box)
    names: str | None = None  # data.yaml with the names of the model's classes, where the file has none
    device: str = "cpu"
    threads: int = 0  # 0 = all cores that this process may use
    trust: bool = False  # allow a checkpoint that needs unsafe unpickling
    miss: float | None = None  # cost of a missed object: thresholds per class are chosen on `split` ...
    false_alarm: float | None = None  # ... for this cost of a detection on nothing ...
    confirm: str = "test"  # ... and confirmed on this split
    out: str = "outputs/evaluation"  # evaluation.json, curves.png, suspects.html
    figures: bool = True


OF_FILES = "is about model files, and what is evaluated is a sweep"
IDLE: list[Idle[EvaluateArgs]] = [
    Idle(
        "sweep trial again",
        lambda a: a.artifacts is None,
        "is about a sweep, and what is evaluated is model files",
        "leave it out, or leave artifacts out",
    ),
    Idle(
        "limit imgsz conf iou max_det tile overlap merge names device threads trust miss false_alarm out figures",
        lambda a: a.artifacts is not None,
        OF_FILES,
        "artifacts=FILE data=…, or leave it out",
    ),
    Idle(
        "split",
        lambda a: a.artifacts is not None or a.suspects is not None,
        "is for model files and label errors; finalists of a sweep are evaluated on val and test",
        "leave it out",
    ),
    Idle(
        "trial again production",
        lambda a: a.suspects is None or a.artifacts is not None,
        "does nothing for the sheet of label errors",
        "leave it out, or suspects",
    ),
    Idle("overlap merge", lambda a: a.tile is not None, "shapes tiles, and there are none", "tile=640"),
    Idle(
        "confirm",
        lambda a: a.miss is not None,
        "confirms thresholds by costs, and there are none",
        "miss=5 false_alarm=1",
    ),
]


def files_of(args: EvaluateArgs) -> list[str]:
    """The model files that are asked for: a list, or paths with commas between them."""
    given = args.artifacts if isinstance(args.artifacts, list) else str(args.artifacts or "").split(",")
    return [str(path).strip() for path in given if str(path).strip()]


def check_arguments(args: EvaluateArgs) -> None:
    """Refuse values that make no sense.

    Raises:
        UserError: naming the key, its value and the remedy.
    """
    ranges = {
        "production": (args.production, 0, 1),
        "conf": (args.conf, 0, 1),
        "iou": (args.iou, 0, 1),
        "max_det": (args.max_det, 1, 10_000),
        "limit": (1 if args.limit is None else args.limit, 1, 1e12),
        "suspects": (1 if args.suspects is None else args.suspects, 1, 10_000),
        "threads": (args.threads, 0, MOST_THREADS),
        "imgsz": (args.imgsz or 32, 32, 8192),
    }
    refuse_outside(ranges)
    for key in ("split", "confirm"):
        if getattr(args, key) not in SPLITS:
            raise UserError(f"{key} is no split", value=getattr(args, key), remedy=f"one of: {', '.join(SPLITS)}")
    tiling_of(args.tile, args.overlap, args.merge)
    _check_costs(args)
    refuse_idle(args, IDLE)
    if args.artifacts is None:
        for key, chosen, plain in (("data", args.data.kind, "digits"), ("runtime", args.runtime.name, "all")):
            if chosen not in (plain, MISSING):
                raise UserError(f"{key} {OF_FILES}", value=f"{key}={chosen}", remedy="artifacts=FILE, or leave it out")
    refuse_unused_data(args.data)


def _check_costs(args: EvaluateArgs) -> None:
    if (args.miss is None) != (args.false_alarm is None):
        alone = f"miss={args.miss}" if args.false_alarm is None else f"false_alarm={args.false_alarm}"
        raise UserError("miss and false_alarm are given together", value=alone, remedy="miss=5 false_alarm=1")
    refuse_outside({key: (getattr(args, key), ABOVE_0, math.inf) for key in ("miss", "false_alarm")})
    if args.miss is not None and args.confirm == args.split:
        raise UserError(
            "thresholds can't be confirmed on the split that they were chosen on",
            value=f"confirm={args.confirm}",
            remedy="confirm=test",
        )
