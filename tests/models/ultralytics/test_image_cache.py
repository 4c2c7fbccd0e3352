"""Caches: hits are counted, changes are misses, nothing is a pickle, and secret pictures stay secret."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.common import encryption
from src.common.errors import UserError
from src.models.ultralytics.checkpoint import prepare_environment
from src.records.schema import DatasetRef
from tests.models.ultralytics.toy import run, toy

N = 8


@pytest.fixture
def copy(dataset: DatasetRef, tmp_path: Path) -> Path:
    """A copy of the prepared dataset of its own."""
    folder = tmp_path / "data"
    shutil.copytree(Path(dataset.yaml).parent, folder)
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    for cache in folder.rglob("*.cache"):
        cache.unlink()
    return folder


def data(folder: Path, cache: str | None, imgsz: int = 32) -> Any:
    prepare_environment(folder / "settings")
    from src.models.ultralytics import trainers
    from src.models.ultralytics.image_cache import YoloImages

    assert trainers.engine
    names = {i: str(i) for i in range(10)}
    return YoloImages(
        img_path=str(folder / "images" / "train"), imgsz=imgsz, cache=cache, augment=False, data={"names": names}
    )


def epoch(images: Any) -> list[Any]:
    return [images.load_image(i)[0] for i in range(N)]


@pytest.mark.parametrize("cache", ["disk", "ram"])
def test_pictures_are_read_once_for_all_epochs_and_trainings(copy: Path, cache: str) -> None:
    plain, cold = data(copy, None), data(copy, cache)
    assert (cold.hits, cold.misses) == (0, N)
    assert all((a == b).all() for a, b in zip(epoch(plain), epoch(cold), strict=True))
    assert (cold.hits, cold.misses) == (N, N)
    warm = data(copy, "ram" if cache == "disk" else "disk")  # of both, the same file
    assert all((a == b).all() for a, b in zip(epoch(plain), epoch(warm), strict=True))
    assert (warm.hits, warm.misses) == (N, 0)
    assert (copy / ".cache" / warm.shared.path.name).stat().st_size <= N * 32 * 32 * 3, "resized before they are cached"
    assert not list(copy.rglob("*.npy"))


def test_a_changed_picture_or_another_size_is_a_miss(copy: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "src.models.shared_images")
    epoch(data(copy, "disk"))
    first = Path(data(copy, None).im_files[0])
    import cv2

    cv2.imwrite(str(first), np.full((64, 64, 3), 200, np.uint8))
    changed = data(copy, "disk")
    assert changed.misses == 1
    assert (epoch(changed)[0] == 200).mean() > 0.9
    assert f"1 of {N} pictures have changed, {first.name} among them" in caplog.messages[-1]
    other = data(copy, "disk", imgsz=64)
    assert other.misses == N
    assert len(list((copy / ".cache").glob("*.pixels"))) == 2, "one of each size"


def test_a_torn_cache_is_a_miss(copy: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "src.models.shared_images")
    good = epoch(data(copy, "disk"))
    for file in (copy / ".cache").glob("*.pixels"):
        file.write_bytes(file.read_bytes()[:50])
    again = data(copy, "disk")
    assert "it holds 50 bytes instead of" in caplog.messages[-1]
    assert all((a == b).all() for a, b in zip(good, epoch(again), strict=True))
    assert again.misses == N


def with_loading(monkeypatch: pytest.MonkeyPatch, **asked: Any) -> None:
    """Have datasets find these options."""
    import json

    from src.models.ultralytics.handed_over import VARIABLE

    monkeypatch.setenv(VARIABLE, json.dumps({"loading": asked}))


def test_a_cache_of_pictures_as_they_are_serves_every_size(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {size: epoch(data(copy, None, imgsz=size)) for size in (32, 96)}
    with_loading(monkeypatch, resize=False, folder=str(copy / "elsewhere"))
    for size, images in plain.items():
        found = data(copy, "ram", imgsz=size)
        assert all((a == b).all() for a, b in zip(images, epoch(found), strict=True))
        assert found.misses == (N if size == 32 else 0)
    assert not (copy / ".cache").exists()


def test_a_limit_and_a_refresh_are_kept_to(
    copy: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    data(copy, "disk")
    with_loading(monkeypatch, refresh=True)
    assert data(copy, "disk").misses == N
    with_loading(monkeypatch, limit_gb=1e-6)
    small = data(copy, "ram")
    assert small.shared is None
    assert small.cache is None
    assert "train.cache_limit_gb is 1e-06" in caplog.text


def test_where_nothing_can_be_written_memory_is_used_alone(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copy / "file").write_text("no folder")
    with_loading(monkeypatch, folder=str(copy / "file" / "below"))
    images = data(copy, "ram")
    assert images.shared is None
    assert all((a == b).all() for a, b in zip(epoch(data(copy, None)), epoch(images), strict=True))


def test_labels_are_cached_without_pickles_and_read_again_when_they_change(copy: Path) -> None:
    first = data(copy, None)
    cache = copy / "labels" / "train.cache"
    with np.load(cache, allow_pickle=False) as saved:
        assert set(saved.files) == {"boxes", "plain"}
    again = data(copy, None)
    for a, b in zip(first.labels, again.labels, strict=True):
        assert (a["bboxes"] == b["bboxes"]).all()
        assert a["cls"].shape == b["cls"].shape
    label = Path(first.label_files[0])
    text = label.read_text()
    label.write_text(text.replace(text.split()[0], "9" if text[0] != "9" else "8", 1))  # of the same length
    assert (data(copy, None).labels[0]["cls"][0] != first.labels[0]["cls"][0]).all()


def test_a_planted_pickle_is_never_opened(copy: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    good = data(copy, None)
    (copy / "labels" / "train.cache").write_bytes(pickle.dumps(Trap()))
    again = data(copy, None)
    assert not (tmp_path / "sprung").exists()
    assert [len(label["cls"]) for label in again.labels] == [len(label["cls"]) for label in good.labels]
    np.load(copy / "labels" / "train.cache", allow_pickle=False).close()


@pytest.mark.slow
def test_the_cache_in_memory_is_not_changed_by_training(dataset: DatasetRef, tmp_path: Path) -> None:
    before: list[Any] = []

    def look(trainer: Any) -> None:
        before.append([im.copy() for im in (trainer.train_loader.dataset.ims[i] for i in range(N))])

    words = ["epochs=2", "augment=none", "augment.hsv_v=0.9", "augment.fliplr=1.0"]  # colours are changed in place
    run(toy(*words), dataset, tmp_path / "t", hooks={"on_train_epoch_end": look})
    assert all((a == b).all() for a, b in zip(before[0], before[1], strict=True))


def test_a_cache_spares_reading(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_environment(copy / "settings")
    from src.models.ultralytics import image_readers

    seen: list[str] = []
    read = image_readers._imread

    def count(file: str, flags: int = 1) -> Any:
        seen.append(str(file))
        return read(file, flags)

    monkeypatch.setattr(image_readers, "_imread", count)
    reads = {}
    for cache in (None, "disk", "ram"):
        pictures = data(copy, cache)
        reads[cache] = [(epoch(pictures), len(seen))[1] for _ in range(2)]
        seen.clear()
    assert reads == {None: [N, 2 * N], "disk": [N, N], "ram": [0, 0]}, "what disk has read, ram finds"
    assert {image.shape for image in pictures.ims} == {(32, 32, 3)}, "resized when it was cached"


@pytest.mark.slow
def test_encrypted_pictures_train_to_the_same_weights_and_stay_secret(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(encryption.VARIABLE, os.urandom(32).hex())
    key = os.environ[encryption.VARIABLE]
    secret = tmp_path / "secret"
    encryption.encrypt_folder(copy, secret)
    (secret / "data.yaml").write_text((copy / "data.yaml").read_text().replace(str(copy), str(secret)))
    found = {}
    for folder in (copy, secret):
        text = (folder / "data.yaml").read_text()
        lines = [f"path: {folder}" if line.startswith("path:") else line for line in text.splitlines()]
        (folder / "data.yaml").write_text("\n".join(lines))
        ref = DatasetRef("x", str(folder / "data.yaml"), "", {}, [str(i) for i in range(10)])
        found[folder] = run(toy("train.cache=disk"), ref, tmp_path / f"t-{folder.name}").checkpoint.weights_sha256
    assert found[copy] == found[secret]
    cached = [p for p in (secret / ".cache").rglob("*") if p.is_file() and p.suffix != ".lock"]
    assert len(cached) >= N
    assert all(encryption.is_encrypted(p.read_bytes()) for p in cached)
    written = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and p.suffix not in (".pt", ".png"))
    assert key.encode() not in written
    assert bytes.fromhex(key) not in written
    monkeypatch.delenv(encryption.VARIABLE)
    with pytest.raises(UserError, match="is not set"):
        epoch(data(secret, "disk"))
