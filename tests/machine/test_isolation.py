"""A worker's death is a result, not the parent's death."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from src.benchmark.memory import peak_rss_mb
from src.common.errors import StageError, Unavailable
from src.machine.isolation import MAIN, QUIET, _death, run_job
from tests.conftest import ROOT

MODULE = "tests.benchmark.faulty"


@pytest.mark.parametrize(
    ("how", "message"),
    [("segfault", "SIGSEGV"), ("exit", "status 3: the last words"), ("nonsense", "status 0"), ("hang", "within 1 s")],
)
def test_a_dead_worker_is_a_stage_error_with_its_reason(how: str, message: str) -> None:
    limit = 1 if how == "hang" else 30
    with pytest.raises(StageError, match=message) as error:
        run_job({"how": how}, target="engine/x", threads=1, timeout_s=limit, module=MODULE)
    assert error.value.target == "engine/x"


def test_threads_are_set_in_a_fresh_process() -> None:
    answer = run_job({"how": "tell"}, target="x", threads=3, timeout_s=30, module=MODULE)
    assert answer == {"threads": "3", "parent": os.getpid()}


def test_unavailable_stays_unavailable() -> None:
    with pytest.raises(Unavailable, match="not here"):
        run_job({"how": "unavailable"}, target="x", threads=1, timeout_s=30, module=MODULE)


def test_peak_memory_finds_a_known_allocation() -> None:
    code = (
        "import sys, json, pathlib\n"
        "from src.benchmark.memory import peak_rss_mb\n"
        "before = peak_rss_mb()\n"
        "block = bytearray(b'x') * (200 * 2**20)\n"
        "print(before, peak_rss_mb())\n"
    )
    ballast = bytearray(b"x") * (300 * 2**20)  # a large parent must not show in the child
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    before, after = map(float, out.stdout.split())
    assert len(ballast) < peak_rss_mb() * 2**20
    assert before < 150
    assert after - before == pytest.approx(200, rel=0.03)


def test_a_death_is_told_without_what_python_says_of_its_start() -> None:
    command = [sys.executable, *QUIET, "-m", MAIN, "/nonexistent/job.json", "x"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert "FileNotFoundError" in done.stderr
    assert "Warning" not in done.stderr


@pytest.mark.parametrize(
    ("code", "words"),
    [(0xC0000005, "an access violation (0xc0000005)"), (0xC0001234, "an exception (0xc0001234)"), (3, "status 3: end")],
)
def test_how_a_process_died_on_windows_is_told(tmp_path: Path, code: int, words: str) -> None:
    (tmp_path / "log").write_text("end")
    assert words in _death(code, tmp_path / "log")
