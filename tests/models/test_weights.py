"""Which weights a training starts from, and what is said when there are none."""

from __future__ import annotations

import logging
import pickle
import zipfile
from pathlib import Path

import pytest

from src.common.errors import UserError
from src.config.training import ModelConfig
from src.models.base import MODULES, Start
from src.models.torchvision.outputs import NETWORKS as TORCHVISION
from src.models.transformers.network import NETWORKS as TRANSFORMERS
from src.models.weights import SCRATCH, SCRATCH_FALLBACK, resolve_start
from src.models.weights_download import ZIP_MAGIC


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


def test_a_kept_file_that_has_changed_is_refused(tmp_path: Path) -> None:
    kept = tmp_path / "yolov8n.pt"
    kept.write_bytes(ZIP_MAGIC)
    resolve_start(model("auto"), tmp_path, "")
    kept.write_bytes(ZIP_MAGIC + b"x")
    with pytest.raises(UserError, match="damaged or was replaced"):
        resolve_start(model("auto"), tmp_path, "")
    (tmp_path / "yolov8n.pt.sha256").unlink()
    assert resolve_start(model("auto"), tmp_path, "").path == kept


WRITTEN = {
    "ultralytics": "ultralytics.nn.tasks",
    "torchvision": TORCHVISION.marker,
    "transformers": TRANSFORMERS.marker,
}


@pytest.mark.parametrize("wrote", MODULES)
@pytest.mark.parametrize("own", MODULES)
def test_a_checkpoint_of_another_family_is_refused_by_its_name(own: str, wrote: str, tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("best/data.pkl", pickle.dumps({"format": WRITTEN[wrote]}))
    asked = ModelConfig(name="x", family=own, architecture="x", pretrained="", weights=str(path))
    if own == wrote:
        assert resolve_start(asked, tmp_path, "").path == path
        return
    with pytest.raises(UserError, match=f"of the family {wrote}, and a detector of {own}") as refused:
        resolve_start(asked, tmp_path, "")
    assert refused.value.value == path
    assert wrote in str(refused.value.remedy)
