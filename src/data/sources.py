"""Which reader belongs to which `data.kind`, and what each needs from the configuration."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from src.common.errors import UserError
from src.config.schema import DataConfig
from src.data.other_formats import named
from src.data.types import RawDataset

MADE = "digits"  # scenes that `src.data.prepare` makes instead of reading a source


def read_source(cfg: DataConfig, base: Path) -> RawDataset:
    """Read the dataset that the configuration names.

    Args:
        base: folder for what has to be fetched.

    Raises:
        UserError: a key is missing, or the source can't be read.
    """
    try:
        return KINDS[cfg.kind](cfg, base)
    except UserError as error:
        file = Path(cfg.path).expanduser() if cfg.path else None
        raise (named(file, error) if file is not None and file.is_file() else error) from None


def _path(cfg: DataConfig, example: str) -> Path:
    if not cfg.path:
        raise UserError("data.path is not set", remedy=f"data={cfg.name} data.path={example}")
    path = Path(cfg.path).expanduser()
    if not path.exists():
        raise UserError("data.path does not exist", value=cfg.path, remedy=f"data.path={example}")
    if path.is_file() and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path)):
        raise UserError(
            "data.path is an archive",
            value=cfg.path,
            remedy=f"unpack it first, then data.path={example} of what it holds",
        )
    return path


def _yolo(cfg: DataConfig, base: Path) -> RawDataset:
    from src.data.yolo import read_yolo

    return read_yolo(_path(cfg, "DIR/data.yaml"))


def _coco(cfg: DataConfig, base: Path) -> RawDataset:
    from src.data.coco import read_coco

    return read_coco(_path(cfg, "DIR"))


def _coco128(cfg: DataConfig, base: Path) -> RawDataset:
    from src.data.coco128 import read_coco128, source_folder

    return read_coco128(source_folder(cfg.source, base))


def _tiny_person(cfg: DataConfig, base: Path) -> RawDataset:
    from src.data.coco128 import read_tiny_person, source_folder

    sizes = {"train": cfg.n_train, "val": cfg.n_val, "test": cfg.n_test}
    return read_tiny_person(source_folder(cfg.source, base), sizes)


def _voc(cfg: DataConfig, base: Path) -> RawDataset:
    from src.data.voc import read_voc

    return read_voc(_path(cfg, "DIR"), one_based=cfg.one_based)


def _label_studio(cfg: DataConfig, base: Path) -> RawDataset:
    from src.data.label_studio import read_label_studio

    return read_label_studio(_path(cfg, "DIR/export.json"))


def _cvat(cfg: DataConfig, base: Path) -> RawDataset:
    from src.data.cvat import read_cvat

    return read_cvat(_path(cfg, "DIR/annotations.xml"))


def _roboflow(cfg: DataConfig, base: Path) -> RawDataset:
    from src.data.roboflow import read_roboflow

    return read_roboflow(cfg.workspace, cfg.project, cfg.version, base)


KINDS: dict[str, Callable[[DataConfig, Path], RawDataset]] = {
    "yolo": _yolo,
    "coco": _coco,
    "coco128": _coco128,
    "tiny_person": _tiny_person,
    "voc": _voc,
    "label_studio": _label_studio,
    "cvat": _cvat,
    "roboflow": _roboflow,
}


def check_kind(kind: str) -> None:
    """Refuse a `data.kind` that nothing reads.

    Raises:
        UserError: naming those that are known.
    """
    known = sorted((MADE, *KINDS))
    if kind not in known:
        raise UserError("data.kind is not known", value=kind, remedy=f"one of: {', '.join(known)}")
