"""Gates, and a promotion through a real store: aliases move only when every gate passes."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.common.errors import UserError
from src.common.hashes import sha256_file
from src.decide.uncertainty import Gap
from src.promote.__main__ import PromoteArgs, promote, run
from src.promote.gates import against, own_gates
from src.promote.recorded_model import RecordedModel, from_text, to_text
from src.promote.registry import CHAMPION, PREVIOUS, REFERENCE, Registry
from src.promote.rule import MOST_USES, Rule, images_needed
from src.records.schema import Artifact, FinalistRecord, TrialRecord
from src.report import load_decision
from tests.report.factory import ONNX, Sweep, evaluation, finalist, study, trial

STANDING = RecordedModel("a" * 64, "host", 10.0, "p95", "same", None)


def judged(score: float, digest: str = "b", noise: float = 0.03, **changes: Any) -> RecordedModel:
    """A standing with an evaluation on test."""
    one = trial(0, score=score)
    record = next(v for v in finalist(one, (ONNX,)).verifications if v.split == "test")
    depth = evaluation(one, replace(record, artifact_sha256=digest * 64), noise=noise)
    return replace(STANDING, sha256=digest * 64, evaluation=depth, **changes)


RULE = Rule(0.03, 0.95)
ACCURACY = ["accuracy against reference", "accuracy against champion"]


def failing(
    challenger: RecordedModel, champion: RecordedModel, reference: RecordedModel | None = None, rule: Rule = RULE
) -> list[str]:
    """Names of the gates that a challenger doesn't pass."""
    return [g.name for g in against(challenger, champion, reference or champion, rule).gates if not g.passed]


@pytest.mark.parametrize(
    ("champion", "challenger", "names"),
    [
        (judged(0.5, "a"), judged(0.5), []),
        (judged(0.5, "a"), judged(0.6), []),
        (judged(0.5, "a"), judged(0.4), ACCURACY),
        (judged(0.5, "a"), judged(0.49, noise=0.3), ACCURACY[:1]),  # not clearly worse, but nothing shows that it isn't
        (judged(0.5, "a"), judged(0.5, latency_ms=12.0), ["latency against champion"]),
        (judged(0.5, "a"), judged(0.6, latency_ms=12.0), []),  # slower, but clearly better
        (judged(0.5, "a"), judged(0.6, host="other"), ["latency against champion"]),
        (judged(0.5, "a"), judged(0.6, conditions="batch 8"), ["latency against champion"]),
        (judged(0.5, "a"), judged(0.6, latency_ms=math.nan), ["latency against champion"]),
        (STANDING, judged(0.6), ACCURACY),
        (judged(0.5, "a"), judged(0.5, "a"), ["champion"]),
        (judged(0.5, "a", noise=0.001), judged(0.48, noise=0.001), ACCURACY[1:]),  # within the margin, but worse
        (judged(0.5, "a", noise=0.001), judged(0.48, noise=0.001, latency_ms=8.0), []),  # and faster
        (judged(0.5, "a", noise=0.001), judged(0.46, noise=0.001, latency_ms=8.0), ACCURACY),  # beyond the margin
    ],
)
def test_gates_against_the_champion(champion: RecordedModel, challenger: RecordedModel, names: list[str]) -> None:
    assert failing(challenger, champion) == names


def test_small_steps_down_end_at_the_reference() -> None:
    first, second = (judged(score, digest, noise=0.001) for score, digest in ((0.50, "a"), (0.48, "c")))
    third = judged(0.465, noise=0.001, latency_ms=9.0)
    assert failing(third, second) == [], "one step is within the margin of the last champion"
    assert failing(third, second, first) == ["accuracy against reference"]


def test_steps_in_latency_end_at_the_reference_too() -> None:
    first, second = judged(0.5, "a"), judged(0.5, "c", latency_ms=10.9)
    assert failing(judged(0.5, latency_ms=11.8), second) == []
    assert failing(judged(0.5, latency_ms=11.8), second, first) == ["latency against reference"]


def test_only_a_clearly_better_challenger_becomes_the_reference() -> None:
    champion = judged(0.5, "a")
    assert against(judged(0.55), champion, champion, RULE).better
    assert not against(judged(0.502), champion, champion, RULE).better


def test_what_is_missing_is_said_in_images() -> None:
    champion = judged(0.5, "a")
    said = [g.said for g in against(judged(0.5), champion, champion, Rule(0.005, 0.95)).gates]
    assert "a fresh test split of about" in said[0]
    assert "(120 now)" in said[0]
    said = [g.said for g in against(judged(0.4), champion, champion, RULE).gates]
    assert "more images would hardly mend" in said[0]


