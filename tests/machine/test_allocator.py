"""Freed memory: kept while trainings go on, and the system's again before others are measured."""

from __future__ import annotations

import subprocess
import sys

import pytest

from src.machine import allocator
from tests.conftest import ROOT

PROGRAM = """
import resource, sys
from pathlib import Path
from src.machine import allocator
if sys.argv[1] == "keep":
    allocator.keep_freed()
def touched():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        a, b = (b"x" * (40 << 20) for _ in range(2))
        del a, b
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])
print(touched())
held = resident()
allocator.give_back()
print(held - resident())
"""


@pytest.mark.skipif(allocator._library() is None, reason="the C library has no such choice")
def test_pages_are_cleared_once_and_given_back_in_the_end() -> None:
    def run(how: str) -> list[int]:
        command = [sys.executable, "-c", PROGRAM, how]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return [int(line) for line in done.stdout.split()]

    (plain, _), (kept, returned) = run("plain"), run("keep")
    pages = 2 * (40 << 20) // 4096  # of one turn
    assert plain > 5 * pages
    assert kept < 2 * pages
    assert returned > pages // 2


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "_library", lambda: None)
    assert not allocator.keep_freed()
    allocator.give_back()
