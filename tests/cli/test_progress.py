"""Progress: curves, clocks and the estimate of the time left."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from src.cli.progress import Watch, clock


def test_the_clock() -> None:
    assert clock(59.6) == "1:00"
    assert clock(3725) == "1:02:05"


def test_without_a_terminal_every_epoch_is_a_plain_line_with_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    out, now = io.StringIO(), [0.0]
    monkeypatch.setattr("src.cli.progress.time.monotonic", lambda: now[0])
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


def test_epochs_beyond_those_that_were_thought_are_told_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    with Watch(1, 1, Console(file=out, width=200)) as watch:
        watch.trial(0, "by the clock")
        watch.epoch(1, {})
        watch.epoch(2, {})
    assert [line.split(": epoch ")[1].split()[0] for line in out.getvalue().splitlines()[1:]] == ["1/1", "2"]


def test_trainings_that_end_by_the_clock_are_counted_by_their_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    out, now = io.StringIO(), [0.0]
    monkeypatch.setattr("src.cli.progress.time.monotonic", lambda: now[0])
    with Watch(4, 10, Console(file=out, width=200), minutes=2.0) as watch:
        watch.trial(0, "first")
        for epoch, used in enumerate((0.5, 1.0, 1.9), 1):
            now[0] += 60
            watch.epoch(epoch, {"used_minutes": used})
        watch.finish("done", epochs_run=3)
        watch.trial(1, "second")
        now[0] += 60
        watch.epoch(1, {"used_minutes": 1.9})
        shown = picture(watch)
    lines = [line for line in out.getvalue().splitlines() if "epoch" in line]
    assert [line.split(": epoch ")[1].split()[0] for line in lines] == ["1", "2", "3", "1"], "of how many, nobody knows"
    assert lines[0].endswith("about 15:00 left"), "a quarter of the first of four trainings took a minute"
    assert lines[1].endswith("about 14:00 left")
    assert "epochs" not in shown[-1]
    assert "trainings" in shown[-1]


def picture(watch: Watch) -> list[str]:
    """What the table shows."""
    out = io.StringIO()
    Console(file=out, width=110).print(watch.render())
    return out.getvalue().splitlines()


def test_a_terminal_shows_a_table_of_trials_with_their_curves() -> None:
    console = Console(file=io.StringIO(), width=110, force_terminal=True)
    with Watch(3, 4, console) as watch:
        watch.trial(0, "imgsz=320")
        for epoch in range(1, 5):
            watch.epoch(epoch, {"val/mAP50-95": 0.1 * epoch})
        watch.finish("done", epochs_run=4)
        watch.trial(1, "imgsz=[416]")
        watch.epoch(1, {"val/mAP50-95": 0.2})
        shown = picture(watch)
    rows = [line.split() for line in shown if "imgsz" in line]
    assert rows == [
        ["0", "imgsz=320", "complete", "4/4", "▃▅▆█", "0.400"],
        ["1", "imgsz=[416]", "running", "1/4", "▅", "0.200"],
    ]
    assert "5/12" in shown[-1]
    assert "left" in shown[-1]


def test_trials_of_other_processes_are_counted_once() -> None:
    watch = Watch(2, 3, Console(file=io.StringIO()))
    watch.show(1, "imgsz=320", [0.1])
    watch.show(1, "imgsz=320", [0.1, 0.2])
    watch.show(0, "imgsz=416", [0.3, 0.3, 0.3], "complete")
    watch.show(1, "imgsz=320", [0.1, 0.2], "pruned")
    shown = picture(watch)
    assert [line.split()[2] for line in shown if "imgsz" in line] == ["complete", "pruned"]
    assert "5/5" in shown[-1], "an epoch that never ran is no work"


def test_running_trials_are_shown_before_those_that_ended() -> None:
    watch = Watch(40, 2, Console(file=io.StringIO()))
    watch.show(0, "lr=first", [0.1])
    for number in range(1, 30):
        watch.show(number, f"lr={number}", [0.1, 0.1], "complete")
    labels = [line.split()[1] for line in picture(watch) if "lr=" in line]
    assert labels == ["lr=first", *(f"lr={n}" for n in range(23, 30))]


def test_epochs_of_another_process_are_plain_lines_too() -> None:
    out = io.StringIO()
    with Watch(2, 3, Console(file=out, width=200)) as watch:
        watch.show(1, "lr=0.1", [0.1])
        watch.show(1, "lr=0.1", [0.1])
        watch.show(1, "lr=0.1", [0.1, 0.3])
        watch.show(1, "lr=0.1", [0.1, 0.3], state="complete")
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("trial 1 · lr=0.1: epoch 2/3  val mAP50-95 0.300 (new best, +0.200)  about")
