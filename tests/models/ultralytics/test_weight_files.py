"""What a training writes once an epoch: weights without the optimizer, which the state for a kill holds already."""

from __future__ import annotations

import gc
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from src.models.ultralytics import weight_files
from src.models.ultralytics.resume import STATE
from src.models.ultralytics.training import weights_hash
from src.records.schema import DatasetRef
from tests.models.ultralytics.toy import run, toy, toy_dataset

EPOCHS = 3


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DatasetRef:
    return toy_dataset(tmp_path_factory)


def steps(optimizer: Any) -> set[float]:
    return {float(state["step"]) for state in optimizer.state_dict()["state"].values()}


def test_a_loss_that_is_no_number_goes_back_to_the_last_whole_epoch(dataset: DatasetRef, tmp_path: Path) -> None:
    import torch

    seen: dict[str, Any] = {"steps": [], "sizes": []}

    def spoil(trainer: Any) -> None:
        if trainer.epoch == 1 and "spoilt" not in seen:
            seen["spoilt"] = steps(trainer.optimizer)
            trainer.loss = torch.tensor(float("nan"))

    def look(trainer: Any) -> None:
        seen["steps"].append(steps(trainer.optimizer))

    def weigh(trainer: Any) -> None:
        seen["sizes"].append(trainer.last.stat().st_size)

    hooks = {"on_train_epoch_end": spoil, "on_train_epoch_start": look, "on_model_save": weigh}
    result = run(toy(f"epochs={EPOCHS}"), dataset, tmp_path / "t", hooks=hooks)
    first, second, again, _ = seen["steps"]
    assert first == set()
    assert again == second, "the optimizer is back where the epoch began"
    assert max(seen["spoilt"]) > max(second)
    assert [row["epoch"] for row in result.history] == [1, 2, 3]
    state = tmp_path / "t" / "state" / STATE
    assert max(seen["sizes"]) < 1.1 * result.last.stat().st_size < state.stat().st_size / 4


@pytest.mark.parametrize("best", [1, EPOCHS])
def test_both_checkpoints_know_of_all_epochs(dataset: DatasetRef, tmp_path: Path, best: int) -> None:
    import torch

    def judge(trainer: Any) -> None:
        validate = trainer.validate

        def validated() -> Any:
            metrics, _ = validate()
            worth = 1.0 if trainer.epoch + 1 == best else 0.5 / (trainer.epoch + 1)
            trainer.best_fitness = max(trainer.best_fitness or 0.0, worth)
            return metrics, worth

        trainer.validate = validated

    result = run(toy(f"epochs={EPOCHS}"), dataset, tmp_path / "t", hooks={"on_train_start": judge})
    files = [Path(result.checkpoint.path), result.last]
    for path in files:
        content = torch.load(path, map_location="cpu", weights_only=False)
        assert len(content["train_results"]["epoch"]) == EPOCHS
        assert (content["optimizer"], content["ema"], content["epoch"]) == (None, None, -1)
    assert (weights_hash(files[0]) == weights_hash(files[1])) is (best == EPOCHS)


def test_files_hold_the_average_of_their_epoch(
    dataset: DatasetRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def count(trainer: Any) -> None:
        made.append(id(trainer.copy._copy))

    words = f"epochs={EPOCHS}"
    one = run(toy(words), dataset, tmp_path / "one", hooks={"on_model_save": count})
    monkeypatch.setattr(weight_files.HalfCopy, "of", lambda *_: nullcontext())
    other = run(toy(words), dataset, tmp_path / "other")
    assert len(made) == EPOCHS
    assert len(set(made)) == 1, "made once"
    assert weights_hash(one.last) == weights_hash(other.last)
    assert one.checkpoint.weights_sha256 == other.checkpoint.weights_sha256


def test_what_was_imported_is_in_no_collection(dataset: DatasetRef, tmp_path: Path) -> None:
    run(toy("epochs=1"), dataset, tmp_path / "t")
    assert gc.get_freeze_count() > 100_000
