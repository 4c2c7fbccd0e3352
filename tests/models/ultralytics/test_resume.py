"""A training that was killed goes on bit for bit, and what it leaves is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.config.schema import AppConfig
from src.data import resolve
from src.models.base import Start, TrainResult
from src.models.ultralytics.training import forget_state, train
from src.records.schema import DatasetRef
from tests.config.test_config import composed

EPOCHS = 3


class KilledError(BaseException):
    """Stands for a kill: nothing of the program catches it."""


@pytest.fixture(scope="module")
def cfg() -> AppConfig:
    words = ["imgsz=32", f"epochs={EPOCHS}", "train.plots=false", "data.n_train=8", "data.n_val=4", "data.n_test=4"]
    return composed(*words, "threads=1", "augment.mosaic=1.0", "augment.fliplr=0.5")


@pytest.fixture(scope="module")
def dataset(cfg: AppConfig, tmp_path_factory: pytest.TempPathFactory) -> DatasetRef:
    return resolve(cfg.data, tmp_path_factory.mktemp("data"))


def trained(cfg: AppConfig, dataset: DatasetRef, out: Path, kill_at: int = 0) -> tuple[TrainResult | None, list[int]]:
    """Train in `out`, killed in the middle of an epoch where asked to; also the epochs that were reported."""
    seen: list[int] = []

    def on_epoch(epoch: int, row: dict[str, float]) -> None:
        seen.append(epoch)
        if epoch == kill_at:
            raise KilledError

    try:
        return train(cfg.training, dataset, Start(None, "scratch"), out, 1, on_epoch), seen
    except KilledError:
        return None, seen


def test_a_killed_training_ends_as_if_it_had_not_been(cfg: AppConfig, dataset: DatasetRef, tmp_path: Path) -> None:
    whole, _ = trained(cfg, dataset, tmp_path / "whole" / "train")
    assert trained(cfg, dataset, tmp_path / "cut" / "train", kill_at=2) == (None, [1, 2])
    assert trained(cfg, dataset, tmp_path / "cut" / "train", kill_at=3) == (None, [1, 2, 3])
    cut, seen = trained(cfg, dataset, tmp_path / "cut" / "train")
    assert seen == [1, 2, 3], "what was trained before is reported again, and only the last epoch trained again"
    assert whole is not None
    assert cut is not None
    assert cut.history == whole.history
    assert cut.checkpoint.weights_sha256 == whole.checkpoint.weights_sha256
    assert cut.checkpoint.best_epoch == whole.checkpoint.best_epoch
    assert (tmp_path / "cut/train/results.csv").read_text().count("\n") == EPOCHS + 1
    assert (tmp_path / "cut/train/state").exists(), "until its result is recorded, a kill must not cost the training"
    forget_state(tmp_path / "cut" / "train")
    assert not (tmp_path / "cut/train/state").exists()


def test_an_epoch_that_ends_at_a_rung_is_not_trained_again(cfg: AppConfig, dataset: DatasetRef, tmp_path: Path) -> None:
    import torch

    out = tmp_path / "train"
    trained(cfg, dataset, out, kill_at=2)
    kept = torch.load(out / "state" / "state.pt", weights_only=True)
    assert kept["epoch"] == 1, "from 0: the state is kept before the epoch is told of"
    assert [row["epoch"] for row in kept["history"]] == [1, 2]


@pytest.mark.slow
def test_a_torn_state_is_not_taken_for_a_whole_one(cfg: AppConfig, dataset: DatasetRef, tmp_path: Path) -> None:
    out = tmp_path / "train"
    trained(cfg, dataset, out, kill_at=2)
    best = out / "state" / "best.pt"
    best.write_bytes(best.read_bytes()[:100])
    result, seen = trained(cfg, dataset, out)
    assert result is not None
    assert seen == [1, 2, 3]
    assert len(result.history) == EPOCHS
