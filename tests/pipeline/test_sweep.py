"""Whole sweeps at toy size, through the commands that a user types."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest

from src.common.hashes import sha256_file
from src.decide.choice import decide
from src.decide.load import load_sweep
from src.decide.settings import decision_of
from src.evaluate import load_resamples
from src.records.schema import EvaluationRecord, FinalistRecord, SweepRecord, TrialRecord
from src.records.store import load
from tests.conftest import Command, run_command

TOY = [
    "data.n_train=8",
    "data.n_val=4",
    "data.n_test=4",
    "epochs=1",
    "imgsz=32",
    "benchmark=quick",
    "benchmark.rounds=1",
    "benchmark.min_samples=8",
    "benchmark.min_seconds=0",
    "train.plots=false",
    "runtime.engines=[pytorch,onnxruntime]",
]


class Toy:
    """A finished toy sweep: what it printed and what it left."""

    def __init__(self, done: subprocess.CompletedProcess[str], home: Path) -> None:
        self.done, self.home = done, home
        assert done.returncode == 0, done.stderr[-3000:]
        (self.folder,) = (home / "outputs" / "sweeps").iterdir()
        self.report = home / "reports" / self.folder.name

    def trials(self) -> list[TrialRecord]:
        return [load(TrialRecord, p) for p in sorted(self.folder.glob("trials/*/record.json"))]

    def finalists(self) -> list[FinalistRecord]:
        return [load(FinalistRecord, p) for p in sorted(self.folder.glob("trials/*/finalist.json"))]

    def runs(self) -> list[dict[str, Any]]:
        with sqlite3.connect(self.home / "outputs" / "mlflow.db") as db:
            rows = db.execute("SELECT run_uuid, status FROM runs").fetchall()
            tags = db.execute("SELECT run_uuid, key, value FROM tags").fetchall()
        return [{"id": r, "status": s, **{k: v for u, k, v in tags if u == r}} for r, s in rows]

    def metrics(self, run_id: str) -> set[str]:
        with sqlite3.connect(self.home / "outputs" / "mlflow.db") as db:
            return {k for (k,) in db.execute("SELECT DISTINCT key FROM metrics WHERE run_uuid = ?", (run_id,))}


WORDS = ["-m", *TOY, "imgsz=32,64", "lr=0.002", "seed=1,2"]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    home = tmp_path_factory.mktemp("toy")
    places = [f"outputs={home}/outputs", f"reports={home}/reports"]
    return Toy(run_command("src.run", *WORDS, *places, timeout=600, COLUMNS="160"), home)


def test_each_combination_is_trained_exactly_once(toy: Toy) -> None:
    assert [(t.imgsz, t.seed) for t in toy.trials()] == [(32, 1), (32, 2), (64, 1), (64, 2)]
    assert [t.trial for t in toy.trials()] == [0, 1, 2, 3]
    assert {t.state for t in toy.trials()} == {"complete"}
    assert len({t.config_id for t in toy.trials()}) == 2
    assert len({t.config_hash for t in toy.trials()}) == 4


def test_every_trial_has_resamples_over_the_same_draws(toy: Toy) -> None:
    found = load_resamples(toy.folder)
    assert sorted(found) == [0, 1, 2, 3]
    assert len({(r.weights, len(r.resamples)) for r in found.values()}) == 1
    for t in toy.trials():
        assert found[t.trial].value == pytest.approx(t.metrics["val/mAP50-95"], abs=1e-12)
        assert found[t.trial].n_images == 4


@pytest.mark.slow
def test_another_group_judges_again_without_training(toy: Toy, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(toy.home, home)
    places = [f"outputs={home}/outputs", f"reports={home}/reports"]
    done = run_command("src.run", *WORDS, *places, 'data.group="^(val_000)0[01]"', timeout=600, COLUMNS="160")
    assert done.returncode == 0, done.stderr[-3000:]
    (folder,) = (home / "outputs" / "sweeps").iterdir()
    assert {r.n_groups for r in load_resamples(folder).values()} == {3}
    evaluations = [load(EvaluationRecord, p) for p in folder.glob("trials/*/evaluation/val-*.json")]
    assert {e.n_groups for e in evaluations} == {3}
    record = Path("trials") / "0000" / "record.json"
    assert (folder / record).read_text() == (toy.folder / record).read_text()  # as saved: its places follow the folder


def test_one_child_run_per_trial_under_one_parent_and_all_are_closed(toy: Toy) -> None:
    runs = toy.runs()
    parents = [r for r in runs if "mlflow.parentRunId" not in r]
    children = [r for r in runs if "mlflow.parentRunId" in r]
    assert len(parents) == 1
    assert {r["id"] for r in children} == {t.run_id for t in toy.trials()}
    assert {r["mlflow.parentRunId"] for r in children} == {parents[0]["id"]}
    assert {r["status"] for r in runs} == {"FINISHED"}
    for tag in ("sweep", "dataset.fingerprint", "config.hash", "host.fingerprint", "mlflow.source.git.commit"):
        assert all(tag in r for r in runs), tag


def test_the_runs_hold_the_promised_metrics(toy: Toy) -> None:
    finalist = next(f for f in toy.finalists() if f.test_metrics)
    names = toy.metrics(finalist.run_id)
    wanted = {"val/mAP50-95", "val/mAP50", "val/precision", "val/recall", "val/f1", "lr", "train/box_loss"}
    bench = "bench/onnxruntime/onnx/fp32/b1/"
    wanted |= {"test/mAP50-95", bench + "latency_p50_ms", bench + "throughput_ips", bench + "memory_mb"}
    assert wanted <= names


def test_finalists_are_exported_verified_and_measured(toy: Toy) -> None:
    measured = toy.finalists()
    assert len(measured) == 2, "one replicate of each configuration"
    for f in measured:
        assert {a.label for a in f.artifacts} == {"pytorch/fp32", "onnx/fp32"}
        assert all(sha256_file(Path(a.path)) == a.sha256 for a in f.artifacts)
        assert {v.runtime for v in f.verifications if v.split == "val"} == {"pytorch", "onnxruntime"}
        assert {m.runtime for m in f.measurements} == {"pytorch", "onnxruntime"}
        assert all(0 < m.latency.p50 < 1000 and m.memory_mb > 0 for m in f.measurements)
        assert all((toy.folder / m.samples_file).is_file() for m in f.measurements)


def test_test_judges_the_recommended_file_and_the_best_alone(toy: Toy) -> None:
    decision = decide(load_sweep(toy.folder), decision_of(load_sweep(toy.folder)))
    chosen = [c for c in (decision.recommended, decision.best) if c is not None]
    wanted = {(c.best.trial.trial, c.format, c.runtime) for c in chosen}
    wanted |= {(c.best.trial.trial, "pytorch", "pytorch") for c in chosen}
    judged = {(f.trial, v.format, v.runtime) for f in toy.finalists() for v in f.verifications if v.split == "test"}
    assert judged == wanted
    in_depth = {(e.trial, e.format, e.runtime) for e in decision.saved.evaluations.values() if e.split == "test"}
    assert in_depth == wanted
    assert {f.trial for f in toy.finalists() if f.test_metrics} == {trial for trial, _, _ in wanted}
    assert len(load(SweepRecord, toy.folder / "sweep.json").test_openings) == 1


def test_the_report_is_complete(toy: Toy) -> None:
    text = (toy.report / "decision.md").read_text()
    for section in ("Objectives and constraints", "Recommended model", "Comparative analysis", "Risk assessment",
                    "Final decision", "Next steps"):  # fmt: skip
        assert f"## {section}" in text
    decision = json.loads((toy.report / "decision.json").read_text())
    assert decision["sweep"] == toy.folder.name
    assert decision["verdict"] in ("approve", "conditional", "reject")
    assert {t.run_id for t in toy.trials()} >= set(decision["recommended"]["run_ids"])
    assert len(list((toy.report / "figures").glob("*.png"))) >= 2
    rows = list(csv.DictReader((toy.report / "trials.csv").open()))
    assert [int(r["trial"]) for r in rows] == [0, 1, 2, 3]
    assert {"trial", "state", "model", "imgsz", "lr", "seed", "run_id", "val/mAP50-95"} <= rows[0].keys()
    assert (toy.report / "benchmark.csv").is_file()
    assert (toy.report / "benchmark.json").is_file()


def test_the_end_of_the_sweep_is_told_in_the_terminal(toy: Toy) -> None:
    assert "Configurations by" in toy.done.stdout
    assert "left" in toy.done.stdout
    assert f"decision: {toy.report}/decision.md" in toy.done.stdout
    assert "Traceback" not in toy.done.stdout + toy.done.stderr


def test_the_same_command_trains_nothing_again(toy: Toy, command: Command) -> None:
    before = {p: p.stat().st_mtime_ns for p in toy.folder.glob("trials/*/*.json")}
    runs = {r["id"] for r in toy.runs()}
    done = command("src.run", *WORDS, f"outputs={toy.home}/outputs", f"reports={toy.home}/reports")
    assert done.returncode == 0, done.stderr
    assert {p: p.stat().st_mtime_ns for p in toy.folder.glob("trials/*/*.json")} == before
    assert {r["id"] for r in toy.runs()} == runs
    assert {r["status"] for r in toy.runs()} == {"FINISHED"}


def test_a_name_that_is_taken_by_another_sweep_is_refused(toy: Toy, command: Command) -> None:
    words = ["-m", *TOY, "imgsz=32,96", f"sweep={toy.folder.name}", f"outputs={toy.home}/outputs"]
    done = command("src.run", *words)
    assert done.returncode == 2
    assert toy.folder.name in done.stderr


def test_the_report_is_written_again_without_training_or_torch(toy: Toy, command: Command, tmp_path: Path) -> None:
    words = ["sweep=latest", f"outputs={toy.home}/outputs", f"reports={tmp_path}"]
    done = command("src.report", *words, PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0, done.stderr[-2000:]
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert not imported & {"torch", "ultralytics"}
    assert (tmp_path / toy.folder.name / "decision.md").read_text() == (toy.report / "decision.md").read_text()


@pytest.mark.slow
def test_a_repeated_training_is_bit_identical(toy: Toy, command: Command, tmp_path: Path) -> None:
    words = [
        "-m",
        *TOY,
        "imgsz=64",
        "lr=0.002",
        "seed=2,3",
        "export=none",
        "runtime.engines=[]",
        "study.report=false",
        "sweep=again",
    ]
    done = command("src.run", *words, f"outputs={tmp_path}", "tracking=none", timeout=600)
    assert done.returncode == 0, done.stderr
    again = load(TrialRecord, tmp_path / "sweeps" / "again" / "trials" / "0000" / "record.json")
    first = toy.trials()[3]
    other = load(TrialRecord, tmp_path / "sweeps" / "again" / "trials" / "0001" / "record.json")
    assert first.checkpoint is not None
    assert again.checkpoint is not None
    assert other.checkpoint is not None
    assert again.checkpoint.weights_sha256 == first.checkpoint.weights_sha256 != other.checkpoint.weights_sha256
    assert again.metrics == first.metrics
    assert again.history == first.history


@pytest.mark.slow
def test_a_recorded_run_is_replayed_bit_for_bit(toy: Toy, command: Command) -> None:
    run_id = toy.trials()[0].run_id
    done = command("src.run", f"replay={run_id[:10]}", f"outputs={toy.home}/outputs", "tracking=none", timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bit-identical: the same weights" in done.stdout


def test_an_unknown_run_is_not_replayed(toy: Toy, command: Command) -> None:
    done = command("src.run", "replay=ffffffffff", f"outputs={toy.home}/outputs")
    assert done.returncode == 2
    assert "replay" in done.stderr


@pytest.mark.slow
def test_a_failing_trial_is_recorded_and_the_sweep_goes_on(command: Command, tmp_path: Path) -> None:
    words = [
        "-m",
        *TOY,
        # At the second rate the decay of the weights multiplies them by -999 at every step.
        *("lr=0.000002,1", "train.lr_backbone=1000", "train.lr_head=1000", "train.weight_decay=1"),
        *("epochs=2", "batch=2", "train.nbs=2", "augment=none"),
        "export=none",
        "runtime.engines=[]",
        f"outputs={tmp_path}/o",
        f"reports={tmp_path}/r",
    ]
    done = command("src.run", *words, "sweep=one-bad", timeout=600)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "o" / "sweeps" / "one-bad"
    records = [load(TrialRecord, p) for p in sorted(folder.glob("trials/*/record.json"))]
    assert [r.state for r in records] == ["complete", "failed"]
    assert records[1].failures[0].stage == "train"
    assert "failed" in (tmp_path / "r" / "one-bad" / "decision.md").read_text().lower()
    assert load(SweepRecord, folder / "sweep.json").finished_at
