"""Every fault of a trial or of its surroundings ends in a recorded failure or a clean stop, and the sweep goes on."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.report import load_decision
from tests.disks import small_disk
from tests.pipeline.faults import CLOCK, DATA, DIE, DISK, FINE, HANG, LOCKED, MEMORY, NAN, records, run

OFF = "tracking=none"


def lr(*values: float) -> str:
    return "lr=" + ",".join(f"{value:g}" for value in values)


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("failed")
    done = run(home, "-m", lr(NAN, MEMORY, FINE, DATA), OFF, "study.retries=1")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return home


def test_a_trial_that_fails_is_tried_again_and_then_recorded_with_its_reason(failed: Path) -> None:
    found = records(failed)
    assert [r.state for r in found] == ["failed", "failed", "complete", "failed"]
    assert [len(r.failures) for r in found] == [2, 2, 0, 2], "tried twice"
    assert "not finite" in found[0].failures[-1].message
    assert "out of memory" in found[1].failures[-1].message
    assert "No such file" in found[3].failures[-1].message, "the dataset was removed while it trained"


def test_the_report_reads_a_sweep_with_failures(failed: Path) -> None:
    assert len(load_decision(failed / "o/sweeps/faulty").saved.trials) == 4


@pytest.mark.slow
def test_a_hanging_trial_is_ended_tried_again_and_recorded_and_the_sweep_goes_on(tmp_path: Path) -> None:
    words = ["-m", lr(LOCKED, HANG, FINE), "study.trial_timeout=2", "study.retries=1"]
    done = run(tmp_path, *words, timeout=400)
    assert done.returncode == 0, done.stderr
    found = records(tmp_path)
    assert [r.state for r in found] == ["failed", "failed", "complete"]
    assert [len(r.failures) for r in found] == [2, 2, 0]
    assert all("trial_timeout=2" in f.message for r in found for f in r.failures)
    evidence = (tmp_path / "o/sweeps/faulty/trials/0000/traceback.txt").read_text()
    assert "Timeout" in evidence
    assert "in fail" in evidence, "it says where the training was"
    with sqlite3.connect(tmp_path / "o" / "mlflow.db") as db:
        statuses = sorted(s for (s,) in db.execute("SELECT status FROM runs"))
    assert statuses == ["FAILED", "FAILED", "FINISHED", "FINISHED"], "none is left running"


@pytest.mark.slow
def test_a_single_run_that_hangs_ends_with_a_record(tmp_path: Path) -> None:
    done = run(tmp_path, f"lr={HANG}", OFF, "study.trial_timeout=2", timeout=200)
    assert done.returncode == 1, done.stderr
    assert "trial_timeout=2" in done.stdout
    (record,) = (tmp_path / "o/runs").glob("*/trials/0000/record.json")
    assert '"failed"' in record.read_text()


@pytest.mark.slow
def test_a_worker_that_is_killed_again_and_again_costs_its_trial_alone(tmp_path: Path) -> None:
    done = run(tmp_path, "-m", lr(DIE, FINE), OFF, "study.workers=2", timeout=400)
    assert done.returncode == 0, done.stderr
    found = records(tmp_path)
    assert [r.state for r in found] == ["failed", "complete"]
    assert "died again and again" in found[0].failures[-1].message


@pytest.mark.slow
def test_a_clock_that_jumps_costs_no_trial_and_takes_none_from_its_worker(tmp_path: Path) -> None:
    words = ["-m", lr(CLOCK, 0.0011, 0.0012, 0.0013), "study.workers=2", "study.trial_timeout=60"]
    done = run(tmp_path, *words, timeout=400)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    found = records(tmp_path)
    assert [(r.state, len(r.history), r.failures) for r in found] == [("complete", 2, [])] * 4
    with sqlite3.connect(tmp_path / "o" / "mlflow.db") as db:
        assert [s for (s,) in db.execute("SELECT status FROM runs")] == ["FINISHED"] * 5
        steps = db.execute("SELECT run_uuid, step FROM metrics WHERE key = 'lr'").fetchall()
    assert len(steps) == len(set(steps)) == 8, "no epoch is lost or logged twice"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "40m") as place:
        yield place


@pytest.mark.slow
def test_a_disk_that_fills_up_in_training_stops_the_sweep_which_goes_on_with_room(disk: Path) -> None:
    words = ["-m", lr(FINE, DISK), "tracking=local"]
    done = run(disk, *words)
    assert done.returncode == 1
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    assert [r.state for r in records(disk)] == ["complete"], "the other one has not failed: it was not its fault"
    shutil.rmtree(disk / "o/sweeps/faulty/trials/0001/train")
    subprocess.run(["mount", "-o", "remount,size=400m", str(disk)], check=True)
    again = run(disk, *words)
    assert again.returncode == 0, again.stderr
    assert [r.state for r in records(disk)] == ["complete", "complete"]
    with sqlite3.connect(disk / "o" / "mlflow.db") as db:
        assert sorted(s for (s,) in db.execute("SELECT status FROM runs")) == ["FINISHED"] * 3


@pytest.mark.slow
def test_wherever_the_disk_is_full_the_sweep_stops_cleanly_and_loses_nothing(disk: Path) -> None:
    """From no room at all to enough, so that each kind of write is the first to fail once."""
    words = ["-m", lr(FINE, 0.0011), "tracking=local"]
    prepared = run(disk, *words, "sweep=other")
    assert prepared.returncode == 0, prepared.stderr
    filler = disk / "filler"
    codes = []
    for room in (0, 4, 12, 24, 40, 64, 128, 1024):  # KB
        filler.unlink(missing_ok=True)
        size = shutil.disk_usage(disk).free - room * 1024
        with open(filler, "wb") as stream:
            stream.truncate(0)
            stream.write(b"\0" * max(size, 0))
        done = run(disk, *words)
        codes.append(done.returncode)
        assert done.returncode in (0, 1), (room, done.stderr)
        assert "Traceback" not in done.stdout + done.stderr, room
        assert done.returncode == 0 or "full" in done.stderr or "space" in done.stderr, (room, done.stderr)
    filler.unlink()
    assert codes[0] == 1
    again = run(disk, *words)
    assert again.returncode == 0, again.stderr
    assert [r.state for r in records(disk)] == ["complete", "complete"]
    with sqlite3.connect(disk / "o" / "mlflow.db") as db:
        assert "RUNNING" not in {s for (s,) in db.execute("SELECT status FROM runs")}
