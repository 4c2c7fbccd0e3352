"""Going on with a finished training: what its best checkpoint says is read once, however many checks ask."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from src.common.errors import UserError
from src.models.ultralytics import more_epochs
from src.models.ultralytics.checkpoint import load_checkpoint
from src.models.ultralytics.resume import BEST
from tests.models.ultralytics.toy import toy
from tests.tiny import make_checkpoint


def test_the_best_checkpoint_is_loaded_once_while_it_stays_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, loaded = tmp_path / "final_state", []
    folder.mkdir()
    shutil.copy(make_checkpoint(tmp_path).path, folder / BEST)

    def load(path: Path, *words: Any) -> Any:
        loaded.append(path)
        return load_checkpoint(path, *words)

    monkeypatch.setattr(more_epochs, "load_checkpoint", load)
    training = toy(f"train.resume={folder}").training
    more_epochs._check_same(training, folder)
    with pytest.raises(UserError, match="classes, and the dataset has 99"):
        more_epochs.check_classes(training, [str(i) for i in range(99)])
    assert loaded == [folder / BEST]
    os.utime(folder / BEST, (1, 1))  # another training may have left its own there
    more_epochs._check_same(training, folder)
    assert loaded == [folder / BEST] * 2
