"""Gates, and a promotion through a real store: aliases move only when every gate passes."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.errors import UserError
from src.gates import Standing, against, own_gates
from src.promote import PromoteArgs, promote, run
from src.records import Artifact, FinalistRecord, TrialRecord, sha256_file
from src.registry import CHAMPION, PREVIOUS, Registry
from src.report import load_decision
from tests.report.factory import ONNX, Sweep, evaluation, finalist, study, trial

STANDING = Standing("a" * 64, "host", 10.0, "p95", "same", None)


def judged(score: float, digest: str = "b", **changes: Any) -> Standing:
    """A standing with an evaluation on test."""
    one = trial(0, score=score)
    record = next(v for v in finalist(one, (ONNX,)).verifications if v.split == "test")
    depth = evaluation(one, replace(record, artifact_sha256=digest * 64))
    return replace(STANDING, sha256=digest * 64, evaluation=depth, **changes)


@pytest.mark.parametrize(
    ("champion", "challenger", "failing"),
    [
        (judged(0.5, "a"), judged(0.5), []),
        (judged(0.5, "a"), judged(0.6), []),
        (judged(0.5, "a"), judged(0.4), ["accuracy against champion"]),
        (judged(0.5, "a"), judged(0.5, latency_ms=12.0), ["latency against champion"]),
        (judged(0.5, "a"), judged(0.6, latency_ms=12.0), []),  # slower, but clearly better
        (judged(0.5, "a"), judged(0.6, host="other"), ["latency against champion"]),
        (judged(0.5, "a"), judged(0.6, conditions="batch 8"), ["latency against champion"]),
        (judged(0.5, "a"), judged(0.6, latency_ms=math.nan), ["latency against champion"]),
        (STANDING, judged(0.6), ["accuracy against champion"]),
        (judged(0.5, "a"), judged(0.5, "a"), ["champion"]),
    ],
)
def test_gates_against_the_champion(champion: Standing, challenger: Standing, failing: list[str]) -> None:
    assert [g.name for g in against(champion, challenger) if not g.passed] == failing


def test_a_rejected_sweep_fails_its_gate(tmp_path: Path) -> None:
    ranking = load_decision(study(decision={"max_latency_ms": 0.1}).write(tmp_path))
    assert [g.passed for g in own_gates(ranking)] == [False]


def tiny_onnx(path: Path, bias: float) -> None:
    """A model of 64 px that finds one box of class 1 at every place."""
    import onnx
    from onnx import TensorProto, helper

    output = np.zeros((1, 6, 8), np.float32)
    output[0, :4] = np.array([32, 32, 20, 20], np.float32)[:, None]
    output[0, 5] = 0.9 - bias
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["out", "nothing"], ["output0"]),
    ]
    constants = [
        helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0]),
        helper.make_tensor("out", TensorProto.FLOAT, output.shape, output.ravel()),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 6, 8])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)


def sweep_with_model(outputs: Path, name: str, run_ids: list[str], score: float, bias: float) -> Path:
    """A sweep of two seeds whose finalist is a real file."""
    trials: list[TrialRecord] = [
        replace(trial(i, imgsz=64, seed=i, score=score + 0.001 * i), run_id=run_ids[i]) for i in range(2)
    ]
    path = outputs / "sweeps" / name / "tiny.onnx"
    tiny_onnx(path, bias)
    made: FinalistRecord = finalist(trials[1], (ONNX,))
    digest = sha256_file(path)
    swap = {"artifact_sha256": digest}
    artifacts: list[Artifact] = [replace(made.artifacts[0], path=str(path), sha256=digest)]
    made = replace(
        made,
        artifacts=artifacts,
        verifications=[replace(v, **swap) for v in made.verifications],  # type: ignore[arg-type]
        measurements=[replace(m, **swap) for m in made.measurements],  # type: ignore[arg-type]
    )
    sweep = Sweep(trials, [made], changes={"sweep": name})
    sweep.evaluations = [evaluation(trials[1], v) for v in made.verifications]
    return sweep.write(outputs)


@pytest.mark.slow
def test_promotion_through_a_store(tmp_path: Path) -> None:
    import mlflow

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    registry = Registry(uri, "detsweep")
    place = (tmp_path / "artifacts").as_uri()
    experiment = registry.client.create_experiment("detsweep", artifact_location=place)
    runs = [registry.client.create_run(experiment).info.run_id for _ in range(6)]
    with pytest.raises(UserError, match="no previous champion"):
        registry.rollback()

    first = load_decision(sweep_with_model(tmp_path, "first", runs[:2], 0.5, 0.0))
    assert promote(first, registry) == 0
    assert registry.version_of(CHAMPION) == "1"
    model = mlflow.pyfunc.load_model("models:/detsweep@champion")
    found = model.predict(np.zeros((2, 48, 64, 3), np.uint8))
    assert found["class_name"].tolist() == ["1", "1"]
    assert found["score"].tolist() == pytest.approx([0.9, 0.9])
    assert found.loc[0, ["x1", "y1", "x2", "y2"]].tolist() == [22, 14, 42, 34]
    assert model.metadata.signature is not None
    assert registry.standing("1").evaluation is not None

    worse = load_decision(sweep_with_model(tmp_path, "worse", runs[2:4], 0.3, 0.1))
    assert promote(worse, registry) == 1
    assert (registry.version_of(CHAMPION), registry.version_of(PREVIOUS)) == ("1", None)
    tags = registry.client.get_model_version("detsweep", "2").tags
    assert tags["gate.accuracy_against_champion"].startswith("failed")

    better = load_decision(sweep_with_model(tmp_path, "better", runs[4:], 0.6, 0.2))
    assert promote(better, registry) == 0
    assert (registry.version_of(CHAMPION), registry.version_of(PREVIOUS)) == ("3", "1")

    args = PromoteArgs(rollback=True, outputs=str(tmp_path))
    args.tracking.uri = uri
    assert run(args) == 0
    assert (registry.version_of(CHAMPION), registry.version_of(PREVIOUS)) == ("1", "3")

    Path(dataclasses.asdict(better.recommended.best.artifact)["path"]).write_bytes(b"other")  # type: ignore[union-attr,arg-type]
    with pytest.raises(UserError, match="not the file that was measured"):
        promote(better, registry)
