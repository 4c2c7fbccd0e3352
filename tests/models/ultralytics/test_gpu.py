"""On a GPU: half precisions train, and several GPUs give the same kind of result as one."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from src.models.base import TrainResult
from src.models.ultralytics.arguments import check_training
from src.records.schema import Checkpoint, DatasetRef
from tests.models.ultralytics.toy import run, toy, weights
from tests.tiny import make_checkpoint


@pytest.mark.gpu
@pytest.mark.parametrize("amp", ["fp32", "fp16", "bf16"])
def test_a_precision_trains_to_finite_losses(amp: str, dataset: DatasetRef, tmp_path: Path) -> None:
    cfg = toy("device=cuda", f"train.amp={amp}", "imgsz=64")
    check_training(cfg.training)
    seen: list[object] = []
    result = run(cfg, dataset, tmp_path / "t", hooks={"on_train_start": lambda t: seen.append((t.amp, t.args.amp))})
    assert len(result.history) == 1
    assert seen[0] == ((False, False) if amp == "fp32" else (True, amp))


@pytest.mark.gpu
def test_two_gpus_give_the_same_kind_of_result_as_one(dataset: DatasetRef, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    two = run(toy("device='cuda:0,1'", "imgsz=64", "epochs=2"), dataset, tmp_path / "two")
    one = run(toy("device='cuda:0'", "imgsz=64", "epochs=2"), dataset, tmp_path / "one")
    same_kind(two, one)


def same_kind(result: TrainResult, other: TrainResult) -> None:
    """Two trainings of one configuration: curves of the same figures, all finite; networks of the same form."""
    assert [row["epoch"] for row in result.history] == [row["epoch"] for row in other.history]
    assert [set(row) for row in result.history] == [set(row) for row in other.history]
    assert all(math.isfinite(value) for row in result.history for value in row.values())
    shapes = [{name: value.shape for name, value in weights(r.checkpoint.path).items()} for r in (result, other)]
    assert shapes[0] == shapes[1]
    for fact in ("model", "imgsz", "parameters", "gflops", "family", "start", "input", "output"):
        assert getattr(result.checkpoint, fact) == getattr(other.checkpoint, fact), fact


def test_a_result_of_another_kind_is_told_apart(checkpoint: Checkpoint, tmp_path: Path) -> None:
    one = TrainResult(checkpoint, Path(checkpoint.path), [{"epoch": 1.0, "train/box_loss": 2.0}])
    same_kind(one, one)
    for row in ({"epoch": 1.0}, {"epoch": 1.0, "train/box_loss": math.nan}):
        with pytest.raises(AssertionError):
            same_kind(replace(one, history=[row]), one)
    other = make_checkpoint(tmp_path, yaml="yolov8s.yaml")
    with pytest.raises(AssertionError):
        same_kind(replace(one, checkpoint=replace(checkpoint, path=other.path)), one)
    with pytest.raises(AssertionError):
        same_kind(replace(one, checkpoint=replace(one.checkpoint, parameters=one.checkpoint.parameters + 1)), one)
