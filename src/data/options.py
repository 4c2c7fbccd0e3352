"""What `python -m src.data COMMAND` can be told, and which command heeds which key."""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING

from src.common.errors import UserError
from src.config.idle_keys import Idle, refuse_idle
from src.config.schema import DataConfig
from src.config.unused_keys import refuse_unused_data


@dataclass
class DatasetArgs:
    """Arguments of the commands."""

    command: str = ""
    data: DataConfig = field(default_factory=DataConfig)
    outputs: str = "outputs"
    pictures: bool = True  # check: draw them
    out: str | None = None  # new folder
    to: str = "yolo"  # layout of the new folder: yolo | coco | voc | label_studio | cvat
    dry_run: bool = False  # say what would be done
    link: bool = False  # link to the images instead of copying them
    near: bool = True  # dedupe: near duplicates too
    threshold: float = 0.1  # balance: share of train images below which a class is rare
    side: int = 640  # resize: longest side, px
    copies: int = 1  # augment: changed copies of every train image
    noise: float = 0.0  # augment: up to this share of the range of values
    blur: float = 0.0  # augment: up to so many px
    contrast: float = 0.0  # augment: +/- gain
    crop: float = 0.0  # augment: up to this share of each side, never a part of a box
    video: str | None = None  # frames
    every: int | None = None
    every_s: float | None = None
    folds: int = 5  # folds: how many
    origin: str | None = None  # download: kaggle | openimages; `from` on the command line
    name: str | None = None  # download from Kaggle: OWNER/DATASET, with KAGGLE_USERNAME and KAGGLE_KEY
    classes: list[str] = field(default_factory=list)  # download from Open Images: names of its classes
    split: str = "validation"  # download from Open Images: train | validation | test
    limit: int = 200  # download from Open Images: images at most
    max_gb: float = 20.0  # download from Kaggle: of the archive, and of what it unpacks to
    remote: str | None = None  # track: DVC remote to push to
    endpoint: str | None = None  # track: address of an S3-compatible server
    region: str | None = None  # track: of the bucket
    ssl: bool | None = None  # track: false for a server of plain HTTP
    source: str | None = None  # encrypt: folder to copy


WRITERS = "convert split dedupe balance augment resize stretch folds"
HEEDED = {  # key -> commands that heed it
    "pictures": "check",
    "out": f"{WRITERS} download frames encrypt",
    "to": WRITERS,
    "dry_run": f"{WRITERS} frames track",
    "link": "convert split dedupe balance folds",
    "near": "dedupe",
    "threshold": "balance",
    "side": "resize",
    **dict.fromkeys(("copies", "noise", "blur", "contrast", "crop"), "augment"),
    **dict.fromkeys(("video", "every", "every_s"), "frames"),
    "folds": "folds",
    **dict.fromkeys(("origin", "name", "classes", "split", "limit", "max_gb"), "download"),
    **dict.fromkeys(("remote", "endpoint", "region", "ssl"), "track"),
    "source": "encrypt",
}
OF_KAGGLE = "is of Kaggle, and the download is from Open Images"
OF_OPEN_IMAGES = "is of Open Images, and the download is from Kaggle"
WITHOUT_DATA = ("download", "frames", "key", "encrypt")
IDLE: list[Idle[DatasetArgs]] = [
    *(
        Idle(
            key,
            lambda a, commands=commands: a.command in commands.split(),  # type: ignore[misc]
            f"is heeded by {commands.replace(' ', ', ')}, and not by this command",
            "leave it out",
        )
        for key, commands in HEEDED.items()
    ),
    Idle("name max_gb", lambda a: a.origin != "openimages", OF_KAGGLE, "from=kaggle"),
    Idle("classes split limit", lambda a: a.origin != "kaggle", OF_OPEN_IMAGES, "from=openimages"),
]


def check_keys(args: DatasetArgs) -> None:
    """Refuse a key that the command does not heed.

    Raises:
        UserError: naming the key, its value and the remedy.
    """
    refuse_idle(args, IDLE)
    if args.command in WITHOUT_DATA:
        if args.data.kind not in ("digits", MISSING) or args.data.path:
            raise UserError(f"{args.command} takes no dataset", value=f"data={args.data.kind}", remedy="leave it out")
    else:
        refuse_unused_data(args.data)
