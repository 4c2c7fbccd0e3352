"""`plan=true` on the command line: what it says, what it leaves, what it refuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from src.decide.resolution import Design, Resolution
from src.pipeline.plan.words import verdict
from tests.conftest import Command, run_command
from tests.pipeline.test_sweep import TOY

WORDS = ["-m", *TOY, "imgsz=32,64", "seed=1,2", "plan=true"]


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    home = tmp_path_factory.mktemp("plan")
    places = [f"outputs={home}/outputs", f"reports={home}/reports"]
    done = run_command("src.run", *WORDS, *places, timeout=600, COLUMNS="160")
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout, home


def test_it_says_what_the_sweep_costs_and_whether_it_can_decide(planned: tuple[str, Path]) -> None:
    said, _ = planned
    assert "4 trainings (2 configurations, 2 seed(s) each)" in said
    assert re.search(r"v8n 32 px, batch 8: \d+\.\d s an epoch", said)
    assert re.search(r"v8n 64 px, batch 8: \d+\.\d s an epoch", said)
    assert re.search(r"training +\d+:\d\d +4 trainings, 4 epochs", said)
    assert re.search(r"in all +\d+:\d\d +0\.\d\d hours", said)
    assert re.search(r"energy +(package|this machine has no counter)", said)
    assert re.search(r"disk +\d+\.\d\d GB, of \d+ GB that are free", said)
    assert "THIS STUDY CAN'T DECIDE within decision.margin=0.01" in said, "four images of val are too few"
    assert "nothing was recorded" in said


def test_it_leaves_nothing_but_the_dataset(planned: tuple[str, Path]) -> None:
    _, home = planned
    left = {path.name for path in (home / "outputs").iterdir()}
    assert left <= {"datasets", "weights", "plan.lock"}
    assert not list(home.rglob("record.json"))
    assert not list(home.rglob("mlflow.db"))
    assert not (home / "reports").exists()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["plan=true"], "plan=true plans a sweep"),
        (["-m", "imgsz=33,64", "plan=true"], "imgsz must be a positive multiple of 32"),
        (["-m", "decision.finalists=1,2", "plan=true", *TOY], "decision.finalists is swept"),
    ],
    ids=["single", "value", "ineffective"],
)
def test_what_a_sweep_would_refuse_is_refused(command: Command, tmp_path: Path, words: list[str], what: str) -> None:
    done = command("src.run", *words, f"outputs={tmp_path}", timeout=120)
    assert done.returncode == 2, done.stderr
    assert what in done.stderr


DESIGN = Design(4, 2, 0.01, 0.95)


@pytest.mark.parametrize(
    ("design", "found", "said"),
    [
        (DESIGN, Resolution(0.008, 0.9, 2), "this study can decide within decision.margin=0.01"),
        (DESIGN, Resolution(0.03, 0.11, 9), "9 seeds of each configuration"),
        (DESIGN, Resolution(0.03, 0.11, None), "more images in val"),
        (DESIGN, Resolution(float("inf"), 0.0, 9), "establish no spread over seeds"),
        (Design(1, 2, 0.01, 0.95), Resolution(0.0, 1.0, 2), "nothing is compared"),
    ],
    ids=["decides", "seeds", "images", "one seed", "alone"],
)
def test_the_sentence_says_what_is_missing(design: Design, found: Resolution, said: str) -> None:
    assert said in " ".join(verdict(design, found))
