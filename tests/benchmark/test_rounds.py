"""Rounds on a machine that is played: when another one is measured, which blocks are measured again, what is said."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from src.benchmark import rounds
from src.benchmark.rounds import Effort, Rounds
from src.benchmark.summary import Blocks
from src.records.schema import Artifact

QUIET = 0.01
Play = Callable[[str, int], tuple[float, float | None] | None]  # candidate, its nth block -> ms, share of others


class Clock:
    """Time that passes only where a block is measured."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


def _blocks(*names: str) -> list[Blocks]:
    made = [Artifact("onnx", "fp32", f"{n}.onnx", n, 1, [1, 3, 64, 64], 0.1, "source") for n in names]
    return [Blocks(artifact, "onnxruntime", label=f"T{i} {artifact.sha256} 64 px") for i, artifact in enumerate(made)]


class Bench:
    """Runs `Rounds` on candidates whose blocks take ten seconds each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, play: Play, *names: str, **effort: Any) -> None:
        self.clock, self.play, self.told, self.order = Clock(), play, list[str](), list[str]()
        monkeypatch.setattr(rounds, "time", self.clock)
        plan: dict[str, Any] = {
            "rounds": 2,
            "precision": 0.0,
            "extra_s": 0.0,
            "statistic": "p50",
            "part": "model_only/1",
        } | effort
        blocks = _blocks(*names)
        self.done = Rounds(blocks, Effort(**plan), self._one, self.told.append, random.Random(0)).run()
        self.by_name = {b.artifact.sha256: b for b in blocks}

    def _one(self, block: Blocks) -> dict[str, Any] | None:
        name = block.artifact.sha256
        self.clock.now += 10
        self.order.append(name)
        found = self.play(name, self.order.count(name) - 1)
        if found is None:
            return None
        ms, foreign = found
        return {"load_ms": 1.0, "model_only/1": {"samples_ms": [ms] * 70, "foreign_cpu": foreign}}


def test_planned_rounds_hold_every_candidate_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, lambda name, i: (1.0, QUIET), "a", "b", "c", rounds=3)
    assert [sorted(bench.order[i : i + 3]) for i in (0, 3, 6)] == [["a", "b", "c"]] * 3
    assert len({tuple(bench.order[i : i + 3]) for i in (0, 3, 6)}) > 1  # in another order
    assert all(len(b.answers) == 3 for b in bench.done)


def test_a_line_names_its_candidate_round_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, lambda name, i: (1.0, QUIET), "a", "b")
    first = bench.order[0]
    i = "ab".index(first)
    assert bench.told[0] == f"round 1/2 · T{i} {first} 64 px · onnxruntime onnx/fp32"
    assert [line.split(" · ")[-1] for line in bench.told[1:]] == ["0:30 left", "0:20 left", "0:10 left"]


def test_further_rounds_until_all_are_known_well_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """`b` scatters in its first rounds; `a` is measured with it, so that the two stay comparable."""
    noisy = [1.0, 1.1, 1.05, 1.04, 1.05, 1.05, 1.05, 1.05, 1.05, 1.05, 1.05, 1.05]
    play: Play = lambda name, i: (1.0 if name == "a" else noisy[i], QUIET)  # noqa: E731
    bench = Bench(monkeypatch, play, "a", "b", precision=0.05, extra_s=1000)
    counts = {name: len(b.answers) for name, b in bench.by_name.items()}
    assert counts["a"] == counts["b"] == 5
    assert bench.told[4].startswith("further round 3 · T")
    assert not any("not known" in line for line in bench.told)
    assert len(Bench(monkeypatch, play, "a", "b", precision=0.0, extra_s=1000).order) == 4


def test_further_rounds_end_with_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    play: Play = lambda name, i: (1.0 + (i % 2) / 2, QUIET)  # noqa: E731
    bench = Bench(monkeypatch, play, "a", "b", precision=0.01, extra_s=50)
    assert len(bench.order) == 2 * 2 + 2 * 2  # a round takes 20 s: two of them, the third would end too late
    assert bench.told[-1] == "p50 of 2 of 2 candidates is not known to within 1%; benchmark.extra_seconds gives it time"


def test_a_percentile_that_lacks_calls_asks_for_further_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, lambda n, i: (1.0, QUIET), "a", precision=0.05, extra_s=1000, statistic="p99")
    assert len(bench.order) == 10  # 662 calls, 70 a round


def test_a_disturbed_block_is_measured_again_and_the_calmer_one_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    script = [(2.0, 0.5), (1.5, 0.3), (1.0, QUIET), (1.0, QUIET)]
    bench = Bench(monkeypatch, lambda n, i: script[i], "a", extra_s=1000)
    kept = [answer["model_only/1"] for answer in bench.by_name["a"].answers]
    assert [(k["samples_ms"][0], k["foreign_cpu"]) for k in kept] == [(1.0, QUIET), (1.0, QUIET)]
    assert bench.by_name["a"].retakes == 2
    assert bench.told[1] == "again, others had 50% · T0 a 64 px · onnxruntime onnx/fp32 · 0:20 left"
    assert not any("stayed disturbed" in line for line in bench.told)


def test_what_stays_disturbed_is_kept_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, lambda n, i: (1.0, 0.4 - i / 100), "a", rounds=1, extra_s=1000)
    assert len(bench.order) == 3
    assert bench.by_name["a"].answers[0]["model_only/1"]["foreign_cpu"] == pytest.approx(0.38)
    assert bench.told[-1] == "1 of 1 blocks stayed disturbed: others had up to 38% of the cores"


def test_without_extra_time_nothing_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(Bench(monkeypatch, lambda n, i: (1.0, 0.9), "a").order) == 2
    # Half of the extra time is for this, the rest for further rounds.
    assert len(Bench(monkeypatch, lambda n, i: (1.0, 0.9), "a", extra_s=30).order) == 3


def test_a_machine_that_tells_nothing_is_not_called_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, lambda n, i: (1.0, None), "a", extra_s=1000)
    assert len(bench.order) == 2
    assert "whether the processor was quiet is not known" in bench.told[-1]


def test_one_that_fails_leaves_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, lambda n, i: None if (n, i) == ("b", 1) else (1.0, QUIET), "a", "b", rounds=3)
    assert [b.artifact.sha256 for b in bench.done] == ["a"]
    assert bench.order.count("b") == 2


def test_one_that_fails_in_a_further_round_keeps_its_planned_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    play: Play = lambda n, i: None if (n, i) == ("b", 2) else (1.0 + (i % 2) / 2, QUIET)  # noqa: E731
    bench = Bench(monkeypatch, play, "a", "b", precision=0.01, extra_s=45)
    assert {b.artifact.sha256: len(b.answers) for b in bench.done} == {"a": 5, "b": 2}
