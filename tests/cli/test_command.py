"""The command line: exit codes, messages without tracebacks, and start-up without heavy imports."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from src.cli.command import as_name, guarded, refuse_empty
from src.common.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, UserError
from tests.conftest import ROOT, Command

FEW = ["data.n_train=4", "data.n_val=4", "data.n_test=2", "data.size=64", "tracking=none"]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["model=v99"], "v99"),
        (["nonsense=1"], "nonsense"),
        (["imgsz=big"], "imgsz"),
        (["imgsz=100"], "imgsz=96"),
        (["lr=nan"], "lr"),
        (["sweep=../x"], "sweep"),
        (["imgsz=320,416"], "imgsz"),
        (['data.group="^(video"', "tracking=none"], "data.group is no regular expression"),
        (['data.group="^(film)"', *FEW], "data.group matches no image of val"),
        (["-m", "seed=1,2", 'data.group="^(val)"', *FEW], "data.group puts all 4 images of val in one group"),
        (["train.cache_folder=/dev/null/x"], "train.cache_folder can't be used"),
        (["-m", "seed=1,2", "train.cache_folder=/dev/null/x"], "train.cache_folder can't be used"),
        (["train.plateau_patience=3"], "train.schedule=plateau"),
        (["-m", "train.plateau_patience=3,5"], "train.schedule=plateau"),
        (["tracking.also=[tensorbord]"], "some of: tensorboard, wandb"),
        (["-m"], "search space is empty"),
        (["-m", "imgsz=320,100"], "imgsz"),
        (["-m", "lr=interval(0.1,1.0)"], "n_trials"),
        (["-m", "lr=interval(-1.0,1.0)", "hydra.sweeper.n_trials=3"], "lr"),
        (["-m", "seed=interval(1,9)", "hydra.sweeper.n_trials=3"], "seed"),
        (["-m", "sweeps=no_such_study"], "no_such_study"),
        (["-m", "model=v8n,v99"], "v99"),
        (["runtime=null"], "value:  runtime=null"),
    ],
    ids=" ".join,
)
def test_wrong_words_end_in_2_within_seconds_and_without_traceback(
    command: Command, words: list[str], names: str
) -> None:
    done = command("src.run", *words, timeout=60)
    assert done.returncode == EXIT_USAGE, done.stderr
    assert names in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert len(done.stderr.splitlines()) <= 14


@pytest.mark.parametrize("word", ["source=", "data.path=''", 'out=""'])
def test_a_key_without_a_value_is_refused(word: str) -> None:
    """`source=$FOLDER` of a variable that isn't set meant the folder that one is in, and all below it."""
    with pytest.raises(UserError, match=f"{word.partition('=')[0]} has no value") as told:
        refuse_empty(["imgsz=64", word])
    assert "variable of the shell" in told.value.remedy


@pytest.mark.parametrize("word", ["--multirun", "-m", "--config-dir=", "~sweep=", "data.group='='", "a=null", "a=[]"])
def test_other_words_have_one_or_need_none(word: str) -> None:
    refuse_empty([word])


@pytest.mark.parametrize("words", [["--help"], ["--cfg", "job"]], ids=" ".join)
def test_help_and_configuration_import_nothing_heavy(command: Command, words: list[str]) -> None:
    done = command("src.run", *words, PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "hydra" in imported
    assert not imported & {"torch", "ultralytics", "mlflow", "optuna", "numpy", "matplotlib", "onnxruntime"}
    assert "imgsz: 160" in done.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("src.promote", "model=others"), "finds no sweep"),  # a name, though conf/ has a group `model`
        (("src.benchmark", "artifacts=none", "data=coco128", "runtime=onnxruntime"), "artifacts"),
    ],
    ids=["without-groups", "with-groups"],
)
def test_a_command_takes_its_keys_and_leaves_no_file_in_the_working_folder(
    tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    """Hydra's own settings write a log file and a folder with the configuration."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == EXIT_USAGE
    assert says in done.stderr
    assert not list(tmp_path.iterdir())


def raising(error: BaseException) -> int:
    def work() -> None:
        raise error

    return guarded(work)


def test_exit_codes_follow_the_kind_of_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(UserError("lr is wrong", value=3, remedy="lr=1")) == EXIT_USAGE
    assert "remedy: lr=1" in capsys.readouterr().err
    assert raising(RuntimeError("boom")) == EXIT_FAILED
    assert raising(KeyboardInterrupt()) == EXIT_INTERRUPTED
    assert raising(SystemExit(3)) == 3
    assert guarded(lambda: None) == 0


def test_nobody_who_reads_on_is_no_error(command: Command) -> None:
    """`… | head` closes the pipe; what is written after that is lost, and nothing need be said."""
    code = (
        "import sys, time\nfrom src.cli.command import guarded\n"
        "def work():\n    for _ in range(100_000): print('a line', flush=True)\nsys.exit(guarded(work))"
    )
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -c \"$1\" | head -1; echo ${{PIPESTATUS[0]}}", "bash", code],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout == "a line\n1\n"


def test_no_secret_in_an_error(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "canary-value-1")
    raising(UserError("bad", value="postgresql://me:canary-value-2@host/db and canary-value-1"))
    err = capsys.readouterr().err
    assert "canary" not in err
    assert "***" in err


@pytest.mark.parametrize(
    ("word", "seen"),
    [
        ("replay=148e400647", "replay='148e400647'"),
        ("replay=00123456", "replay='00123456'"),
        ("sweep=1e3", "sweep='1e3'"),
        ("replay=9dfacba3ff", "replay=9dfacba3ff"),
        ("sweep=null", "sweep=null"),
        ("lr=1e-3", "lr=1e-3"),
    ],
)
def test_a_name_that_looks_like_a_number_stays_a_name(word: str, seen: str) -> None:
    assert as_name(word) == seen
    assert as_name(seen) == seen


def test_a_run_id_of_digits_reaches_the_command_as_it_is(command: Command) -> None:
    done = command("src.run", "replay=148e400647", timeout=60)
    assert done.returncode == EXIT_USAGE
    assert "148e400647" in done.stderr
