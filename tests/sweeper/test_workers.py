"""Several processes on one study, some of them killed: every cell is finished exactly once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from src.sweeper.requeue import SLOT
from src.sweeper.space import parse_space
from src.sweeper.storage import open_storage
from src.sweeper.study import Study
from tests.conftest import ROOT

# A worker that does nothing but note, in one line, which cell it finished.
WORKER = """
import os, sys, time
from pathlib import Path
from src.sweeper.loop import Outcome, work
from src.sweeper.space import parse_space
from src.sweeper.storage import open_storage
from src.sweeper.study import Study

folder, count, pause = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
space = parse_space({}, [f"imgsz=range(1,{count + 1})"], n_trials=None)
study = Study(open_storage(None, folder / "s.log"), space, {}, None)

def run(cell):
    time.sleep(pause)
    with open(folder / "done.txt", "a") as stream:
        stream.write(f"{cell.index} {os.getpid()}\\n")
    return Outcome([float(cell.index)])

work(study, run, idle=lambda s: time.sleep(0.05))
"""


def start(folder: Path, count: int, pause: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WORKER, str(folder), str(count), str(pause)], cwd=ROOT)


def laid_out(folder: Path, count: int) -> Study:
    space = parse_space({}, [f"imgsz=range(1,{count + 1})"], n_trials=None)
    study = Study(open_storage(None, folder / "s.log"), space, {}, None)
    study.lay_out()
    return study


def finished_slots(study: Study) -> list[int]:
    return sorted(int(t.user_attrs[SLOT]) for t in study._trials.all() if t.state.name == "COMPLETE")


def test_workers_share_a_study_without_losing_or_doubling_a_cell(tmp_path: Path) -> None:
    study = laid_out(tmp_path, 40)
    workers = [start(tmp_path, 40, 0.01) for _ in range(3)]
    assert [w.wait(120) for w in workers] == [0, 0, 0]
    assert finished_slots(study) == list(range(40))
    lines = (tmp_path / "done.txt").read_text().splitlines()
    assert sorted(int(line.split()[0]) for line in lines) == list(range(40))
    assert study.unfinished() == 0


@pytest.mark.parametrize(("cells", "kills"), [(30, 3), pytest.param(200, 10, marks=pytest.mark.slow)])
def test_killed_workers_lose_nothing(tmp_path: Path, cells: int, kills: int) -> None:
    study = laid_out(tmp_path, cells)
    rng = random.Random(7)
    workers = [start(tmp_path, cells, 0.2) for _ in range(4 if cells > 100 else 2)]
    for killed in range(kills):
        while len(finished_slots(study)) < (killed + 1) * cells // (kills + 2):
            time.sleep(0.02)
        time.sleep(rng.uniform(0.0, 0.3))
        victim = rng.randrange(len(workers))
        os.kill(workers[victim].pid, signal.SIGKILL)
        assert workers[victim].wait() == -signal.SIGKILL
        workers[victim] = start(tmp_path, cells, 0.2)
    assert [w.wait(300) for w in workers] == [0] * len(workers)
    assert finished_slots(study) == list(range(cells)), "each finished, none twice"
    assert study.unfinished() == 0
