"""Keeps the best few checkpoints of a training, the metric in their names: `top/epoch003-mAP50-95=0.4123.pt`."""

from __future__ import annotations

import re
from pathlib import Path

from src.common.whole_files import copy_whole

NAME = re.compile(r"epoch(\d+)-mAP50-95=(\d\.\d{4})\.pt")


class TopK:
    """The `count` best of the checkpoints offered, in `folder`.

    Ranks come from the names of the files, so a resumed training goes on with what is there.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.count = count

    def offer(self, source: Path, epoch: int, value: float) -> None:
        """Keep a copy of `source` if it is among the best; ties go to the earlier epoch.

        Args:
            source: the checkpoint of this epoch.
            epoch: 1-based.
            value: mAP50-95 on val.
        """
        mine = (-round(value, 4), epoch)
        others = sorted(self._kept())
        if len(others) >= self.count and mine >= others[self.count - 1][:2]:
            return
        copy_whole(source, self.folder / f"epoch{epoch:03d}-mAP50-95={value:.4f}.pt")
        for _, _, path in sorted(self._kept())[self.count :]:
            path.unlink()

    def files(self) -> list[Path]:
        """Kept checkpoints, the best first."""
        return [path for _, _, path in sorted(self._kept())]

    def _kept(self) -> list[tuple[float, int, Path]]:
        found = ((NAME.fullmatch(path.name), path) for path in self.folder.glob("epoch*.pt"))
        return [(-float(m[2]), int(m[1]), path) for m, path in found if m]
