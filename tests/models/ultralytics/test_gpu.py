"""On a GPU: half precisions train, and several GPUs give the same kind of result as one."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.models.ultralytics.arguments import check_training
from src.records.schema import DatasetRef
from tests.models.ultralytics.toy import run, toy


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
def test_two_gpus_train_together(dataset: DatasetRef, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    result = run(toy("device='cuda:0,1'", "imgsz=64", "epochs=2"), dataset, tmp_path / "t")
    assert len(result.history) == 2
    assert Path(result.checkpoint.path).is_file()
