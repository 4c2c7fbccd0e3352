"""What is written aside: a process that dies or a full disk leaves the old content; one lock, one rule of names."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from src.common.root import ROOT
from src.common.whole_files import (
    aside_of,
    clear_asides,
    copy_whole,
    is_aside,
    lock,
    locked,
    whole_file,
    whole_folder,
    write_bytes,
    write_text,
)

KILLED = """
import os, signal, sys
from pathlib import Path
from src.common.whole_files import whole_file, whole_folder
path = Path(sys.argv[1])
if sys.argv[2] == "file":
    with whole_file(path) as aside:
        aside.write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
with whole_folder(path) as aside:
    aside.mkdir()
    (aside / "first").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
WAITS = """
import sys, time
from pathlib import Path
from src.common.whole_files import locked
print("waits", flush=True)
with locked(Path(sys.argv[1])):
    print("has it", flush=True)
"""


def in_process(code: str, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def write_half(path: Path) -> None:
    with whole_file(path) as aside:
        aside.write_bytes(b"n")
        raise ValueError("half-way")


def fill(folder: Path, text: str) -> None:
    with whole_folder(folder) as aside:
        aside.mkdir()
        (aside / "in").write_text(text)


def test_a_killed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_text(path, "old")
    with in_process(KILLED, str(path), "file") as process:
        assert process.wait(60) == -signal.SIGKILL
    assert path.read_text() == "old"
    left = [p for p in tmp_path.iterdir() if p != path]
    assert [p.read_text() for p in left] == ["half"]
    clear_asides(tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_write_leaves_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "data"
    with in_process(KILLED, str(path), "folder") as process:
        assert process.wait(60) == -signal.SIGKILL
    assert not path.exists()
    clear_asides(tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "record.json"
    write_text(path, "old")

    def full(self: Path, content: bytes) -> int:
        with open(self, "wb") as stream:
            stream.write(content[:2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    for write in (lambda: write_text(path, "new content"), lambda: write_bytes(path, b"new content")):
        with pytest.raises(OSError, match="No space left"):
            write()
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]


def test_an_exception_leaves_what_was_there(tmp_path: Path) -> None:
    path, folder = tmp_path / "a.bin", tmp_path / "folder"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="half-way"):
        write_half(path)
    with pytest.raises(TypeError):
        fill(folder, None)  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_stands_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "own").write_text("of another process")
    with pytest.raises(OSError, match="not empty"):
        fill(folder, "x")
    assert [p.name for p in folder.iterdir()] == ["own"]
    assert list(tmp_path.iterdir()) == [folder]


def test_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    write_text(path, "ü\udce4\n")
    assert path.read_bytes() == "ü\\udce4\n".encode()
    copy_whole(path, tmp_path / "b.txt", sync=True)
    assert (tmp_path / "b.txt").read_bytes() == path.read_bytes()
    fill(tmp_path / "new", "x")
    assert (tmp_path / "new" / "in").is_file()


@pytest.mark.parametrize(
    "name",
    [".a.json.12.tmp", ".a.npz.12.tmp.npz", ".digits-0a1b.12.0a1b2c3d", ".x.0a1b2c3d.old", ".digits-ab_cd012"],
)
def test_names_of_earlier_versions_are_known(name: str, tmp_path: Path) -> None:
    assert is_aside(Path(name))
    assert is_aside(aside_of(tmp_path / "a.b"))
    assert aside_of(tmp_path / "a.b") != aside_of(tmp_path / "a.b")


@pytest.mark.parametrize("name", ["a.tmp", ".tmp", ".scan", ".lock", "record.json", "x.0a1b2c3d", ".gitignore"])
def test_other_names_are_left(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("x")
    clear_asides(tmp_path.iterdir())
    assert (tmp_path / name).is_file()


def test_a_second_process_waits_for_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "open.lock"
    with locked(path):
        waiting = in_process(WAITS, str(path))
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "waits\n"
        time.sleep(0.5)
        assert waiting.poll() is None
        with open(path) as other:
            assert not lock(other.fileno(), wait=False)
    assert waiting.communicate(timeout=60)[0] == "has it\n"
    with open(path) as one, open(path) as two:
        assert lock(one.fileno(), shared=True)
        assert lock(two.fileno(), shared=True, wait=False)
