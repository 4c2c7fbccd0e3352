"""The tiny detector and its images, made once."""

from __future__ import annotations

import pytest

from src.records.schema import Artifact, Checkpoint
from tests.exported_models import artifact_of, tiny_checkpoint, tiny_images


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