def test_the_images_that_are_named_suffice_four_times_in_five() -> None:
    """Per-image differences of SD 0.08: an equal challenger on as many images as the gate asked for."""
    rule = Rule(0.01, 0.95)
    needed = images_needed(Gap(0.0, 0.08 / math.sqrt(60), 59, "images"), 60, rule)
    assert needed is not None
    rng = np.random.default_rng(1)
    se = 0.08 / math.sqrt(needed)
    passed = [Gap(d, se, needed - 1, "images").bounds(rule.level)[1] <= rule.margin for d in rng.normal(0, se, 4000)]
    assert 0.77 < float(np.mean(passed)) < 0.83
    assert images_needed(Gap(0.02, 0.01, 59, "images"), 60, rule) is None


def test_all_uses_of_a_split_share_one_error() -> None:
    errors = [1 - Rule(0.01, 0.95, use).level for use in range(1, 10_000)]
    assert sum(errors) == pytest.approx(0.05, abs=1e-5)
    assert errors[:3] == pytest.approx([0.05 / 2, 0.05 / 6, 0.05 / 12])


def test_what_passes_at_the_first_use_of_a_split_may_not_pass_at_the_last() -> None:
    champion, challenger = judged(0.5, "a"), judged(0.5)
    assert failing(challenger, champion, rule=Rule(0.015, 0.95, 1)) == []
    assert failing(challenger, champion, rule=Rule(0.015, 0.95, MOST_USES)) == ACCURACY[:1]


def test_a_split_wears_out() -> None:
    champion = judged(0.5, "a")
    assert failing(judged(0.6), champion, rule=Rule(0.03, 0.95, MOST_USES)) == []
    spent = against(judged(0.6), champion, champion, Rule(0.03, 0.95, MOST_USES + 1))
    assert not spent.better
    assert "a fresh test split is needed" in spent.gates[0].said
    assert not spent.gates[0].passed


def test_other_training_data_and_the_same_test_split_are_compared() -> None:
    champion, other = judged(0.5, "a"), judged(0.5)
    assert other.evaluation is not None
    moved = replace(other, evaluation=replace(other.evaluation, dataset_fingerprint="other"))
    assert failing(moved, champion) == ACCURACY
    assert failing(replace(moved, test="t"), replace(champion, test="t")) == []
    assert failing(replace(moved, test="t"), replace(champion, test="u")) == ACCURACY


def test_standings_of_before_are_read() -> None:
    recorded = judged(0.5, test="t")
    assert from_text(to_text(recorded)) == recorded
    raw = json.loads(to_text(recorded))
    del raw["test"]
    old = from_text(json.dumps(raw | {"later": 1}))
    assert old == replace(recorded, test="")
    assert old.split == recorded.evaluation.dataset_fingerprint  # type: ignore[union-attr]


def test_a_conditional_verdict_is_taken_only_when_the_user_says_so(tmp_path: Path) -> None:
    one = trial(0)
    sweep = Sweep([one], [finalist(one)])
    sweep.evaluations = [evaluation(one, v) for v in sweep.finalists[0].verifications]
    decision = load_decision(sweep.write(tmp_path))
    refused, accepted = own_gates(decision)[0], own_gates(decision, "conditional")[0]
    assert (refused.passed, accepted.passed) == (False, True)
    assert "further seeds" in refused.said
    assert "accept=conditional" in refused.said


