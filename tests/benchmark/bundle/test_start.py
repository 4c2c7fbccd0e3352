"""What is told before anything of a bundle can be imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def start(home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`run.py --plan` in a process of its own."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, *options, "run.py", "--plan"]
    return subprocess.run(
        command, cwd=home / "bundle", env=env, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("file", "content"),
    [("benchmark/bundle/plan.py", "def torn("), ("common/errors.py", ""), ("records/schema.py", "\0\0")],
)
def test_code_that_did_not_arrive_whole_is_told(home: Path, file: str, content: str) -> None:
    (home / "bundle" / "code" / "src" / file).write_text(content)
    done = start(home)
    assert done.returncode == 2
    assert "code is not whole" in done.stderr
    assert "copy the bundle again" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_python_without_numpy_is_told(home: Path) -> None:
    done = start(home, "-S")
    assert done.returncode == 2
    assert "numpy is not installed" in done.stderr
    assert "-m pip install numpy" in done.stderr


def test_a_numpy_that_can_not_be_imported_is_not_said_to_be_missing(home: Path) -> None:
    (home / "bundle" / "numpy.py").write_text("raise ImportError('libopenblas.so.0: cannot open shared object file')")
    done = start(home)
    assert done.returncode == 2
    assert "numpy can't be imported (libopenblas.so.0" in done.stderr


def test_no_bytecode_is_written(home: Path) -> None:
    """On a disk that fills up it could be torn, and then nothing could be imported any more."""
    assert start(home).returncode == 0
    assert list((home / "bundle").rglob("__pycache__")) == []
