"""A sweep goes on with further seeds until no cheaper model is left open, within its bound, through a kill."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from src.config.schema import StudyConfig
from src.decide.choice import decide
from src.decide.load import load_sweep
from src.decide.looks import level_at
from src.decide.settings import decision_of
from src.pipeline.until_decided import Budget
from src.records.schema import SweepRecord
from src.records.store import load
from tests.conftest import Command
from tests.pipeline import toy_sweep
from tests.pipeline.toy_sweep import records
from tests.report.factory import trial

SEARCH = ["-m", "lr=0.001,0.008", "seed=1,2", "epochs=1", "sweep=toy", "study.report=false", "tracking=none"]
DECIDED = ["study.until=decided", "study.max_trainings=9", "decision.margin=0.005"]


def start(home: Path, *words: str, epoch_s: float = 0.0) -> subprocess.Popen[str]:
    return toy_sweep.start(home, "tests.pipeline.toy_decided", [*SEARCH, *words], epoch_s=epoch_s)


def run(home: Path, *words: str) -> str:
    return toy_sweep.finished(start(home, *words))


def looks(home: Path) -> list[dict[str, Any]]:
    return load(SweepRecord, home / "outputs/sweeps/toy/sweep.json").looks


def told(home: Path) -> list[tuple[int, str, float, int, float]]:
    return [(t.trial, t.role, t.lr, t.seed, t.metrics["val/mAP50-95"]) for t in records(home)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("whole")
    run(home, *DECIDED)
    return home


def test_further_seeds_are_trained_until_the_bound_and_every_look_is_kept(undisturbed: Path) -> None:
    found = records(undisturbed)
    assert [t.role for t in found] == ["search"] * 4 + ["replicate"] * 5
    assert [t.trial for t in found] == list(range(9))
    assert len({(t.config_id, t.seed) for t in found}) == 9, "fresh seeds"
    assert min(t.seed for t in found[4:]) == 3
    got = looks(undisturbed)
    assert [look["trainings"] for look in got] == [4, 5, 6, 7, 8, 9]
    assert [look["share"] for look in got] == pytest.approx([n / 9 for n in range(4, 10)])
    assert [look["next"] for look in got] == [*(t.config_id for t in found[4:]), ""]
    assert [look["stopped"] for look in got] == [""] * 5 + ["trainings"]
    assert all(q["status"] == "open" for look in got for q in look["questions"])
    assert {q["config_id"] for look in got for q in look["questions"]} <= {t.config_id for t in found}


def test_what_is_printed_later_is_at_the_level_of_the_last_look(undisturbed: Path) -> None:
    saved = load_sweep(undisturbed / "outputs/sweeps/toy")
    decision = decide(saved, decision_of(saved))
    assert decision.level == pytest.approx(level_at(0.95, 1.0))
    assert decision.level == pytest.approx(looks(undisturbed)[-1]["level"])
    assert all(c.spread.n >= 4 for c in decision.configurations), "the further seeds count with the search's"
    assert {c.best.trial.role for c in decision.candidates} == {"search"}, "what was exported stays what ships"


@pytest.mark.slow
def test_killed_in_the_middle_it_ends_with_the_same_records(undisturbed: Path, tmp_path: Path) -> None:
    process = start(tmp_path, *DECIDED, epoch_s=0.5)
    deadline = time.monotonic() + 200
    while not (tmp_path / "outputs/sweeps/toy/trials/0006/begun.json").exists():
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(records(tmp_path)) == 6, "killed in the middle of a further training"
    run(tmp_path, *DECIDED)
    assert told(tmp_path) == told(undisturbed)
    assert looks(tmp_path) == looks(undisturbed)
    before = (tmp_path / "outputs/sweeps/toy/sweep.json").read_text()
    run(tmp_path, *DECIDED)
    assert (tmp_path / "outputs/sweeps/toy/sweep.json").read_text() == before, "nothing is left to do"
    assert told(tmp_path) == told(undisturbed)


def test_it_stops_as_soon_as_nothing_is_open(tmp_path: Path) -> None:
    printed = run(tmp_path, *DECIDED[:1], "study.max_trainings=40", "decision.margin=0.2")
    last = looks(tmp_path)[-1]
    assert last["stopped"] == "decided"
    assert len(records(tmp_path)) < 40
    assert "the decision is settled" in printed
    assert [q["status"] for q in last["questions"]] == ["within"], "and how it closed is kept"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["study.until=decided"], "max_trainings"),
        (["study.until=decided", "study.max_trainings=3"], "study.max_trainings"),
        (["study.until=decided", "study.max_hours=0"], "study.max_hours"),
        (["study.until=done"], "study.until"),
    ],
)
def test_bad_bounds_are_refused(command: Command, tmp_path: Path, words: list[str], said: str) -> None:
    done = command("tests.pipeline.toy_decided", *SEARCH, *words, f"outputs={tmp_path}/o")
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "o/sweeps").exists(), "nothing was trained"


def test_the_budget_counts_what_was_trained_and_hours_by_the_records() -> None:
    known = [trial(i, seed=i, timings_s={"train": 1800.0}) for i in range(4)]
    known.append(trial(9, state="infeasible", metrics={}))
    study = StudyConfig(name="s", until="decided")
    study.max_trainings = 10
    assert Budget.of(study, known) == Budget(4, 6, "trainings")
    study.max_hours = 3.2
    assert Budget.of(study, known) == Budget(4, 2, "hours")
    study.max_hours = 1.0
    assert Budget.of(study, known) == Budget(4, 0, "hours")
