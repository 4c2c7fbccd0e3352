"""Statistics on samples whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from src.benchmark import stats


@pytest.mark.parametrize(("percentile", "samples"), [(0.90, 64), (0.99, 662), (0.999, 6636)])
def test_required_samples_are_mlperfs(percentile: float, samples: int) -> None:
    assert stats.required_samples(percentile) == samples


@pytest.mark.parametrize(
    ("count", "known"), [(1, []), (63, []), (64, ["p90"]), (200, ["p90", "p95"]), (662, ["p90", "p95", "p99"])]
)
def test_a_percentile_needs_its_samples(count: int, known: list[str]) -> None:
    latency = stats.summarise([list(np.linspace(1, 2, count))])
    assert [n for n in ("p90", "p95", "p99") if getattr(latency, n) is not None] == known
    assert latency.count == count


def test_values_are_those_of_the_pooled_samples() -> None:
    rng = np.random.default_rng(1)
    blocks = [list(rng.gamma(9, 1, 400)) for _ in range(4)]
    latency = stats.summarise(blocks)
    pooled = np.concatenate(blocks)
    assert latency.mean == pytest.approx(pooled.mean())
    assert latency.p99 == pytest.approx(np.quantile(pooled, 0.99))
    for name in ("mean", "p50", "p90", "p99"):
        low, high = latency.intervals[name]
        assert low <= getattr(latency, name) <= high


def test_the_interval_of_the_mean_covers_drift_between_blocks() -> None:
    """With blocks that differ more than samples do, 95 % intervals must still hold the truth about that often."""
    rng = np.random.default_rng(0)
    held = 0
    for trial in range(60):
        blocks = [list(10 + rng.normal(0, 1) + rng.normal(0, 0.1, 50)) for _ in range(8)]
        low, high = stats.summarise(blocks, seed=trial).intervals["mean"]
        held += low <= 10 <= high
    assert held >= 46  # 8 blocks resampled hold a little less than 95 %; independent samples would hold about 5 %


def test_no_samples_is_an_error() -> None:
    with pytest.raises(ValueError, match="no samples"):
        stats.summarise([[], []])


def _blocks(rng: np.random.Generator, centre: float, drift: list[float]) -> list[list[float]]:
    return [list(rng.normal(centre * d, 0.02 * centre, 60)) for d in drift]


@pytest.mark.parametrize(
    ("centre", "verdict"), [(10.0, "tie"), (10.1, "tie"), (20.0, "slower"), (5.0, "faster"), (12.0, "slower")]
)
def test_compare_sees_through_drift_that_both_sides_share(centre: float, verdict: str) -> None:
    rng = np.random.default_rng(2)
    drift = [1.0, 1.3, 0.8, 1.1]
    result = stats.compare(_blocks(rng, centre, drift), _blocks(rng, 10.0, drift))
    assert result.verdict == verdict
    assert result.ratio == pytest.approx(centre / 10, rel=0.03)


def test_compare_does_not_decide_on_noise() -> None:
    noisy = [[10.0, 11.0], [14.0, 15.0], [7.0, 8.0]]
    assert stats.compare(noisy, [[10.0, 10.0]] * 3).verdict == "no decision"
    assert stats.compare([[20.0]], [[10.0]]).verdict == "no decision"  # one round proves nothing
    with pytest.raises(ValueError, match="same number"):
        stats.compare([[1.0]], [[1.0], [1.0]])
