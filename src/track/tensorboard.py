"""Copies of runs as event files of TensorBoard, below `outputs/tensorboard/<sweep>/`, a folder for each run.

`tensorboard --logdir outputs/tensorboard` shows them. A run that is resumed writes a second file into its folder, which
TensorBoard reads as one run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from src.track.names import plain
from src.track.refusals import Entry

FOLDER = "tensorboard"


def check() -> None:
    """Nothing is needed beside the package."""


def place(outputs: Path, experiment: str) -> Events:
    """The folder of this outputs folder."""
    return Events(outputs / FOLDER)


class Events:
    """A folder of event files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, run_id: str, name: str, parent: str) -> EventRun:
        """A writer for one run; its folder tells runs of one name apart by the beginning of their ids."""
        from torch.utils.tensorboard import SummaryWriter

        folder = self._folder / plain(parent or name) / f"{plain(name)}-{plain(run_id)[:8]}"
        return EventRun(SummaryWriter(str(folder)))


class EventRun:
    """One run."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def put(self, entry: Entry) -> None:
        """Write an entry."""
        match entry["kind"]:
            case "metrics":
                points = {name: [[entry["step"], value]] for name, value in entry["values"].items()}
                self._scalars(points, entry["time"])
            case "series":
                self._scalars(entry["values"], entry["time"])
            case "params" | "tags":
                rows = "".join(f"| {k} | {_cell(v)} |\n" for k, v in sorted(entry["values"].items()))
                self._writer.add_text(entry["kind"], f"| key | value |\n|---|---|\n{rows}")
            case "dataset":
                facts = {"name": entry["name"], "digest": entry["digest"], **json.loads(entry["profile"])}
                self._writer.add_text("dataset", f"```\n{json.dumps(facts, indent=1)}\n```")
            case "end":
                self._writer.close()

    def _scalars(self, points: dict[str, list[list[float]]], time_ms: int) -> None:
        for name, found in points.items():
            for step, value in found:
                self._writer.add_scalar(name, value, int(step), walltime=time_ms / 1000)
        self._writer.flush()


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
