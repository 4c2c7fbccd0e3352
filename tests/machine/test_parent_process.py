"""A process that works for another one does not outlive it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT

CHILD = """
import sys, time
from src.machine.parent_process import leave_with_parent
leave_with_parent(gently={gently})
print("up", flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    pass
"""
PARENT = """
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {child!r}], stdin={stdin}, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


def gone(pid: int, within: float) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            if b") Z" in Path(f"/proc/{pid}/stat").read_bytes():
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("gently", [True, False])
def test_it_leaves_when_its_parent_is_killed(gently: bool) -> None:
    code = PARENT.format(child=CHILD.format(gently=gently), stdin="subprocess.PIPE")
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert not gone(child, 0.3)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert gone(child, 10)


def test_it_stays_where_standard_input_is_no_pipe_of_a_parent() -> None:
    code = PARENT.format(child=CHILD.format(gently=False), stdin="subprocess.DEVNULL")
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    assert not gone(child, 0.5)
    os.kill(child, signal.SIGKILL)
