"""The tiny detector and its artifacts, made once per test session and shared by the tests of several rooms."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from src.config.schema import ExportConfig
from src.export import export
from src.records.schema import Artifact, Checkpoint
from tests.tiny import make_checkpoint, make_images

CFG = ExportConfig(name="test")


def tiny_checkpoint(factory: pytest.TempPathFactory) -> Checkpoint:
    """An untrained YOLOv8n at 64 px."""
    return _checkpoint(factory.getbasetemp())


@functools.cache
def _checkpoint(base: Path) -> Checkpoint:
    folder = base / "tiny-checkpoint"
    folder.mkdir()
    return make_checkpoint(folder)


def tiny_images(factory: pytest.TempPathFactory) -> list[str]:
    """Six small pictures."""
    return make_images(factory.getbasetemp() / "tiny-images")


def artifact_of(factory: pytest.TempPathFactory, target: str) -> Artifact:
    """An artifact of the tiny detector."""
    folder = factory.getbasetemp() / "tiny-artifacts"
    return export(tiny_checkpoint(factory), target, folder, CFG, calibration=tiny_images(factory))
