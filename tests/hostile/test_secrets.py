"""Canaries: credentials planted wherever a user may have one are found nowhere in what a sweep prints and leaves."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.conftest import ROOT, Command

CANARY = "canary-7d1f-"
VARIABLES = {
    "ROBOFLOW_API_KEY": CANARY + "apikey",
    "AWS_SECRET_ACCESS_KEY": CANARY + "aws/secret+key",
    "GH_PAT": CANARY + "pat",
    "SMTP_PWD": CANARY + "pwd",
    "MLFLOW_TRACKING_PASSWORD": CANARY + "mlflow",
    "DATABASE_URL": f"postgresql://me:{CANARY}database@db/x",
}
SERVER = f"tracking.uri=http://me:{CANARY}server@127.0.0.1:9"
# A training that fails with a message full of secrets, and one that prints them where its worker's log is.
TOY = """
import os, sys
from tests.pipeline import toy
whole = toy.FAMILY.train
def leaky(training, *rest):
    if training.seed == 2:
        secrets = ' '.join(v for k, v in sorted(os.environ.items()) if 'canary' in v)
        raise RuntimeError(f'refused: {secrets} at postgresql://a:canary-7d1f-raised@h/x password=canary-7d1f-word')
    return whole(training, *rest)
toy.FAMILY.train = leaky
toy.main()
"""


def leaks(folder: Path) -> list[str]:
    """Files below a folder that hold a canary; databases are read row by row as well as byte by byte."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        content = path.read_bytes()
        if path.suffix == ".db":
            with sqlite3.connect(path) as db:
                content += "\n".join(db.iterdump()).encode()
        if any(form.encode() in content for form in (CANARY, quote(CANARY, safe=""))):
            at = content.index(CANARY.encode())
            found.append(f"{path.relative_to(folder)}: …{content[max(at - 60, 0) : at + 30]!r}")
    return found


def start(home: Path, *words: str) -> subprocess.Popen[str]:
    """A toy sweep with every canary in place."""
    package = home / "leaky"
    package.mkdir(exist_ok=True)
    (package / "leaky_toy.py").write_text(TOY)
    return subprocess.Popen(
        [sys.executable, "-m", "leaky_toy", "-m", "data.n_train=4", "seed=1,2", "export=none", "runtime.engines=[]",
         "study.report=true", "sweep=canary", "tracking.system_metrics=false", f"outputs={home}/o", f"reports={home}/r",
         *words],
        cwd=ROOT,
        env={**os.environ, **VARIABLES, "PYTHONPATH": f"{ROOT}:{package}", "TOY_EPOCH_S": "0.2"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        pytest.param((), id="local-store"),
        pytest.param((SERVER, "tracking.also=[tensorboard,wandb]"), id="copies", marks=pytest.mark.slow),
        pytest.param((SERVER, "study.workers=2"), id="absent-server-two-workers", marks=pytest.mark.slow),
    ],
)
def test_no_canary_in_anything_that_a_sweep_prints_or_leaves(tmp_path: Path, words: tuple[str, ...]) -> None:
    process = start(tmp_path, *words)
    printed = process.communicate(timeout=120)[0]
    assert process.returncode == 0, printed
    assert CANARY not in printed
    assert "***" in printed, "the failure was told, with its secrets masked"
    assert (tmp_path / "r" / "canary" / "decision.md").is_file()
    assert (tmp_path / "o" / "sweeps" / "canary" / "trials" / "0001" / "traceback.txt").is_file()
    assert not leaks(tmp_path / "o") + leaks(tmp_path / "r")


@pytest.mark.slow
def test_workers_do_not_repeat_a_secret_on_their_command_line(tmp_path: Path) -> None:
    process = start(tmp_path, SERVER, "study.workers=2", "epochs=3")
    seen: set[str] = set()
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        lines = dict(command_lines())
        typed = lines.get(process.pid, "")  # a fork of the command looks like it until it becomes something else
        seen |= {line for line in lines.values() if line != typed and f"{tmp_path}/o" in line}
        time.sleep(0.05)
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == 0, printed
    assert any("threads=" in line for line in seen), "no worker was seen"
    assert not [line for line in seen if CANARY in line]


def command_lines() -> list[tuple[int, str]]:
    """What `ps` shows of every process."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append((int(path.parent.name), path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")))
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    "words",
    [
        ["-m", "seed=1,2", f"study.storage=postgresql+psycopg://me:{CANARY}@127.0.0.1:1/x"],
        [f"tracking.uri=ftp://me:{CANARY}@h/x"],
        [f"tracking.uri=http://me:{CANARY}@h/[{{"],
        [f"+api_key={CANARY}"],
        ["model.weights=/none/${oc.env:ROBOFLOW_API_KEY}"],
        ["sweep=${oc.env:GH_PAT}/x", "-m", "seed=1,2"],
        [f"data.path=https://me:{CANARY}@h/data.yaml", "data=yolo"],
    ],
    ids=lambda words: words[-1].split("=")[0],
)
def test_no_canary_in_a_refusal(command: Command, tmp_path: Path, words: list[str]) -> None:
    done = command("src.run", *words, f"outputs={tmp_path}/o", f"reports={tmp_path}/r", "data.n_train=4", **VARIABLES)
    assert done.returncode == 2, done.stderr
    assert CANARY not in done.stdout + done.stderr
    assert not leaks(tmp_path)


def test_the_scan_finds_what_is_planted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(f"x {CANARY} y")
    with sqlite3.connect(tmp_path / "b.db") as db:
        db.execute("CREATE TABLE t (x)")
        db.execute("INSERT INTO t VALUES (?)", (CANARY,))
    (tmp_path / "c.txt").write_text("nothing")
    assert [line.split(":")[0] for line in leaks(tmp_path)] == ["a.txt", "b.db"]
