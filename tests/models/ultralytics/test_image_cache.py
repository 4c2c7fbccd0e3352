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


def test_the_second_epoch_and_the_second_training_hit_the_disk_cache(copy: Path) -> None:
    plain, cold = data(copy, None), data(copy, "disk")
    assert all((a == b).all() for a, b in zip(epoch(plain), epoch(cold), strict=True))
    assert (cold.hits, cold.misses) == (0, N)
    epoch(cold)
    assert (cold.hits, cold.misses) == (N, N)
    warm = data(copy, "disk")
    assert all((a == b).all() for a, b in zip(epoch(plain), epoch(warm), strict=True))
    assert (warm.hits, warm.misses) == (N, 0)
    sizes = {p.stat().st_size for p in (copy / ".cache" / "32").iterdir()}
    assert max(sizes) <= 32 * 32 * 3 + 32, "pictures are resized before they are cached"
    assert not list(copy.rglob("*.npy"))


def test_a_changed_picture_or_another_size_is_a_miss(copy: Path) -> None:
    epoch(data(copy, "disk"))
    first = Path(data(copy, None).im_files[0])
    import cv2

    cv2.imwrite(str(first), np.full((64, 64, 3), 200, np.uint8))
    changed = data(copy, "disk")
    assert (epoch(changed)[0] == 200).mean() > 0.9
    assert (changed.hits, changed.misses) == (N - 1, 1)
    other = data(copy, "disk", imgsz=64)
    epoch(other)
    assert other.misses == N
    assert len(list((copy / ".cache" / "32").iterdir())) == N, "what was cached of the old picture is gone"


def test_a_torn_cache_is_a_miss(copy: Path) -> None:
    good = epoch(data(copy, "disk"))
    for file in (copy / ".cache" / "32").iterdir():
        file.write_bytes(file.read_bytes()[:50])
    again = data(copy, "disk")
    assert all((a == b).all() for a, b in zip(good, epoch(again), strict=True))
    assert again.misses == N


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

    words = ["epochs=2", "augment.hsv_v=0.9", "augment.fliplr=1.0"]
    run(toy(*words), dataset, tmp_path / "t", hooks={"on_train_epoch_end": look})
    assert all((a == b).all() for a, b in zip(before[0], before[1], strict=True))


def test_a_cache_spares_reading(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_environment(copy / "settings")
    from src.models.ultralytics import image_cache

    seen: list[str] = []
    read = image_cache._imread

    def count(file: str, flags: int = 1) -> Any:
        seen.append(str(file))
        return read(file, flags)

    monkeypatch.setattr(image_cache, "_imread", count)
    reads = {}
    for cache in (None, "disk", "ram"):
        pictures = data(copy, cache)
        seen.clear()
        reads[cache] = [(epoch(pictures), len(seen))[1] for _ in range(2)]
    assert reads == {None: [N, 2 * N], "disk": [N, N], "ram": [0, 0]}
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
    cached = list((secret / ".cache" / "32").iterdir())
    assert len(cached) >= N
    assert all(encryption.is_encrypted(p.read_bytes()) for p in cached)
    written = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and p.suffix not in (".pt", ".png"))
    assert key.encode() not in written
    assert bytes.fromhex(key) not in written
    monkeypatch.delenv(encryption.VARIABLE)
    with pytest.raises(UserError, match="is not set"):
        epoch(data(secret, "disk"))
