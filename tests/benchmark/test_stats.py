"""Statistics on samples whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from src.benchmark import stats


@pytest.mark.parametrize(("percentile", "samples"), [(0.90, 64), (0.99, 662), (0.999, 6636)])
def test_required_samples_are_mlperfs(percentile: float, samples: int) -> None:
    assert stats.required_samples(percentile) == samples


@pytest.mark.parametrize(
    ("count", "known"), [(1, []), (63, []), (64, ["p90"]), (200, ["p90", "p95"]), (662, ["p90", "p95", "p99"])]
)
def test_a_percentile_needs_its_samples(count: int, known: list[str]) -> None:
    # Shuffled: calls that rise steadily are worth few independent ones, and those are what counts.
    latency = stats.summarise([list(np.random.default_rng(0).permutation(np.linspace(1, 2, count)))])
    assert [n for n in ("p90", "p95", "p99") if getattr(latency, n) is not None] == known
    assert latency.count == count


def test_values_are_those_of_the_typical_round() -> None:
    rng = np.random.default_rng(1)
    blocks = [list(rng.gamma(9, 1, 400) * factor) for factor in (1.0, 1.1, 0.9, 4.0)]
    latency = stats.summarise(blocks)
    assert latency.mean == pytest.approx(np.concatenate(blocks).mean())
    for name, q in {"p50": 0.5, "p90": 0.9, "p99": 0.99}.items():
        each = [np.quantile(block, q, method="median_unbiased") for block in blocks]
        low, high = latency.intervals[name]
        assert getattr(latency, name) == pytest.approx(np.exp(np.mean(np.log(each))))
        half = scipy.stats.t.ppf(0.975, 3) * np.std(np.log(each), ddof=1) / 2
        assert (low, high) == pytest.approx(
            (getattr(latency, name) / np.exp(half), getattr(latency, name) * np.exp(half))
        )


def test_the_interval_of_the_median_covers_processes_that_differ() -> None:
    """With blocks that differ more than samples do, 95 % intervals must still hold the truth that often."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        blocks = [list(10 * np.exp(rng.normal(0, 0.04)) + rng.normal(0, 0.1, 50)) for _ in range(4)]
        low, high = stats.summarise(blocks).intervals["p50"]
        held += low <= 10 <= high
    assert 274 <= held < 300  # 95 % but for chance; resampled blocks held 70 to 85 %


def test_one_round_has_no_interval() -> None:
    assert stats.summarise([[1.0, 1.1, 1.2]]).intervals == {}


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
    assert stats.compare([[1.0]], [[1.0], [1.0]]).verdict == "no decision"
    with pytest.raises(ValueError, match="at least one round"):
        stats.compare([], [])
