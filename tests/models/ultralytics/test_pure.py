"""Schedules, early stopping, kept checkpoints, patterns of names: pure functions by table."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.common.errors import UserError
from src.config.training import gpus_of
from src.models import schedule
from src.models.freezing import matching
from src.models.ultralytics import freezing
from src.models.ultralytics.stopping import Stopper, stop_value
from src.models.ultralytics.top_checkpoints import TopK

NAMES = ["model.0.conv.weight", "model.0.bn.weight", "model.1.conv.weight", "model.10.conv.weight", "model.22.cv3.bias"]


def test_step_drops_after_every_period() -> None:
    curve = schedule.step(2, 0.5)
    assert [curve(e) for e in range(5)] == [1, 1, 0.5, 0.5, 0.25]


def test_exponential_drops_every_epoch() -> None:
    curve = schedule.exponential(0.5)
    assert [curve(e) for e in range(4)] == [1, 0.5, 0.25, 0.125]


@pytest.mark.parametrize(
    ("steps", "of", "kept"),
    [(0, 2, [0, 1, 2, 3, 4]), (1, 2, [0, 1]), (2, 2, []), (1, 3, [0, 1, 2]), (1, 9, [0, 1, 2, 3]), (9, 9, [])],
)
def test_the_last_layers_are_freed_first(steps: int, of: int, kept: list[int]) -> None:
    assert freezing.still_frozen([0, 1, 2, 3, 4], steps, of) == kept


def test_layers_are_read_from_names() -> None:
    names = ["model.12.conv.weight", "student_model.model.3.bn", "model.3.", ".dfl", "projector.0.weight"]
    assert [freezing.layer_of(name) for name in names] == [12, 3, 3, None, None]


def test_onecycle_rises_to_its_peak_and_falls_to_its_end() -> None:
    curve = schedule.onecycle(11, 0.3, 0.04, 0.01)
    values = [curve(e) for e in range(11)]
    assert values[0] == pytest.approx(0.04)
    assert values.index(max(values)) == 3
    assert max(values) == pytest.approx(1.0)
    assert values[-1] == pytest.approx(0.01)
    assert values[:4] == sorted(values[:4])
    assert values[3:] == sorted(values[3:], reverse=True)


@given(st.integers(1, 300), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_onecycle_stays_within_its_bounds(epochs: int, rise: float, start: float, end: float) -> None:
    curve = schedule.onecycle(epochs, rise, start, end)
    assert all(min(start, end) - 1e-9 <= curve(e) <= 1 + 1e-9 for e in range(epochs))


@pytest.mark.parametrize(
    ("values", "patience", "min_gain", "stopped"),
    [
        ([0.1, 0.2, 0.2, 0.2], 2, 0.0, 4),
        ([0.1, 0.2, 0.21, 0.22], 2, 0.05, 4),
        ([0.1, 0.2, 0.3, 0.4], 2, 0.05, 0),
        ([0.0, 0.0, 0.0, 0.0, 0.1], 2, 0.0, 0),
        ([-3.0, -2.0, -2.5, -2.5], 2, 0.0, 4),
    ],
)
def test_stopping_waits_for_a_gain_that_counts(
    values: list[float], patience: int, min_gain: float, stopped: int
) -> None:
    left = iter(values)
    stopper = Stopper(patience, min_gain, lambda: next(left))
    epochs = [epoch for epoch in range(1, len(values) + 1) if stopper(epoch, 0.0)]
    assert (epochs or [0])[0] == stopped


def test_the_watched_metric_is_read_by_name_and_losses_are_negated() -> None:
    metrics = {
        "metrics/precision(B)": 0.5,
        "metrics/recall(B)": 1.0,
        "metrics/mAP50-95(B)": 0.3,
        "val/box_loss": 2.0,
        "val/cls_loss": 1.0,
    }
    assert stop_value("mAP50-95", metrics) == 0.3
    assert stop_value("f1", metrics) == pytest.approx(2 / 3)
    assert stop_value("loss", metrics) == -3.0


def test_the_best_few_are_kept_with_the_metric_in_their_names(tmp_path: Path) -> None:
    top = TopK(tmp_path / "top", 2)
    for epoch, value in enumerate([0.1, 0.3, 0.2, 0.3, 0.05], start=1):
        source = tmp_path / "last.pt"
        source.write_text(str(epoch))
        top.offer(source, epoch, value)
    assert [p.name for p in top.files()] == ["epoch002-mAP50-95=0.3000.pt", "epoch004-mAP50-95=0.3000.pt"]
    assert [p.read_text() for p in top.files()] == ["2", "4"]
    assert len(list((tmp_path / "top").iterdir())) == 2


def test_patterns_match_whole_layers_and_no_neighbours() -> None:
    assert matching(NAMES, ["model.1"]) == ["model.1.conv.weight"]
    assert matching(NAMES, ["model.*.bn.*"]) == ["model.0.bn.weight"]
    assert matching(NAMES, []) == []
    with pytest.raises(UserError, match="pattern") as caught:
        matching(NAMES, ["model.22", "modle.*"])
    assert caught.value.value == "modle.*"


def test_gpus_are_read_from_the_device() -> None:
    devices = ["cpu", "auto", "cuda", "cuda:1", "cuda:0,2"]
    assert [gpus_of(device) for device in devices] == [[], [], [0], [1], [0, 2]]
