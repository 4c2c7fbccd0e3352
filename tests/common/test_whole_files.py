"""Whatever is written exists whole or not at all, and one process at a time holds a lock."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from src.common.whole_files import aside_of, copy_whole, is_aside, locked, whole_file, whole_folder, write_text
from tests.conftest import ROOT

KILLED = """
import os, signal, sys
from pathlib import Path
from src.common.whole_files import whole_file
with whole_file(Path(sys.argv[1])) as aside:
    aside.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
HOLDER = """
import sys, time
from pathlib import Path
from src.common.whole_files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_file_is_written_and_nothing_is_left(tmp_path: Path) -> None:
    write_text(tmp_path / "deep" / "a.txt", "one")
    write_text(tmp_path / "deep" / "a.txt", "two \udcff")
    assert (tmp_path / "deep" / "a.txt").read_text() == "two \\udcff"
    assert names(tmp_path / "deep") == ["a.txt"]


def test_what_fails_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(OSError, match="full"), whole_file(path) as aside:
        aside.write_text("ne")
        raise OSError(errno.ENOSPC, "full")
    assert (path.read_text(), names(tmp_path)) == ("old", ["a.txt"])


def test_a_kill_leaves_the_old_content_and_what_is_known_as_aside(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    left = [p for p in tmp_path.iterdir() if p != path]
    assert len(left) == 1
    assert is_aside(left[0])


def test_two_writers_never_meet(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with whole_file(path) as first, whole_file(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first", "the last to end wins, whole"
    assert aside_of(path) != aside_of(path)


def test_a_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "f") as aside:
        aside.mkdir()
        (aside / "x").write_text("1")
        assert not (tmp_path / "f").exists()
    with pytest.raises(RuntimeError), whole_folder(tmp_path / "g") as aside:
        aside.mkdir()
        raise RuntimeError
    with pytest.raises(OSError, match="not empty"), whole_folder(tmp_path / "f") as aside:
        aside.mkdir()
        (aside / "y").write_text("2")
    assert names(tmp_path) == ["f"]
    assert names(tmp_path / "f") == ["x"]


def test_a_copy_is_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(os.urandom(1000))
    copy_whole(tmp_path / "a", tmp_path / "deep" / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "deep" / "b").read_bytes()


def test_the_lock_is_let_go_when_its_holder_dies(tmp_path: Path) -> None:
    import fcntl

    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with open(path, "w") as stream, pytest.raises(BlockingIOError):
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        holder.kill()
    with locked(path):
        pass


def test_places_aside_are_told_from_files(tmp_path: Path) -> None:
    assert is_aside(Path(".record.json.123.tmp")), "of earlier versions"
    assert is_aside(Path(".a.npz.12.tmp.npz"))
    assert not is_aside(Path("record.tmp"))
    assert not is_aside(Path(".hidden"))
