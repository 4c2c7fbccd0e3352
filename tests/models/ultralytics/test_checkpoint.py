"""Checkpoints are loaded without running what they carry."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from src.common.errors import UserError
from src.models.ultralytics.checkpoint import class_names, load_checkpoint
from src.records.schema import Checkpoint


class _Bomb:
    """Pickles to a call that leaves a trace."""

    def __init__(self, trace: str) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.trace,)


def test_a_checkpoint_loads(checkpoint: Checkpoint) -> None:
    model = load_checkpoint(checkpoint.path)
    assert class_names(model) == ["a", "b", "c"]
    assert not model.training


def test_a_pickled_call_does_not_run(checkpoint: Checkpoint, tmp_path: Path) -> None:
    import torch

    path, trace = tmp_path / "bomb.pt", tmp_path / "ran"
    torch.save({"model": None, "payload": _Bomb(str(trace))}, path)
    with pytest.raises(UserError, match="could run code") as error:
        load_checkpoint(path)
    assert "trust=true" in str(error.value)
    assert not trace.exists()


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 truncated"])
def test_a_damaged_checkpoint_names_its_file(content: bytes, checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "broken.pt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"broken\.pt"):
        load_checkpoint(path)


def test_a_truncated_checkpoint_names_its_file(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "cut.pt"
    path.write_bytes(Path(checkpoint.path).read_bytes()[:100_000])
    with pytest.raises(UserError, match=r"cut\.pt"):
        load_checkpoint(path)


def test_something_else_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    import torch

    path = tmp_path / "state.pt"
    torch.save({"model": {"weight": torch.zeros(1)}}, path)
    with pytest.raises(UserError, match="no detector"):
        load_checkpoint(path)
    with pytest.raises(UserError, match="does not exist"):
        load_checkpoint(tmp_path / "missing.pt")
