"""The images that static INT8 is calibrated on; a folder of one's own must not hold those that judge.

Ranges that were taken from images of val or test would fit these images, and the file would look better than it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from src.common.errors import UserError
from src.config.schema import AppConfig
from src.data import load_split
from src.export.calibration import hashes_of, images_of
from src.records.schema import DatasetRef

JUDGING = ("val", "test")


def calibration_images(cfg: AppConfig, dataset: DatasetRef) -> list[str]:
    """The images of `export.calibration.folder`, else of the calibration part of train.

    Raises:
        UserError: the folder holds none, or one that also lies in val or test.
    """
    images = images_of(cfg.export, [sample.image for sample in load_split(dataset, "calibration")])
    if cfg.export.calibration.folder is not None:
        for split in JUDGING:
            _refuse_shared(images, [sample.image for sample in load_split(dataset, split)], split)
    return images


def _refuse_shared(images: Sequence[str], judging: Sequence[str], split: str) -> None:
    """Refuse images of equal content; only those of equal size are read for it."""
    sizes = {Path(image).stat().st_size for image in images}
    suspects = [image for image in judging if Path(image).stat().st_size in sizes]
    own = dict(zip(hashes_of(images), images, strict=True)) if suspects else {}
    for digest in hashes_of(suspects):
        if digest in own:
            raise UserError(
                f"export.calibration.folder holds an image of {split}, which judges the files",
                value=own[digest],
                remedy="a folder of other images, or export.calibration.folder=null for a part of train",
            )
