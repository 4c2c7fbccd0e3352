"""The protocol from end to end, on the tiny detector."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.benchmark import latency, measure, predict, worker
from src.benchmark.latency import TimingPlan, sample, time_model, warm_up
from src.benchmark.verify import timed_outputs_match
from src.common.errors import StageError, UserError
from src.common.samples import supported
from src.config.schema import BenchmarkConfig
from src.inference import Float
from src.records.schema import Artifact
from src.records.tiling import Tiling

CFG = BenchmarkConfig(name="test", warmup=2, min_seconds=0.0, min_samples=140, max_seconds=5, rounds=2, batches=[1, 2])


def test_measurements_of_competing_artifacts(onnx: Artifact, images: list[str], tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"damaged")
    jobs = [(onnx, "onnxruntime"), (onnx, "null"), (replace(onnx, path=str(damaged)), "onnxruntime")]
    told: list[str] = []
    found, failures = measure(
        jobs, CFG, images, threads=1, out_dir=tmp_path / "raw", base=tmp_path, progress=told.append
    )
    assert [(m.runtime, m.scope, m.batch) for m in found] == [
        (runtime, scope, batch)
        for runtime in ("onnxruntime", "null")
        for scope, batch in (("model_only", 1), ("model_only", 2), ("end_to_end", 1))
    ]
    assert [(f.stage, f.target, f.kind) for f in failures] == [("benchmark", "onnxruntime/onnx/fp32", "error")]
    assert "damaged.onnx" in failures[0].message
    ort, null = found[0], found[3]
    assert ort.latency.count >= 140
    assert ort.latency.p50 > 10 * null.latency.p50
    assert ort.memory_mb > null.memory_mb
    assert ort.throughput_ips == pytest.approx(1000 / ort.latency.mean)
    assert ort.cold_ms > 0
    assert set(found[2].extra) >= {"preprocess_ms", "inference_ms", "postprocess_ms"}
    raw = json.loads((tmp_path / ort.samples_file).read_text())
    assert len(raw["rounds"]) == 2
    # A busy machine slows calls in bursts, and then 140 of them may be too few for a tail: what the calls say decides.
    blocks = [answer["model_only/1"]["samples_ms"] for answer in raw["rounds"]]
    assert sum(map(len, blocks)) == ort.latency.count
    assert {"p90"} & set(supported(blocks)) == ({"p90"} if ort.latency.p90 is not None else set())
    assert sum(line.startswith("round ") for line in told) == 5  # the damaged one leaves after its first block


def test_predictions_are_saved_in_input_order(
    onnx: Artifact, pytorch: Artifact, images: list[str], tmp_path: Path
) -> None:
    files = [
        predict(artifact, runtime, images, threads=1, out=tmp_path / f"{runtime}.npz")
        for artifact, runtime in ((onnx, "onnxruntime"), (pytorch, "pytorch"))
    ]
    ours, reference = (np.load(path) for path in files)
    assert int(ours["n_images"]) == len(images)
    assert ours["boxes"].shape == (len(ours["scores"]), 4)
    assert np.all(np.diff(ours["image_index"]) >= 0)
    assert len(set(ours["image_index"].tolist())) == len(images)
    assert np.allclose(ours["digests"], reference["digests"], rtol=1e-3)
    assert np.allclose(np.sort(ours["scores"])[-20:], np.sort(reference["scores"])[-20:], atol=1e-3)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def fastest_inference(samples: Path) -> float:
    """Of all calls from file to boxes, ms: what other programs take of the processor makes no call faster."""
    rounds = json.loads(samples.read_text())["rounds"]
    return float(min(min(answer["end_to_end/1"]["stages_ms"]["inference"]) for answer in rounds))


@pytest.mark.slow
def test_end_to_end_a_picture_by_tiles_costs_what_its_tiles_cost(
    onnx: Artifact, images: list[str], tmp_path: Path
) -> None:
    found, failures = measure(
        [(onnx, "onnxruntime"), (onnx, "onnxruntime")],
        replace(CFG, batches=[1]),
        images,
        threads=1,
        out_dir=tmp_path / "raw",
        base=tmp_path,
        tilings=[None, Tiling(32, 0.0)],
    )
    assert failures == []
    whole, tiled = (m for m in found if m.scope == "end_to_end")
    calls = 1 + 3 * 2  # 80 x 48 px: the whole, and tiles of 32
    ratio = fastest_inference(tmp_path / tiled.samples_file) / fastest_inference(tmp_path / whole.samples_file)
    assert calls / 2 < ratio < calls * 2
    assert tiled.extra["tile"] == 32
    assert "tile" not in whole.extra
    assert whole.samples_file != tiled.samples_file
    saved = predict(onnx, "onnxruntime", images, threads=1, out=tmp_path / "by-tiles.npz", tiling=Tiling(32, 0.0))
    assert timed_outputs_match(tmp_path / tiled.samples_file, saved), "digests are those of whole pictures"


def test_no_images_is_refused(onnx: Artifact, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no images"):
        measure([(onnx, "null")], CFG, [], out_dir=tmp_path, base=tmp_path)


class _Cached:
    """Answers its third call with the answer of another input."""

    def __init__(self) -> None:
        self.calls = 0

    def run(self, x: Float) -> list[Float]:
        self.calls += 1
        return [x * np.float32(2) if self.calls < 3 else x * np.float32(0) + np.float32(1)]


def test_outputs_of_timed_calls_are_compared() -> None:
    batches = [np.full((1, 2), i, np.float32) for i in (1.0, 5.0)]
    plan = TimingPlan(warmup=3, min_samples=5, min_seconds=0, max_seconds=1)
    assert not time_model(_Cached(), batches, plan).outputs_equal


def test_sampling_obeys_its_limits() -> None:
    plan = TimingPlan(warmup=3, min_samples=20, min_seconds=0.0, max_seconds=5)
    seen: list[int] = []
    assert len(sample(seen.append, plan)) == 20
    assert len(sample(seen.append, replace(plan, min_samples=10**9, max_seconds=0.05))) > 0
    assert warm_up(seen.append, plan) >= 3


def test_bursts_of_slow_calls_take_more_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow calls in runs of twenty: 200 of them are worth far fewer, so three times as many are taken."""
    plan = TimingPlan(warmup=3, min_samples=200, min_seconds=0.0, max_seconds=60, most=3)
    monkeypatch.setattr(latency, "_span", lambda call, i: 1.0 + (i // 20 % 8 == 7) + i % 7 / 100)
    assert len(sample(print, plan)) == 600
    assert len(sample(print, replace(plan, most=1))) == 200
    monkeypatch.setattr(latency, "_span", lambda call, i: 1.0 + i * 7919 % 1009 / 1e3)
    assert len(sample(print, plan)) == 200


@pytest.mark.parametrize(("part", "most"), [("model_only/1", 3), ("model_only/2", 1), ("end_to_end/1", 1)])
def test_more_calls_are_taken_where_a_decision_hangs_on_them(part: str, most: int) -> None:
    plan = {"warmup": 3, "min_samples": 20, "min_seconds": 0.0, "max_seconds": 5.0}
    assert worker._plan({"plan": plan, "decisive": "model_only/1"}, part).most == most
    assert worker._plan({"plan": plan}, part).most == 1


def test_a_job_says_which_part_decides(
    onnx: Artifact, images: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def job(words: dict[str, Any], **_: Any) -> dict[str, Any]:
        asked.append(words)
        raise StageError("benchmark", "x", "not here")

    monkeypatch.setattr(sys.modules["src.benchmark.measure"], "run_job", job)  # the package has a function of that name
    measure([(onnx, "null")], CFG, images, out_dir=tmp_path, base=tmp_path, decisive=("p90", "model_only/2"))
    assert [words["decisive"] for words in asked] == ["model_only/2"]