@pytest.mark.parametrize(
    ("changes", "value", "remedy"),
    [
        ({"accept": "reject"}, "accept=reject", "accept=conditional"),
        ({"accept": ""}, "accept=", "accept=approve"),
        ({"threads": 0}, "0", "threads=1"),
        ({"model": "../x"}, "../x", ""),
    ],
)
def test_arguments_that_make_no_sense(changes: dict[str, Any], value: str, remedy: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        run(PromoteArgs(outputs=str(tmp_path), **changes))
    assert str(error.value.value) == value
    assert remedy in error.value.remedy
    assert not list(tmp_path.iterdir())


def test_a_rejected_sweep_fails_its_gate(tmp_path: Path) -> None:
    decision = load_decision(study(decision={"max_latency_ms": 0.1}).write(tmp_path))
    assert [g.passed for g in own_gates(decision)] == [False]


def test_what_was_judged_by_tiles_is_not_served_without_them(tmp_path: Path) -> None:
    tiled = study()
    config = {"tile": 320, "tile_overlap": 0.25, "tile_merge": "smaller"}
    tiled.trials = [replace(t, config=config) for t in tiled.trials]
    gates = own_gates(load_decision(tiled.write(tmp_path / "tiled")))
    (gate,) = (g for g in gates if g.name == "tiles")
    assert not gate.passed
    assert "tile=320 overlap=0.25 merge=smaller" in gate.said
    assert "tiles" not in [g.name for g in own_gates(load_decision(study().write(tmp_path / "whole")))]


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


def sweep_with_model(outputs: Path, name: str, run_ids: list[str], score: float, bias: float, seeds: int = 2) -> Path:
    """A sweep of two seeds, or one, whose finalist is a real file."""
    trials: list[TrialRecord] = [
        replace(trial(i, imgsz=64, seed=i, score=score + 0.001 * i), run_id=run_ids[i]) for i in range(seeds)
    ]
    path = outputs / "sweeps" / name / "tiny.onnx"
    tiny_onnx(path, bias)
    made: FinalistRecord = finalist(trials[-1], (ONNX,))
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
    sweep.evaluations = [evaluation(trials[-1], v) for v in made.verifications]
    return sweep.write(outputs)


def aliases(registry: Registry) -> tuple[str | None, ...]:
    """Versions of champion, previous and reference."""
    return tuple(registry.version_of(alias) for alias in (CHAMPION, PREVIOUS, REFERENCE))


def uses(registry: Registry) -> list[int]:
    """Uses of every test split."""
    tags = registry.client.get_registered_model("detsweep").tags
    return [len(str(text).split()) for key, text in tags.items() if key.startswith("test_uses.")]


@pytest.mark.slow
def test_promotion_through_a_store(tmp_path: Path) -> None:
    import mlflow

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    registry = Registry(uri, "detsweep")
    place = (tmp_path / "artifacts").as_uri()
    experiment = registry.client.create_experiment("detsweep", artifact_location=place)
    runs = [registry.client.create_run(experiment).info.run_id for _ in range(7)]
    with pytest.raises(UserError, match="no previous champion"):
        registry.rollback()

    first = load_decision(sweep_with_model(tmp_path, "first", runs[:2], 0.5, 0.0))
    assert promote(first, registry) == 0
    assert aliases(registry) == ("1", None, "1")
    tags = registry.client.get_model_version("detsweep", "1").tags
    assert (tags["runtime"], tags["threads"], tags["verdict"]) == ("onnxruntime 1.0", "2", "approve")
    assert uses(registry) == []
    model = mlflow.pyfunc.load_model("models:/detsweep@champion")
    found = model.predict(np.zeros((2, 48, 64, 3), np.uint8))
    assert found["class_name"].tolist() == ["1", "1"]
    assert found["score"].tolist() == pytest.approx([0.9, 0.9])
    assert found.loc[0, ["x1", "y1", "x2", "y2"]].tolist() == [22, 14, 42, 34]
    assert model.metadata.signature is not None
    assert registry.recorded("1").evaluation is not None

    worse = load_decision(sweep_with_model(tmp_path, "worse", runs[2:4], 0.3, 0.1))
    assert promote(worse, registry) == 1
    assert aliases(registry) == ("1", None, "1")
    assert uses(registry) == [1]
    assert promote(worse, registry) == 1
    assert uses(registry) == [1], "the same comparison again is no further use"
    tags = registry.client.get_model_version("detsweep", "2").tags
    assert tags["gate.accuracy_against_champion"].startswith("failed")
    assert "(use 1 of this test split)" in tags["gate.accuracy_against_reference"]

    better = load_decision(sweep_with_model(tmp_path, "better", runs[4:6], 0.6, 0.2))
    assert promote(better, registry) == 0
    assert aliases(registry) == ("4", "1", "4"), "clearly better: the new reference"
    assert uses(registry) == [2]
    equal = load_decision(sweep_with_model(tmp_path, "equal", runs[6:], 0.601, 0.3, seeds=1))
    assert promote(equal, registry) == 1, "conditional: one seed"
    assert promote(equal, registry, 1, accept="conditional") == 0
    assert aliases(registry) == ("6", "4", "4"), "not clearly better: the reference stays"
    tags = registry.client.get_model_version("detsweep", "6").tags
    assert tags["accepted"] == "conditional"
    assert "further seeds" in tags["conditions"]
    assert tags["threads"] == "1 (measured with 2)"

    args = PromoteArgs(rollback=True, outputs=str(tmp_path))
    args.tracking.uri = uri
    assert run(args) == 0
    assert aliases(registry) == ("4", "6", "4")
    registry.promote("1")
    assert aliases(registry) == ("1", "4", "4")
    assert run(args) == 0
    assert aliases(registry) == ("4", "1", "4")
    registry.promote("6", reference=True)
    assert aliases(registry) == ("6", "4", "6")
    assert run(args) == 0
    assert aliases(registry) == ("4", "6", "4"), "a rollback brings back the reference of then"

    Path(dataclasses.asdict(better.recommended.best.artifact)["path"]).write_bytes(b"other")  # type: ignore[union-attr,arg-type]
    with pytest.raises(UserError, match="not the file that was measured"):
        promote(better, registry)
