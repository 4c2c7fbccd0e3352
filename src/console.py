"""What a person watches while a sweep runs: a live bar with the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

SPARKS = "▁▂▃▄▅▆▇█"


def sparkline(values: list[float]) -> str:
    """A curve in one character a value, scaled from 0 to its own maximum."""
    top = max(values, default=0.0)
    if top <= 0:
        return SPARKS[0] * len(values)
    return "".join(SPARKS[min(int(v / top * len(SPARKS)), len(SPARKS) - 1)] for v in values)


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Watch:
    """Shows the progress of a sweep's trials, epoch by epoch.

    The time left is the epochs left times the mean time of the epochs seen, which settles after the first trial.
    """

    def __init__(self, trials: int, epochs: int, console: Console | None = None) -> None:
        self.console = console or Console(file=sys.stdout)
        self._epochs = epochs
        self._total = trials * epochs
        self._done = 0  # epochs, of finished trials in full
        self._timed = 0  # epochs that this process ran
        self._begun = time.monotonic()
        self._label = ""
        self._curve: list[float] = []
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("epochs"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=self.console,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Watch:
        """Start the live bar where there is a terminal."""
        if self.console.is_terminal:
            self._bar.start()
            self._task = self._bar.add_task("starting", total=self._total, left="")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Stop the live bar."""
        if self._task is not None:
            self._bar.stop()

    def trial(self, number: int, label: str, *, silent: bool = False) -> None:
        """A trial begins; `silent` writes no line."""
        self._label, self._curve = f"trial {number} · {label}", []
        if self._task is None and not silent:
            self.say(f"{self._label}: starts")
        self._update()

    def epoch(self, epoch: int, row: dict[str, float], *, silent: bool = False) -> None:
        """An epoch of the current trial ended; `silent` writes no line."""
        self._done += 1
        self._timed += 1
        value = row.get("val/mAP50-95", 0.0)
        self._curve.append(value)
        if self._task is None and not silent:
            self.say(f"{self._label}: epoch {epoch}/{self._epochs}  val mAP50-95 {value:.3f}  {self._left()}")
        self._update()

    def finish(self, label: str, *, epochs_run: int) -> None:
        """The current trial ended, with `label` saying how; epochs that never ran no longer count as work."""
        self._total -= self._epochs - epochs_run
        self.say(label)
        self._update()

    def skip(self) -> None:
        """A trial was finished by an earlier run of the sweep."""
        self._total -= self._epochs
        self._update()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self.console.print(escape(text), highlight=False, soft_wrap=True)

    def _left(self) -> str:
        if not self._timed:
            return ""
        rate = (time.monotonic() - self._begun) / self._timed
        return f"about {clock(rate * max(self._total - self._done, 0))} left"

    def _update(self) -> None:
        if self._task is not None:
            description = escape(f"{self._label} {sparkline(self._curve)}")
            self._bar.update(
                self._task, description=description, completed=self._done, total=self._total, left=self._left()
            )
