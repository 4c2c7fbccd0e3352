"""What others take of the processor: counters that are played, and a real neighbour on the same core."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from src.benchmark import measure
from src.benchmark.disturbance import LIMIT, Reading, other_load_share, read, tree_cpu_s
from src.config.schema import BenchmarkConfig
from src.records.schema import Artifact

TICKS = os.sysconf("SC_CLK_TCK")
START = Reading(wall_s=0.0, counted_s=100.0, busy_s=50.0, stolen_s=1.0, own_s=5.0)
SPIN = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])}); print(flush=True)\nwhile True: pass"


@pytest.mark.parametrize(
    ("busy", "stolen", "own", "share"),
    [
        (2.0, 0.0, 2.0, 0.0),  # all of it is ours
        (2.0, 0.0, 1.5, 0.25),  # a neighbour has a quarter
        (2.0, 0.3, 1.7, 0.15),  # the hypervisor took it, and the kernel told
        (2.0, 0.3, 2.0, 0.15),  # the same, where stolen time counts as ours
        (1.0, 0.0, 1.02, 0.0),  # half idle; ticks are coarse
    ],
)
def test_what_is_neither_ours_nor_idle_is_others(busy: float, stolen: float, own: float, share: float) -> None:
    after = Reading(1.0, 102.0, 50.0 + busy, 1.0 + stolen, 5.0 + own)
    assert other_load_share(START, after, cores=2) == pytest.approx(share)


def test_what_can_not_be_told_is_not_known() -> None:
    after = Reading(1.0, 102.0, 52.0, 1.0, 5.0)
    assert other_load_share(START, replace(after, wall_s=0.1), 2) is None  # too short for ticks
    assert other_load_share(START, replace(after, counted_s=100.0), 2) is None  # counters that stand still
    assert other_load_share(None, after, 2) is None
    assert other_load_share(START, None, 2) is None


def test_only_the_cores_in_use_are_read(tmp_path: Path) -> None:
    ticks = " ".join(str(seconds * TICKS) for seconds in (1, 2, 3, 50, 4, 5, 6, 8, 0, 0))
    (tmp_path / "stat").write_text(f"cpu  9 9 9 9 9 9 9 9\ncpu0 7 0 0 0 0 0 0 0 0 0\ncpu1 {ticks}\nintr 1\n")
    found = read([1], tmp_path)
    assert found is not None
    assert (found.busy_s, found.stolen_s, found.counted_s) == (25.0, 8.0, 79.0)
    assert read([2], tmp_path) is None


@pytest.mark.parametrize("text", ["", "cpu1 what 0\n", "cpu1 1 2 3\n"])
def test_counters_of_another_kind_are_not_known(tmp_path: Path, text: str) -> None:
    (tmp_path / "stat").write_text(text)
    assert read([1], tmp_path) is None
    assert read([1], tmp_path / "missing") is None


def test_a_grandchild_that_works_for_us_is_no_other() -> None:
    """However busy the machine is: what the grandchild used by its own account counts as ours."""
    core = max(os.sched_getaffinity(0))
    starts_it = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"
    command = [sys.executable, "-c", starts_it, SPIN, str(core)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert child.stdout is not None
        child.stdout.readline()  # it spins
        before, alone, deadline = tree_cpu_s(), time.process_time(), time.monotonic() + 60
        used = 0.0
        while used < 0.3 and time.monotonic() < deadline:
            time.sleep(0.1)
            used = tree_cpu_s() - before - (time.process_time() - alone)
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
    assert used >= 0.3  # beyond what this process used itself


@pytest.fixture
def neighbour() -> Iterator[None]:
    """A busy process on the last usable core, which is where a block with one thread is bound to."""
    core = max(os.sched_getaffinity(0))
    spinning = subprocess.Popen([sys.executable, "-c", SPIN, str(core)], stdout=subprocess.PIPE)
    assert spinning.stdout is not None
    spinning.stdout.readline()
    yield
    spinning.kill()
    spinning.communicate()


@pytest.mark.usefixtures("neighbour")
def test_a_busy_neighbour_is_found_measured_against_again_and_told(
    onnx: Artifact, images: list[str], tmp_path: Path
) -> None:
    cfg = BenchmarkConfig("test", 2, 0.5, 20, 5, 1, [1], extra_seconds=600)
    told: list[str] = []
    found, failures = measure(
        [(onnx, "onnxruntime")],
        cfg,
        images,
        threads=1,
        out_dir=tmp_path,
        base=tmp_path,
        end_to_end=False,
        labels=["T7 tiny 64 px"],
        progress=told.append,
    )
    assert not failures
    extra = found[0].extra
    assert extra["foreign_cpu"] > LIMIT
    assert extra["contaminated_rounds"] == 1
    assert extra["remeasured_blocks"] == 2
    assert told[0] == "round 1/1 · T7 tiny 64 px · onnxruntime onnx/fp32"
    assert told[1].startswith("again, others had ")
    assert "1 of 1 blocks stayed disturbed" in told[-1]
