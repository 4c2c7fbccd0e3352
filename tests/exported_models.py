"""The tiny detector and its artifacts, made once per run of the tests and shared by several rooms and all workers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from src.common.whole_files import locked, whole_folder, write_text
from src.config.schema import ExportConfig
from src.export import export
from src.records.schema import Artifact, Checkpoint
from tests.tiny import make_checkpoint, make_images

CFG = ExportConfig(name="test")


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run have in common; whoever writes there holds a lock."""
    base = factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"


def once(folder: Path, make: Callable[[Path], Checkpoint]) -> Checkpoint:
    """The checkpoint that `make` saves in a folder, by whichever worker comes first."""
    record = folder / "checkpoint.json"
    with locked(folder.with_suffix(".lock")):
        if not record.is_file():
            folder.mkdir(exist_ok=True)
            write_text(record, json.dumps(vars(make(folder))))  # plain values: their family tells input and output
        return Checkpoint(**json.loads(record.read_text()))


def tiny_checkpoint(factory: pytest.TempPathFactory) -> Checkpoint:
    """An untrained YOLOv8n at 64 px."""
    return once(shared_folder(factory) / "tiny-checkpoint", make_checkpoint)


def tiny_images(factory: pytest.TempPathFactory) -> list[str]:
    """Six small pictures."""
    folder = shared_folder(factory) / "tiny-images"
    with locked(folder.with_suffix(".lock")):
        if not folder.is_dir():
            with whole_folder(folder) as aside:
                make_images(aside)
    return sorted(map(str, folder.iterdir()))


def exported_once(checkpoint: Checkpoint, target: str, folder: Path, images: list[str] | None = None) -> Artifact:
    """A checkpoint in another format; what is there already is not made again."""
    with locked(folder.with_suffix(".lock")):
        return export(checkpoint, target, folder, CFG, calibration=images or ())


def artifact_of(factory: pytest.TempPathFactory, target: str) -> Artifact:
    """An artifact of the tiny detector."""
    folder = shared_folder(factory) / "tiny-artifacts"
    return exported_once(tiny_checkpoint(factory), target, folder, tiny_images(factory))
