"""A runtime that dies or hangs in its own process costs its own figures alone."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from src import runtime
from src.machine.isolation import run_job
from src.pipeline import accuracy, finalist, measured
from src.pipeline.context import Context
from src.pipeline.measured import Findings
from src.records.schema import Artifact, DatasetRef
from src.track import NullTracker
from tests.config.test_config import composed
from tests.report.factory import trial

FAULTY = "tests.benchmark.faulty"  # a worker that fails as it is told


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Findings:
    """A finalist with its checkpoint and an ONNX file; the checkpoint was evaluated."""
    saved = tmp_path / "sweep" / "trials" / "0000" / "reference.npz"
    saved.parent.mkdir(parents=True)
    monkeypatch.setattr(finalist, "evaluate_checkpoint", lambda *_: ({"mAP50-95": 0.3}, saved))
    monkeypatch.setattr(finalist, "agreement", lambda *_: {})
    monkeypatch.setattr(finalist, "judge_start", lambda *_: [])
    monkeypatch.setattr(runtime, "availability", lambda name: None)
    for module in (accuracy, measured):
        monkeypatch.setattr(module, "load_split", lambda dataset, split: [SimpleNamespace(image="a.jpg")])
    monkeypatch.setattr(accuracy, "keep_ground_truth", lambda *_: None)
    monkeypatch.setattr(accuracy, "load_groups", lambda *_: [0])
    cfg = composed("runtime.engines=[pytorch,onnxruntime]", "benchmark=quick", "benchmark.rounds=1")
    files = [
        Artifact(name, "fp32", name, name, 1, [-1, 3, 32, 32], 1.0, trial(0).checkpoint.sha256)  # type: ignore[union-attr]
        for name in ("pytorch", "onnx")
    ]
    return Findings(trial(0), cfg, saved.parent, artifacts=files)


@pytest.mark.parametrize(("how", "said"), [("segfault", "SIGSEGV"), ("hang", "within 1 s"), ("exit", "last words")])
def test_it_is_recorded_and_the_others_go_on(
    found: Findings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str, said: str
) -> None:
    def job(asked: Any, *, target: str, threads: int, timeout_s: float, stage: str = "benchmark") -> dict[str, Any]:
        limit = 1 if how == "hang" else timeout_s
        return run_job({"how": how}, target=target, threads=1, timeout_s=limit, stage=stage, module=FAULTY)

    monkeypatch.setattr(sys.modules["src.benchmark.measure"], "run_job", job)  # the package has a function of that name
    context = Context("sweep", tmp_path / "sweep", tmp_path, NullTracker(), "", 1)
    inputs: Any = SimpleNamespace(dataset=lambda cfg: DatasetRef("toy", "toy.yaml", "f" * 64, {"val": 1}, ["a"]))
    finalist.verify(found, context, inputs, "val")
    assert [(v.format, v.runtime) for v in found.verifications] == [("pytorch", "pytorch")]
    (failure,) = found.failures
    assert (failure.stage, failure.kind) == ("verify", "error")
    assert "onnx" in failure.target
    assert said in failure.message

    measured.measure_all([found], context, inputs, lambda text: None)
    assert found.measurements == []
    targets = [(f.stage, f.target) for f in found.failures[1:]]
    assert ("benchmark", "pytorch/pytorch/fp32") in targets, "what was judged was tried"
    assert not [t for t in targets if "onnx" in t[1]], "what did not run is not timed"
    assert all(said in f.message for f in found.failures)


def test_a_block_is_named_and_the_latency_that_decides_is_handed_on(
    found: Findings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {}

    def measure(jobs: Any, *_: Any, **words: Any) -> tuple[list[Any], list[Any]]:
        asked.update(words, jobs=jobs)
        return [], []

    monkeypatch.setattr(measured, "measure", measure)
    monkeypatch.setattr(measured, "_passed", lambda *_: True)
    found.cfg.decision.latency, found.cfg.decision.scope = "p95", "end_to_end"
    context = Context("sweep", tmp_path, tmp_path, NullTracker(), "", 1)
    inputs: Any = SimpleNamespace(dataset=lambda cfg: None)
    measured.measure_all([found], context, inputs, lambda text: None)
    assert asked["decisive"] == ("p95", "end_to_end/1")
    one = found.record
    assert asked["labels"] == [f"T0 {one.model} {one.imgsz} px lr {one.lr:.3g}"] * len(asked["jobs"])
    longest = f"round 2/4 · {asked['labels'][0]} · onnxruntime onnx/int8-dynamic · 12:20 left"
    assert len(longest) <= 80
