"""`study.pruner=asha` through the command: trials pause at rungs, the best go on, a kill costs no epoch twice."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.pipeline import toy_sweep
from tests.pipeline.toy_sweep import records

EPOCHS = 9
LRS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
WORDS = [
    "-m",
    f"lr={','.join(map(str, LRS))}",
    "seed=1,2",
    f"epochs={EPOCHS}",
    "study.pruner=asha",
    "sweep=toy",
    "study.report=false",
    "tracking=none",
]


def start(home: Path, *words: str, epoch_s: float = 0.0) -> subprocess.Popen[str]:
    return toy_sweep.start(home, "tests.pipeline.toy", [*WORDS, *words], epoch_s=epoch_s)


def run(home: Path, *words: str) -> str:
    return toy_sweep.finished(start(home, *words))


def trained(home: Path) -> dict[int, list[int]]:
    """Epochs that were really waited for, by trial."""
    files = (home / "outputs/sweeps/toy/trials").glob("*/train/epochs.txt")
    return {int(p.parent.parent.name): [int(w) for w in p.read_text().split()] for p in files}


def told(home: Path) -> list[tuple[int, str, int]]:
    return [(r.trial, r.state, len(r.history)) for r in records(home)]


WANTED = [(n, "complete", 9) if n < 2 else (n, "pruned", 8 if n < 4 else 4 if n < 8 else 2) for n in range(16)]


def check_whole(home: Path) -> None:
    """Every trial has its record, no epoch was trained twice, and nothing is left over."""
    found = records(home)
    assert [r.trial for r in found] == list(range(2 * len(LRS)))
    assert {r.trial: list(range(1, len(r.history) + 1)) for r in found} == trained(home)
    assert not list(home.rglob("paused.json"))
    assert not list(home.rglob("spent.json"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    home = tmp_path_factory.mktemp("whole")
    return home, run(home)


def test_the_best_are_trained_to_the_end_and_the_others_stop_at_their_rungs(undisturbed: tuple[Path, str]) -> None:
    home, printed = undisturbed
    check_whole(home)
    assert told(home) == WANTED, "the smaller the learning rate, the better: the sixteenth of the work is spared"
    assert "trial 0 · lr=0.1 seed=1 · rung 1/4: paused after 2 epochs" in printed
    assert "trial 0 · lr=0.1 seed=1 · rung 4/4" in printed
    assert all(r.timings_s["train"] >= 0 for r in records(home))


def test_both_replicates_decide_and_both_go_on(undisturbed: tuple[Path, str]) -> None:
    home, _ = undisturbed
    lengths = [len(r.history) for r in records(home)]
    assert lengths[::2] == lengths[1::2]


def test_two_workers_come_to_the_same_end(tmp_path: Path) -> None:
    printed = run(tmp_path, "study.workers=2")
    check_whole(tmp_path)
    assert ("complete", 9) in {(state, n) for _, state, n in told(tmp_path)}
    assert {r.trial: r.state for r in records(tmp_path)}[0] == "complete", printed


@pytest.mark.parametrize("after", [0.6, 1.5, 2.4])
def test_a_sweep_killed_while_it_pauses_and_continues_loses_nothing(tmp_path: Path, after: float) -> None:
    process = start(tmp_path, epoch_s=0.05)
    deadline = time.monotonic() + 120
    while not trained(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(records(tmp_path)) < 2 * len(LRS), "killed too late to test anything"
    run(tmp_path)
    check_whole(tmp_path)
    assert told(tmp_path) == WANTED


def test_progress_of_a_paused_trial_is_shown_as_such(undisturbed: tuple[Path, str]) -> None:
    home, _ = undisturbed
    progress = json.loads((home / "outputs/sweeps/toy/trials/0015/progress.json").read_text())
    assert progress["state"] == "paused"
    assert progress["label"] == "lr=0.8 seed=2 · rung 1/4"
