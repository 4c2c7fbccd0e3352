"""Starts a toy sweep as its own process, and reads what it left; see `toy` and `toy_decided`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from src.records.schema import TrialRecord
from src.records.store import load
from tests.conftest import ROOT


def start(home: Path, module: str, words: Sequence[str], *, epoch_s: float = 0.0) -> subprocess.Popen[str]:
    """`python -m MODULE WORDS…` with its outputs and reports in a folder."""
    places = [f"outputs={home / 'outputs'}", f"reports={home / 'reports'}"]
    env = {**os.environ, "TOY_EPOCH_S": str(epoch_s)}
    command = [sys.executable, "-m", module, *words, *places]
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finished(process: subprocess.Popen[str]) -> str:
    """What a sweep printed; it must have ended well."""
    printed = process.communicate(timeout=300)[0]
    assert process.returncode == 0, printed
    return printed


def records(home: Path) -> list[TrialRecord]:
    """Those of `sweep=toy`."""
    return [load(TrialRecord, p) for p in sorted((home / "outputs/sweeps/toy/trials").glob("*/record.json"))]
