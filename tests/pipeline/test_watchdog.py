"""A training that hangs is ended, wherever it hangs, and leaves a word of where that was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from src.pipeline.watchdog import hung, watchdog
from tests.conftest import ROOT

HANGING = """
import ctypes, sys, time
from pathlib import Path
from src.pipeline import watchdog
watchdog.LEAST_GRACE_S = 0.1

def training_that_hangs():
    {how}

with watchdog.watchdog(Path(sys.argv[1]), 0.2):
    training_that_hangs()
"""
HOWS = ["time.sleep(600)", "ctypes.PyDLL(None).sleep(600)", "while True: pass"]  # longer than the test waits


@pytest.mark.parametrize("how", HOWS, ids=["asleep", "with the interpreter's lock", "busy"])
def test_a_process_that_hangs_is_ended(tmp_path: Path, how: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANGING.format(how=how), str(tmp_path)], cwd=ROOT, timeout=50, check=False
    )
    assert done.returncode == 1
    assert hung(tmp_path)
    assert "training_that_hangs" in (tmp_path / "hang.txt").read_text()


def test_what_ends_in_time_leaves_nothing(tmp_path: Path) -> None:
    with watchdog(tmp_path, 60):
        pass
    with pytest.raises(ValueError, match="x"), watchdog(tmp_path, 60):
        raise ValueError("x")
    with watchdog(tmp_path, None):
        pass
    assert list(tmp_path.iterdir()) == []
    assert not hung(tmp_path)
