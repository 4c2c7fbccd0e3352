"""Pictures in one file: whole, told why it is made, and in memory once for all processes."""

from __future__ import annotations

import json
import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.models.shared_images import INDEX, Conditions, Picture, SharedImages, open_shared

LIKE = Conditions(imgsz=32, stretched=False, channels=3)
SHAPES = [(4, 6, 3), (8, 2, 3), (5, 5, 3)]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    for i, shape in enumerate(SHAPES):
        np.save(tmp_path / f"{i}.npy", np.full(shape, 10 * i + 1, np.uint8))
    return [str(tmp_path / f"{i}.npy") for i in range(len(SHAPES))]


def opened(files: list[str], like: Conditions = LIKE, **asked: Any) -> tuple[SharedImages, list[int]]:
    """The cache of the files, and which of them were read."""
    read: list[int] = []

    def load(i: int) -> Picture:
        read.append(i)
        image = np.load(files[i])
        return image, (image.shape[0] * 2, image.shape[1] * 2)

    made, count = open_shared(Path(files[0]).parent / "cache", files, like, load, **asked)
    assert count == len(read)
    return made, sorted(read)


def test_pictures_come_back_with_their_sizes_and_are_read_once(files: list[str]) -> None:
    made, read = opened(files, workers=3)
    assert read == [0, 1, 2]
    again, read = opened(files)
    assert read == []
    for images in (made, again, pickle.loads(pickle.dumps(again))):
        assert [images[i].shape for i in range(3)] == SHAPES
        assert [int(images[i].max()) for i in range(3)] == [1, 11, 21]
        assert images.originals.tolist() == [[8, 12], [16, 4], [10, 10]]


def test_a_picture_may_be_written_to_and_the_cache_may_not(files: list[str]) -> None:
    images, _ = opened(files)
    images[0][:] = 99
    assert int(images[0].max()) == 1
    with pytest.raises(ValueError, match="read-only"):
        images.view(0)[:] = 99


def test_only_what_changed_is_read_again(files: list[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    opened(files)
    np.save(files[1], np.full((3, 3, 3), 77, np.uint8))
    images, read = opened(files)
    assert read == [1]
    assert [int(images[i].max()) for i in range(3)] == [1, 77, 21]
    assert "1 of 3 pictures have changed, 1.npy among them" in caplog.text


def test_another_version_or_an_index_that_is_gone_is_told(files: list[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    images, _ = opened(files)
    index = images.path.with_suffix(INDEX)
    found = json.loads(index.read_text())
    index.write_text(json.dumps({**found, "version": 0}))
    assert opened(files)[1] == [0, 1, 2]
    assert "it is of version 0, and this is version 1" in caplog.text
    index.write_text("{torn")
    assert opened(files)[1] == [0, 1, 2]
    assert opened(files, refresh=True)[1] == [0, 1, 2]
    assert "it is asked for anew" in caplog.text


def test_other_conditions_and_other_files_have_caches_of_their_own(files: list[str]) -> None:
    opened(files)
    assert opened(files, Conditions(64, False, 3))[1] == [0, 1, 2]
    assert opened(files[:2])[1] == [0, 1]
    assert opened(files)[1] == []


def test_a_failure_leaves_no_cache_that_could_be_taken_for_a_whole_one(files: list[str]) -> None:
    def load(i: int) -> Picture:
        if i == 2:
            raise FileNotFoundError(0, "gone", files[i])
        return np.load(files[i]), (1, 1)

    folder = Path(files[0]).parent / "cache"
    with pytest.raises(OSError, match="gone"):
        open_shared(folder, files, LIKE, load)
    assert not list(folder.glob("*.json"))
    assert opened(files)[1] == [0, 1, 2]


def proportional(images: SharedImages, ready: Any, go: Any, out: Any) -> None:
    """Read all of it, wait for the others, and tell this process's share of the memory, in kB."""
    images.read()
    ready.wait()
    shares, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ")[0]:
            inside = line.endswith(str(images.path))
        elif inside and line.startswith("Pss:"):
            shares += int(line.split()[1])
    out.put(shares)
    go.wait()


@pytest.mark.skipif(not Path("/proc/self/smaps").is_file(), reason="Linux tells of shared memory")
def test_four_processes_have_the_pictures_in_memory_once(tmp_path: Path) -> None:
    size = 1 << 22
    (tmp_path / "file").write_bytes(b"")
    (images, _) = open_shared(
        tmp_path, [str(tmp_path / "file")], LIKE, lambda i: (np.ones((size // 12, 4, 3), np.uint8), (1, 1))
    )
    context = multiprocessing.get_context("fork")
    ready, go, out = context.Barrier(4), context.Barrier(5), context.Queue()
    processes = [context.Process(target=proportional, args=(images, ready, go, out)) for _ in range(4)]
    for process in processes:
        process.start()
    shares = [out.get(timeout=30) for _ in processes]
    go.wait(timeout=30)
    for process in processes:
        process.join()
    assert 0.9 < sum(shares) * 1024 / images.nbytes < 1.1
