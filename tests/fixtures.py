"""The tiny detector and its images, made once; figures of reports, unpainted unless asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from src.common.figures import save_png
from src.records.schema import Artifact, Checkpoint
from tests.exported_models import artifact_of, tiny_checkpoint, tiny_images


def blank(figure: object, path: Path) -> None:
    """A picture of one pixel in place of a figure."""
    from PIL import Image

    Image.new("RGB", (1, 1)).save(path)


@pytest.fixture(scope="session", autouse=True)
def figures_are_not_painted() -> Iterator[None]:
    """Painting takes three quarters of a report's time: figures are built in tests of reports, and left unpainted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("src.report.figures.save_png", blank)
        yield


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures of this test's reports are painted as they are for users."""
    monkeypatch.setattr("src.report.figures.save_png", save_png)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """An untrained YOLOv8n at 64 px."""
    return tiny_checkpoint(tmp_path_factory)


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Six small pictures."""
    return tiny_images(tmp_path_factory)


@pytest.fixture(scope="session")
def onnx(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Its ONNX float32 file."""
    return artifact_of(tmp_path_factory, "onnx/fp32")


@pytest.fixture(scope="session")
def pytorch(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The checkpoint as an artifact."""
    return artifact_of(tmp_path_factory, "pytorch/fp32")
