"""What a person watches while a sweep runs: a live table with the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from src.cli.epoch_line import METRIC, counted, epoch_line
from src.common.history import USED
from src.common.sparkline import sparkline

ROWS = 8  # trials shown at once: those that run, then the latest that ended
CURVE = 24  # epochs of a curve shown, the latest
COLOURS = {"running": "bold", "failed": "red", "pruned": "dim", "paused": "yellow", "infeasible": "dim"}


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


@dataclass
class Row:
    """One trial in the table."""

    number: int
    label: str
    state: str = "running"
    curve: list[float] = field(default_factory=list)  # val mAP50-95 after each epoch


class Watch:
    """Shows the progress of a sweep's trials, epoch by epoch.

    The time left is the work left times the mean time of the work seen, which settles after the first trial. Work is
    counted in epochs, or, where trainings end by the clock, in trainings: nobody knows how many epochs those will have.

    Args:
        trials: of the sweep.
        epochs: of each training.
        console: where it is shown.
        minutes: of processor time that each training has instead.
    """

    def __init__(self, trials: int, epochs: int, console: Console | None = None, minutes: float | None = None) -> None:
        self.console = console or Console(file=sys.stdout)
        self._minutes = minutes
        self._epochs = 0 if minutes else epochs
        self._each = 1.0 if minutes else float(epochs)  # work of a trial
        self._total = trials * self._each
        self._done = 0.0  # work, of finished trials in full
        self._timed = 0.0  # work that this process did, or watched
        self._share = 0.0  # work done of the current trial
        self._begun = time.monotonic()
        self._rows: dict[int, Row] = {}
        self._current = Row(-1, "")
        self._bar = Progress(
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("trainings" if minutes else "epochs"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=self.console,
        )
        self._task = self._bar.add_task("", total=self._total, left="")
        self._live: Live | None = None
        self._latest = ""  # what the last epoch of this process came to

    def __enter__(self) -> Watch:
        """Start the live table where there is a terminal."""
        if self.console.is_terminal:
            self._live = Live(
                get_renderable=self.render,
                console=self.console,
                refresh_per_second=4,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Stop the live table."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def trial(self, number: int, label: str, curve: Sequence[float] = ()) -> None:
        """A trial of this process begins, or goes on after the epochs of `curve`."""
        self._current = self._rows[number] = Row(number, label, curve=list(curve))
        self._share = 0.0
        if self._live is None:
            self.say(f"{self._name()}: starts")

    def epoch(self, epoch: int, row: dict[str, float]) -> None:
        """An epoch of the current trial ended."""
        share = 1.0 if self._minutes is None else max(row.get(USED, 0.0) / self._minutes - self._share, 0.0)
        self._share += share
        self._count(share)
        line = epoch_line(epoch, self._epochs, row, self._current.curve)
        self._current.curve.append(row.get(METRIC, 0.0))
        self._latest = f"trial {self._current.number}: {line}"
        if self._live is None:
            self.say(f"{self._name()}: {line}  {self._left()}")

    def finish(self, label: str, *, epochs_run: int, state: str = "complete") -> None:
        """The current trial ended, with `label` saying how; epochs that never ran no longer count as work."""
        self._current.state = state
        self._total -= self._each - (epochs_run if self._minutes is None else self._share)
        self.say(label)

    def pause(self, label: str) -> None:
        """The current trial waits at a rung; its epochs still count as work, since it may go on."""
        self._current.state = "paused"
        self.say(label)

    def skip(self) -> None:
        """A trial was finished by an earlier run of the sweep."""
        self._total -= self._each

    def show(self, number: int, label: str, curve: Sequence[float], state: str = "running") -> None:
        """What is known of a trial that another process runs; the last call has the state that it ended in."""
        row = self._rows.setdefault(number, Row(number, label))
        new = max(len(curve) - len(row.curve), 0)
        over = state not in ("running", "paused")
        self._count(float(new if self._minutes is None else over))
        row.curve, row.state, row.label = list(curve), state, label
        if new and self._live is None and state == "running":
            line = epoch_line(len(curve), self._epochs, {METRIC: curve[-1]}, curve[:-1])
            self.say(f"trial {number} · {label}: {line}  {self._left()}")
        if over:
            self._total -= 0.0 if self._minutes else self._each - len(curve)

    def say(self, text: str) -> None:
        """Print a line above the table."""
        self.console.print(escape(text), highlight=False, soft_wrap=True)

    def render(self) -> RenderableType:
        """The table of trials, with the bar of the whole sweep under it."""
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        table.add_column("trial", justify="right")
        table.add_column("configuration", overflow="fold")
        table.add_column("state")
        table.add_column("epoch", justify="right")
        table.add_column("val mAP50-95")
        shown = self._shown()
        top = max((v for row in shown for v in row.curve), default=0.0)  # one scale, so that curves can be compared
        for row in shown:
            last = f" {row.curve[-1]:.3f}" if row.curve else ""
            table.add_row(
                str(row.number),
                escape(row.label),
                row.state,
                counted(len(row.curve), self._epochs),
                sparkline(row.curve[-CURVE:], top=top) + last,
                style=COLOURS.get(row.state, ""),
            )
        self._bar.update(self._task, completed=self._done, total=self._total, left=self._left())
        return Group(table, Text(self._latest), self._bar) if self._latest else Group(table, self._bar)

    def _shown(self) -> list[Row]:
        """The trials that run, then the latest that ended, by number."""
        rows = sorted(self._rows.values(), key=lambda r: (r.state != "running", -r.number))[:ROWS]
        return sorted(rows, key=lambda r: r.number)

    def _name(self) -> str:
        return f"trial {self._current.number} · {self._current.label}"

    def _count(self, work: float) -> None:
        self._done += work
        self._timed += work

    def _left(self) -> str:
        if not self._timed:
            return ""
        rate = (time.monotonic() - self._begun) / self._timed
        return f"about {clock(rate * max(self._total - self._done, 0))} left"
