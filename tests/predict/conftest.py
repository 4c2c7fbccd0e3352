"""A tiny detector that sees differences between pictures, as checkpoint and exported; pictures, and a short video."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from src.common.hashes import sha256_file
from src.models.ultralytics.checkpoint import load_checkpoint
from src.records.schema import Artifact, Checkpoint
from tests.exported_models import exported_once, once, shared_folder, tiny_checkpoint, tiny_images

FRAMES = 12


def _detector(factory: pytest.TempPathFactory) -> Checkpoint:
    """The untrained detector with the statistics of its batch norms taken from pictures: signals get through."""
    plain, pictures = tiny_checkpoint(factory), tiny_images(factory)
    return once(shared_folder(factory) / "lively-checkpoint", lambda folder: _lively(plain, pictures, folder))


def _lively(plain: Checkpoint, pictures: list[str], folder: Path) -> Checkpoint:
    import torch

    model: Any = load_checkpoint(plain.path)
    images = [cv2.resize(np.asarray(cv2.imread(p)), (64, 64)).transpose(2, 0, 1) for p in pictures]
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        model.train()(torch.from_numpy(np.stack(images)).float() / 255)
    path = folder / "lively.pt"
    torch.save({"model": model.eval().half(), "ema": None, "train_args": {}}, path)
    sha = sha256_file(path)
    return Checkpoint(str(path), sha, sha, "lively", 64, 0, 1, 1, "scratch", 1, 0.1)


def exported(factory: pytest.TempPathFactory, target: str) -> Artifact:
    """The detector in another format."""
    return exported_once(_detector(factory), target, shared_folder(factory) / "lively")


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return exported(tmp_path_factory, "onnx/fp32")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(tiny_images(tmp_path_factory)[0]).parent


@pytest.fixture(scope="session")
def video(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.getbasetemp() / "clip.avi"
    if not path.is_file():
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (80, 48))
        for i in range(FRAMES):
            image = cv2.imread(str(pictures / f"{i % 6}.png"))
            assert image is not None
            writer.write(image)
        writer.release()
    return path
