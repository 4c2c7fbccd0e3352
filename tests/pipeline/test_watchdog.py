"""A training that hangs is ended, wherever it hangs, and leaves a word of where that was."""

from __future__ import annotations

import subprocess
import sys
import time
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
HOWS = ["time.sleep(60)", "ctypes.PyDLL(None).sleep(60)", "while True: pass"]


@pytest.mark.parametrize("how", HOWS, ids=["asleep", "with the interpreter's lock", "busy"])
def test_a_process_that_hangs_is_ended(tmp_path: Path, how: str) -> None:
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", HANGING.format(how=how), str(tmp_path)], cwd=ROOT, timeout=50, check=False
    )
    assert time.monotonic() - begun < 40
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
