"""Where the operating system lacks something, the program works without it or says so at once."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from src.benchmark.memory import peak_rss_mb
from src.common import whole_files
from src.common.errors import UserError
from src.machine import abilities, environment
from tests.conftest import ROOT

HIDDEN = """
import os, sys
sys.modules["fcntl"] = sys.modules["resource"] = None
for name in ("sched_getaffinity", "sched_setaffinity", "killpg", "O_CLOEXEC", "O_NONBLOCK", "sysconf"):
    delattr(os, name)
"""


def hidden(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process in which the modules and functions that Windows lacks are not there."""
    command = [sys.executable, "-c", HIDDEN + code, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)


def test_a_sweep_is_refused_at_once_without_locks() -> None:
    done = hidden("sys.argv = ['run']\nfrom src.run import main\nmain()")
    assert done.returncode == 2, done.stderr
    assert "fcntl" in done.stdout + done.stderr
    assert "WSL 2" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_what_needs_no_locks_goes_on(tmp_path: Path) -> None:
    code = """
from pathlib import Path
from src.common.whole_files import write_text, read_regular
from src.machine.environment import cores, environment
from src.machine.isolation import run_job
import src.predict.options, src.inference, src.export.script
path = Path(sys.argv[1])
write_text(path, "x")
print(read_regular(path), cores(), environment().cores, run_job.__name__)
"""
    done = hidden(code, str(tmp_path / "file"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"b'x' {os.cpu_count()} {os.cpu_count()}")


def test_linux_lacks_nothing() -> None:
    assert abilities.lacking() == []
    abilities.require_locks()


def test_each_thing_that_is_missing_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delattr(os, "sched_setaffinity")
    monkeypatch.delattr(os, "killpg")
    found = abilities.lacking(tmp_path / "missing")
    assert len(found) == 3
    assert not abilities.bind([0])
    monkeypatch.setattr(abilities, "HAS_LOCKS", False)
    with pytest.raises(UserError, match="WSL 2"):
        abilities.require_locks()


def test_a_lock_that_can_not_be_had_is_no_lock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(whole_files, "fcntl", None)
    assert not whole_files.lock(0, wait=False)
    with pytest.raises(OSError, match="no locks"), whole_files.locked(tmp_path / "lock"):
        pass


def test_cores_and_memory_are_told_without_linux(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    assert environment.cores() == os.cpu_count()
    monkeypatch.setitem(sys.modules, "resource", None)
    assert math.isnan(peak_rss_mb(tmp_path / "missing")), "what nothing tells is not known, and not 0"


def test_a_process_ends_where_there_are_no_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "killpg")
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    abilities.kill_group(process)
    assert process.wait(10) != 0
