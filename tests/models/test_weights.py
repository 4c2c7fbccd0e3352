"""Which weights a training starts from, and what is said when there are none."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from src.common.errors import UserError
from src.config.training import ModelConfig
from src.models.base import Start
from src.models.weights import SCRATCH, SCRATCH_FALLBACK, ZIP_MAGIC, fetch, resolve_start


def model(weights: str) -> ModelConfig:
    return ModelConfig(name="v8n", architecture="yolov8n.yaml", pretrained="yolov8n.pt", weights=weights)


def test_scratch_is_scratch(tmp_path: Path) -> None:
    assert resolve_start(model("scratch"), tmp_path, "https://nowhere.invalid") == Start(None, SCRATCH)


def test_auto_takes_the_file_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "yolov8n.pt").write_bytes(ZIP_MAGIC)
    expected = Start(tmp_path / "yolov8n.pt", "pretrained:yolov8n.pt")
    assert resolve_start(model("auto"), tmp_path, "https://nowhere.invalid") == expected


def test_auto_without_network_says_loudly_that_it_starts_from_scratch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert resolve_start(model("auto"), tmp_path, "https://nowhere.invalid") == Start(None, SCRATCH_FALLBACK)
    assert "FROM SCRATCH" in caplog.text


def test_a_file_that_is_no_checkpoint_is_refused_without_unpickling(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    path.write_text("cos\nsystem\n(S'touch marker'\ntR.")
    with pytest.raises(UserError, match="no PyTorch checkpoint"):
        resolve_start(model(str(path)), tmp_path, "https://nowhere.invalid")


def test_a_download_is_kept_only_when_it_is_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DETSWEEP_OFFLINE", raising=False)
    monkeypatch.delenv("YOLO_OFFLINE", raising=False)
    for content, kept in ((b"<html>" + b"x" * 200_000, False), (ZIP_MAGIC + b"x" * 200_000, True)):
        source = tmp_path / "served" / "yolov8n.pt"
        source.parent.mkdir(exist_ok=True)
        source.write_bytes(content)
        target = tmp_path / "weights" / "yolov8n.pt"
        assert fetch("yolov8n.pt", target, source.parent.as_uri()) is kept
        assert target.exists() is kept
        assert len(list(target.parent.iterdir())) == int(kept)


def test_offline_asks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETSWEEP_OFFLINE", "1")
    monkeypatch.setattr("urllib.request.urlopen", lambda *a, **k: pytest.fail("asked the network"))
    assert not fetch("yolov8n.pt", tmp_path / "yolov8n.pt", "https://nowhere.invalid")
