"""A live comparison from the service's side: splits, labels, steps, stops, several processes and kills."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from src.common.errors import UserError
from src.monitor.experiment import Experiment
from src.monitor.plan import CHALLENGER, CHAMPION, ExperimentPlan
from tests.conftest import ROOT

PLAN = ExperimentPlan("autumn", "4", "6", margin=0.05)
LABELS = [[10.0, 10.0, 50.0, 50.0], [100.0, 100.0, 140.0, 150.0], [200.0, 30.0, 260.0, 90.0]]
CLASSES = [0, 1, 0]


def answer(rng: np.random.Generator, found: float, wrong: float = 0.3) -> SimpleNamespace:
    """Detections that find each object with a probability, and some false ones."""
    boxes = [[v + rng.uniform(-2, 2) for v in box] for box in LABELS]
    rows = [(b, c) for b, c in zip(boxes, CLASSES, strict=True) if rng.random() < found]
    rows += [([300.0, 300.0, 320.0, 320.0], 1)] * int(rng.poisson(wrong))
    return SimpleNamespace(
        boxes=np.array([b for b, _ in rows]).reshape(-1, 4),
        scores=rng.uniform(0.3, 0.9, len(rows)),
        classes=np.array([c for _, c in rows], np.int64),
    )


def run(experiment: Experiment, images: int, old: float, new: float, labels: bool = True, begin: int = 0) -> None:
    """Requests one after the other; `old` and `new` are what the models find."""
    rng = np.random.default_rng(begin)
    for i in range(begin, begin + images):
        arm = experiment.choose(f"client {i}")
        share = {CHAMPION: old, CHALLENGER: new}
        asked = (CHAMPION, CHALLENGER) if experiment.shadow else (arm,)
        experiment.record(str(i), {a: answer(rng, share[a]) for a in asked}, dict.fromkeys(asked, 10.0))
        if labels:
            experiment.feedback(str(i), LABELS, CLASSES)


@pytest.mark.parametrize(
    ("mode", "new", "word"),
    [
        ("shadow", 0.9, "better"),
        ("shadow", 0.3, "worse"),
        ("split", 0.95, "better"),
        ("split", 0.25, "worse"),
    ],
)
def test_labels_tell_which_model_is_better(mode: str, new: float, word: str, tmp_path: Path) -> None:
    experiment = Experiment(tmp_path, replace(PLAN, mode=mode))  # type: ignore[arg-type]
    run(experiment, 260, 0.6, new)
    found = experiment.verdict()
    assert found.word == word
    assert found.advice == ("promote" if word == "better" else "restore")
    assert found.difference.low <= found.difference.value <= found.difference.high
    if mode == "shadow":
        assert found.champion.labelled == found.challenger.labelled == 260
        assert 0.3 < found.agreement < 0.9


def test_an_equal_challenger_is_non_inferior_once_the_margin_allows_it(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path, replace(PLAN, mode="shadow", margin=0.3))
    run(experiment, 200, 0.7, 0.7)
    assert experiment.verdict().word == "non-inferior"
    assert Experiment(tmp_path).verdict().said.startswith("The challenger is at most the margin of 0.3 worse")


def test_without_labels_there_is_no_verdict_whatever_the_confidence(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path, replace(PLAN, mode="shadow"))
    run(experiment, 100, 0.9, 0.1, labels=False)
    found = experiment.verdict()
    assert (found.word, found.advice) == ("open", "wait")
    assert "nothing is claimed below 50" in found.said
    assert "say nothing about accuracy" in found.said
    assert found.agreement < 0.4
    assert found.challenger.latency_ms["p50"] == 10.0
    assert math.isnan(found.challenger.f1)


def test_a_split_sends_each_key_to_one_arm(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path, replace(PLAN, share=0.2))
    arms = [experiment.choose(str(i)) for i in range(1000)]
    assert 150 < arms.count(CHALLENGER) < 250
    assert arms == [Experiment(tmp_path).choose(str(i)) for i in range(1000)]


def test_a_canary_goes_up_in_steps_while_nothing_speaks_against_it(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path, replace(PLAN, mode="canary", steps=[0.1, 0.3, 0.6], step_images=20))
    shares = []
    for i in range(6):
        run(experiment, 60, 0.7, 0.7, labels=False, begin=60 * i)
        shares.append(experiment.share)
    assert shares == sorted(shares)
    assert shares[-1] == 0.6
    assert Experiment(tmp_path).share == 0.6


def test_a_canary_that_is_worse_is_stopped_and_stays_so(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path, replace(PLAN, mode="canary", steps=[0.3, 0.6], step_images=50))
    run(experiment, 400, 0.9, 0.1)
    assert experiment.stopped.startswith("its F1 is worse")
    assert experiment.share == 0.0
    assert {experiment.choose(str(i)) for i in range(300)} == {CHAMPION}
    again = Experiment(tmp_path)
    assert (again.stopped, again.verdict().advice) == (experiment.stopped, "restore")


def test_a_canary_that_fails_is_stopped_without_labels(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path, replace(PLAN, mode="canary", steps=[0.3], step_images=50))
    for i in range(600):
        arm = experiment.choose(str(i))
        broken = arm == CHALLENGER and i % 2 == 0
        experiment.record(str(i), {arm: None if broken else answer(np.random.default_rng(i), 0.7)})
    assert experiment.stopped.startswith("it fails more often")
    assert experiment.verdict().challenger.failed > 0.3


def test_labels_count_once_and_only_for_what_was_answered(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path, PLAN)
    run(experiment, 3, 0.7, 0.7)
    for image in ("0", "never seen"):
        with pytest.raises(UserError, match="isn't waiting"):
            experiment.feedback(image, LABELS, CLASSES)
    experiment.record("0", {CHAMPION: answer(np.random.default_rng(0), 0.7)})
    with pytest.raises(UserError, match="isn't waiting"):
        experiment.feedback("0", LABELS, CLASSES)
    found = experiment.verdict()
    assert found.champion.labelled + found.challenger.labelled == 3


@pytest.mark.parametrize(
    ("boxes", "classes"),
    [
        ([[1, 2, 3]], [0]),
        ([[1, 2, 3, 4]], []),
        ([[1, 2, 3, math.nan]], [0]),
        ([[1, 2, 3, 4]], [-1]),
        ([[1, 2, 3, 4]], [0.5]),
    ],
)
def test_labels_that_make_no_sense_are_refused(boxes: list[list[float]], classes: list[int], tmp_path: Path) -> None:
    experiment = Experiment(tmp_path, PLAN)
    experiment.record("a", {CHAMPION: answer(np.random.default_rng(0), 0.7)})
    with pytest.raises(UserError, match="feedback"):
        experiment.feedback("a", boxes, classes)
    experiment.feedback("a", LABELS, CLASSES)


def test_an_image_without_objects_counts_its_false_boxes(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path, PLAN)
    experiment.record("a", {CHAMPION: answer(np.random.default_rng(0), 1.0, 0.0)})
    experiment.feedback("a", [], [])
    assert experiment.verdict().champion.f1 == 0.0


def test_processes_share_one_state(tmp_path: Path) -> None:
    """An image that one object recorded is labelled through another one."""
    one = Experiment(tmp_path, replace(PLAN, mode="shadow"))
    other = Experiment(tmp_path)
    run(one, 5, 0.7, 0.7, labels=False)
    for i in range(5):
        other.feedback(str(i), LABELS, CLASSES)
    assert one.verdict() == other.verdict()
    assert one.verdict().champion.labelled == 5


def test_threads_lose_nothing(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path, replace(PLAN, mode="shadow"))
    work = [threading.Thread(target=run, args=(experiment, 20, 0.7, 0.7, True, 20 * i)) for i in range(6)]
    for one in work:
        one.start()
    for one in work:
        one.join()
    assert experiment.verdict().champion.labelled == 120
    assert Experiment(tmp_path).verdict() == experiment.verdict()


def test_a_kill_loses_only_the_line_under_way(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tests.monitor.test_experiment import *\n"
        "experiment = Experiment(Path(sys.argv[1]), replace(PLAN, mode='shadow'))\n"
        "for i in range(10**6): run(experiment, 1, 0.7, 0.7, begin=i); print(i, flush=True)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for _ in range(30):
        done = int(process.stdout.readline()) + 1
    process.send_signal(signal.SIGKILL)
    process.wait()
    path = tmp_path / "events.jsonl"
    with open(path, "ab") as stream:
        stream.write(b'{"event":"image","ima')  # what a kill leaves in the worst case
    again = Experiment(tmp_path)
    before = again.verdict().champion.labelled
    assert before >= done == 30
    run(again, 5, 0.7, 0.7, begin=10**7)
    assert Experiment(tmp_path).verdict().champion.labelled == before + 5
    assert again._events.broken == 1


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.monitor.tally.MOST_WAITING", 10)
    experiment = Experiment(tmp_path, PLAN)
    run(experiment, 30, 0.7, 0.7, labels=False)
    with pytest.raises(UserError, match="isn't waiting"):
        experiment.feedback("5", LABELS, CLASSES)
    experiment.feedback("25", LABELS, CLASSES)
    monkeypatch.setattr("src.monitor.experiment.MOST_BYTES", 10)
    size = (tmp_path / "events.jsonl").stat().st_size
    run(experiment, 5, 0.7, 0.7, labels=False, begin=50)
    assert (tmp_path / "events.jsonl").stat().st_size == size


def test_stopped_by_hand(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path, PLAN)
    experiment.stop("the customer asked for it")
    assert {experiment.choose(str(i)) for i in range(50)} == {CHAMPION}
    assert Experiment(tmp_path).stopped == "the customer asked for it"
