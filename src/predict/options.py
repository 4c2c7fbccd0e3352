"""What the prediction command can be told, and which values make sense."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from src.common.errors import UserError
from src.config.idle_keys import Idle, refuse_idle
from src.config.ranges import refuse_outside
from src.config.training import gpus_of
from src.machine.environment import cores
from src.records.tiling import tiling_of


@dataclass
class PredictArgs:
    """Arguments of the command."""

    model: str = MISSING
    source: Any = MISSING  # a webcam is a number
    runtime: str | None = None  # null = the first engine here that runs the file
    device: str = "cpu"  # cpu | cuda | cuda:N
    threads: int = 0  # 0 = all cores that this process may use
    imgsz: int | None = None  # px; of a checkpoint only, exported files have their own
    batch: int = 1  # pictures in a call; tiles too
    conf: float = 0.25  # lowest score
    iou: float = 0.7  # overlap above which two boxes are one
    max_det: int = 300  # per frame
    nms: str = "class"  # class | agnostic | soft | none
    tile: int | None = None  # px; large pictures are cut into tiles of this side too; null = whole only
    overlap: float = 0.2  # share of a tile that the next one repeats
    merge: str = "iou"  # boxes of several tiles are one by: iou, or smaller (share of the smaller box)
    classes: list[str] | None = None  # only these, by name or id
    names: str | None = None  # data.yaml with the names, where the file has none
    save: list[str] = field(default_factory=lambda: ["json"])  # json, txt, csv, pictures, video
    out: str | None = None  # new folder; null = outputs/predictions/<time>-<model>
    every: int = 1  # of a video: every n-th frame
    frames: int = 0  # of a stream: stop after so many; 0 = never
    queue: int = 4  # of a stream: frames that may wait; the oldest is dropped
    attempts: int = 5  # of a stream: openings in a row that may fail
    backoff_s: float = 1.0  # of a stream: first wait before opening again; it doubles
    trust: bool = False  # allow a checkpoint that needs unsafe unpickling
    progress: bool = True


IDLE: list[Idle[PredictArgs]] = [
    Idle("overlap merge", lambda a: a.tile is not None, "shapes tiles, and there are none", "tile=640"),
    Idle(
        "iou",
        lambda a: a.nms in ("class", "agnostic") or (a.tile is not None and a.merge == "iou"),
        "is the overlap that nms=class and nms=agnostic remove at, and nms is another",
        "nms=class",
    ),
]


def check_source(args: PredictArgs, *, live: bool, clips: bool) -> None:
    """Refuse keys that mean nothing to this source.

    Args:
        args: of the command.
        live: it is a webcam or a stream.
        clips: there are video files in it.

    Raises:
        UserError: naming the key, its value and the remedy.
    """
    stream: Idle[PredictArgs] = Idle(
        "frames queue attempts backoff_s", lambda _: live, "is for a stream or a webcam, and the source is files",
        "leave it out, or source=0 or rtsp://…",
    )  # fmt: skip
    video: Idle[PredictArgs] = Idle(
        "every", lambda _: clips, "is for video files, and the source holds none", "leave it out"
    )
    refuse_idle(args, [stream, video])


def check_arguments(args: PredictArgs) -> None:
    """Refuse values that make no sense.

    Raises:
        UserError: naming the key, its value and the remedy.
    """
    from src.predict.suppress import KINDS as NMS
    from src.predict.writers import KINDS

    ranges = {
        "conf": (args.conf, 0, 1),
        "iou": (args.iou, 0, 1),
        "max_det": (args.max_det, 1, 10_000),
        "batch": (args.batch, 1, 1024),
        "threads": (args.threads, 0, cores()),
        "every": (args.every, 1, 1_000_000),
        "frames": (args.frames, 0, 1e12),
        "queue": (args.queue, 1, 10_000),
        "attempts": (args.attempts, 0, 1_000_000),
        "backoff_s": (args.backoff_s, 0, 3600),
        "imgsz": (args.imgsz or 32, 32, 8192),
    }
    refuse_outside(ranges)
    if (args.imgsz or 32) % 32:
        raise UserError("imgsz must be a multiple of 32", value=args.imgsz, remedy="imgsz=640")
    if args.nms not in NMS:
        raise UserError("nms is not known", value=args.nms, remedy=f"one of: {', '.join(NMS)}")
    tiling = tiling_of(args.tile, args.overlap, args.merge)
    if tiling is not None and args.merge == "smaller" and args.nms not in ("class", "agnostic"):
        raise UserError(
            "merge=smaller takes boxes away, which this nms leaves or only lowers",
            value=f"nms={args.nms}",
            remedy="merge=iou, or nms=class",
        )
    for kind in args.save:
        if kind not in KINDS:
            raise UserError("save holds an unknown kind", value=kind, remedy=f"some of: {', '.join(KINDS)}")
    refuse_idle(args, IDLE)
    if not (args.device == "cpu" or len(gpus_of(args.device)) == 1):
        raise UserError("device is not known", value=args.device, remedy="device=cpu, cuda or cuda:0")


def out_folder(args: PredictArgs) -> Path:
    """Where the results go."""
    if args.out:
        return Path(args.out).expanduser()
    return Path("outputs/predictions") / f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}-{Path(args.model).stem}"
