"""Progress: curves, clocks and the estimate of the time left."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from src.console import Watch, clock, sparkline


def test_sparkline_and_clock() -> None:
    assert sparkline([0.0, 0.5, 1.0]) == "▁▅█"
    assert sparkline([0.0, 0.0]) == "▁▁"
    assert sparkline([]) == ""
    assert clock(59.6) == "1:00"
    assert clock(3725) == "1:02:05"


def test_without_a_terminal_every_epoch_is_a_plain_line_with_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    out, now = io.StringIO(), [0.0]
    monkeypatch.setattr("src.console.time.monotonic", lambda: now[0])
    with Watch(2, 2, Console(file=out, width=200)) as watch:
        watch.trial(0, "imgsz=[320]")
        for epoch in (1, 2):
            now[0] += 10
            watch.epoch(epoch, {"val/mAP50-95": 0.25 * epoch})
        watch.finish("done", epochs_run=2)
        watch.skip()
    lines = out.getvalue().splitlines()
    assert lines[0] == "trial 0 · imgsz=[320]: starts"
    assert lines[1].endswith("epoch 1/2  val mAP50-95 0.250  about 0:30 left")
    assert lines[2].endswith("about 0:20 left")
    assert "\x1b" not in out.getvalue()
