"""What a training that was killed goes on from: written whole after every epoch, read without running code of it.

Batches, augmentation and torchvision's own sampling of regions draw from generators that are seeded by the epoch, so
that none has to be kept.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

from src.common.hashes import sha256_file
from src.common.whole_files import copy_whole, whole_file

log = logging.getLogger(__name__)

FOLDER = "state"
STATE, BEST = "state.pt", "best.pt"


class State:
    """The state of one training in a folder."""

    def __init__(self, out: Path) -> None:
        self.folder = out / FOLDER

    def keep(self, state: dict[str, Any], best: Path) -> None:
        """Keep the state after an epoch, with the best checkpoint so far."""
        import torch

        self.folder.mkdir(parents=True, exist_ok=True)
        kept = self.folder / BEST
        if not kept.is_file() or sha256_file(kept) != sha256_file(best):
            copy_whole(best, kept, sync=True)
        content = {**state, "best_sha256": sha256_file(kept)}
        with whole_file(self.folder / STATE, sync=True) as aside:
            torch.save(content, aside)

    def load(self, best: Path) -> dict[str, Any] | None:
        """The state to go on from, its best checkpoint put in place; None where there is none that is whole."""
        import torch

        path, kept = self.folder / STATE, self.folder / BEST
        if not path.is_file():
            return None
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if not kept.is_file() or sha256_file(kept) != state["best_sha256"]:
            log.warning("the kept state of %s is incomplete; training begins again", self.folder)
            return None
        copy_whole(kept, best, sync=True)
        return state

    def forget(self) -> None:
        """The training's result is recorded: its state is no longer needed."""
        shutil.rmtree(self.folder, ignore_errors=True)
