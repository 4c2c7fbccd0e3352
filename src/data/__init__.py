"""The data room: every source becomes one checked, fingerprinted folder in the YOLO layout, made once.

`resolve` turns the `data` group of the configuration into a `DatasetRef`; `load_split` reads what was prepared back for
evaluation. Imports stay inside the functions, so that composing a configuration costs no numpy, Pillow or scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from src.config.schema import DataConfig
    from src.records.schema import DatasetRef

__all__ = [
    "Sample",
    "load_groups",
    "load_split",
    "picture_files",
    "report_files",
    "resolve",
    "use_reading",
]


@dataclass(frozen=True)
class Sample:
    """One image of a prepared split with its ground truth.

    `width` and `height` are those of the picture as shown (after EXIF rotation), which is how OpenCV loads it.
    """

    image: str  # path of the file
    boxes: NDArray[np.float64]  # [n, 4] x1, y1, x2, y2 in pixels
    classes: NDArray[np.int64]  # [n] class ids
    width: int  # px
    height: int  # px
    areas: NDArray[np.float64]  # [n] px²; as annotated (COCO: of the object's outline), else of the box
    ignored: NDArray[np.float64]  # [m, 4] regions to ignore: a detection on one is neither right nor wrong
    ignored_classes: NDArray[np.int64]  # [m]
    ignored_crowd: NDArray[np.bool_]  # [m] a crowd (COCO), not one difficult object (VOC)


def use_reading(cfg: DataConfig) -> None:
    """Read pictures as `cfg` says, in this process and in those that it starts.

    Raises:
        UserError: the loader or the decoder can't be used, or the loader is not trusted.
    """
    from src.common.decoders import use_decoder
    from src.common.image_loaders import use_loader

    use_loader(cfg.loader, cfg.trust_loaders)
    use_decoder(cfg.decoder)


def resolve(cfg: DataConfig, root: Path) -> DatasetRef:
    """Prepare the dataset under `root/datasets` (once), check it and fingerprint it.

    Raises:
        UserError: the configuration or the data is wrong; names the key, or the file and line.
    """
    from src.data.prepare import prepare

    return prepare(cfg, root).ref


def load_split(ref: DatasetRef, split: str) -> list[Sample]:
    """Read one split (`train`, `calibration`, `val` or `test`), sorted by image name; empty when it has no images.

    Raises:
        UserError: the prepared folder is gone or damaged.
    """
    from src.data.samples import read_split

    return read_split(Path(ref.yaml).parent, split)


def load_groups(ref: DatasetRef, split: str, pattern: str | None) -> list[int]:
    """The group of each image of `load_split`: images of one video or site (`data.group`), and near duplicates.

    Raises:
        UserError: the prepared folder is gone or damaged, or the pattern is no regular expression.
    """
    from src.data.groups import image_groups

    return image_groups(Path(ref.yaml).parent, split, pattern)


def report_files(ref: DatasetRef) -> list[str]:
    """Paths of the check's report, made on first use; for logging beside the run."""
    from src.data.report import write_report

    return [str(path) for path in write_report(Path(ref.yaml).parent)]


def picture_files(ref: DatasetRef) -> list[str]:
    """Paths of the dataset's pictures, drawn on first use; for logging beside the run."""
    from src.data.pictures import write_pictures

    return [str(path) for path in write_pictures(Path(ref.yaml).parent)]
