"""The chaos harness itself: its plans, and in the slow tier a short campaign and the planted defects."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.chaos.faults import Planner, census
from benchmarks.chaos.kill_points import PHASES, Fault, KillPoints
from benchmarks.chaos.planted_defects import PLANTS
from tests.conftest import run_command

LOG = """1\tmlflow create_run · before
1\tphase trials · before
2\tepoch · middle
1\tjournal · torn
1\tphase finalists · before
3\tbenchmark · middle
1\tphase report · before
1\tfigure · half written
"""


@pytest.fixture
def kill_points(tmp_path: Path) -> dict[str, list[str]]:
    (tmp_path / "moments.log").write_text(LOG, encoding="utf-8")
    return census(tmp_path / "moments.log")


def test_moments_belong_to_the_phase_they_were_reached_in(kill_points: dict[str, list[str]]) -> None:
    assert kill_points == {
        "opening": ["mlflow create_run · before"],
        "trials": ["epoch · middle", "journal · torn"],
        "finalists": ["benchmark · middle"],
        "report": ["figure · half written"],
    }


def test_a_seed_repeats_a_plan_and_another_one_does_not(kill_points: dict[str, list[str]]) -> None:
    plans = [list(Planner(seed, kill_points, 3).sweep(30, fresh=True)) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]
    order = [PHASES.index(f.phase) for f in plans[0]]
    assert order == sorted(order)
    assert {f.signal for f in plans[0] if "torn" in f.moment} <= {"SIGKILL"}
    assert not [f for f in plans[0] if f.moment.startswith("benchmark") and f.scope == "self"]


def test_a_fault_strikes_once_at_its_moment_or_when_its_phase_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    struck: list[int] = []
    monkeypatch.setattr("os.kill", lambda pid, number: struck.append(number))
    Fault(1, "trials", "epoch · middle", 2, 0, "SIGTERM", "self").save(tmp_path)
    here = KillPoints(tmp_path)
    for _ in range(4):
        here.reached("epoch · middle")
    assert len(struck) == 1
    Fault(2, "trials", "never", 1, 0, "SIGTERM", "self").save(tmp_path)
    here.reached("phase trials · before")
    assert len(struck) == 1
    here.reached("phase finalists · before")
    assert len(struck) == 2


def chaos(*words: str) -> str:
    done = run_command("benchmarks.chaos", *words, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "3"])
def test_kills_lose_nothing(workers: str) -> None:
    assert "nothing lost, doubled, torn or left behind" in chaos("--kills", "5", "--workers", workers)


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_defect_is_found(name: str) -> None:
    assert "FOUND" in chaos("--plant", name)
