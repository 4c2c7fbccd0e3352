"""Folders of a service: its own while it lives, removed by the next one when it was killed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from src.serve import scratch
from tests.conftest import ROOT

KILLED = """
import os, signal
from src.serve import scratch
print(scratch.make(), flush=True)  # what is buffered is lost with the process
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of the test's own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_what_a_kill_leaves_is_removed_and_what_is_held_stays(place: Path) -> None:
    own = scratch.make()
    left = subprocess.run([sys.executable, "-c", KILLED], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    assert Path(left).is_dir()
    another = scratch.make()
    assert not Path(left).exists()
    assert own.is_dir()
    assert another.is_dir()
    scratch.remove(own)
    scratch.remove(another)
    assert not list(place.iterdir())


def test_what_is_none_of_its_own_stays(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / scratch.LOCK).touch()
    (place / f"{scratch.PREFIX}link").symlink_to(elsewhere)
    (place / f"{scratch.PREFIX}without").mkdir()
    scratch.remove(scratch.make())
    assert (elsewhere / scratch.LOCK).exists()
    assert (place / f"{scratch.PREFIX}without").is_dir(), "another program's, or an earlier version's"
