"""Copies of runs for Weights & Biases, offline unless the environment says otherwise.

They lie in `outputs/wandb/offline-run-…`; `wandb sync` sends them when the user wants to. `WANDB_MODE=online` sends at
once, with the key of `WANDB_API_KEY` and no other: nothing is asked for at the terminal, and no key of a configuration
or of `.netrc` is taken. What W&B collects by itself (the command line, the code, Git, the terminal's output, the
machine) is switched off: the command line may hold a password.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from src.common.errors import UserError
from src.track.names import plain
from src.track.refusals import Entry

FOLDER = "wandb"
MODES = ("offline", "online", "disabled")
EPOCH, POINT = "epoch", "at"  # what curves are drawn over
LONGEST = 120  # characters of a name


def mode() -> str:
    """How runs are written: as WANDB_MODE says, offline where it says nothing."""
    return os.environ.get("WANDB_MODE", "").strip().lower() or MODES[0]


def check() -> None:
    """Refuse a mode that there is none of, and one that lacks its key.

    Raises:
        UserError: naming the variable.
    """
    if mode() not in MODES:
        raise UserError("WANDB_MODE is not known", value=mode(), remedy=f"one of: {', '.join(MODES)}")
    if mode() == "online" and not os.environ.get("WANDB_API_KEY", "").strip():
        raise UserError(
            "WANDB_MODE=online needs WANDB_API_KEY, and no other key is looked for",
            value="tracking.also=[wandb]",
            remedy="export WANDB_API_KEY=…, or unset WANDB_MODE: offline runs are sent by wandb sync",
        )


def place(outputs: Path, experiment: str) -> Runs:
    """The runs of this outputs folder; the experiment is the project."""
    return Runs(outputs, os.environ.get("WANDB_PROJECT", "").strip() or experiment)


class Runs:
    """Opens runs of a project."""

    def __init__(self, outputs: Path, project: str) -> None:
        self._outputs, self._project = outputs.absolute(), project

    def open(self, run_id: str, name: str, parent: str) -> WandbRun:
        """A run of MLflow's id: what is written of it later is joined with it when it is sent."""
        _settle(self._outputs / FOLDER)
        import wandb

        logging.getLogger("wandb").setLevel(logging.ERROR)
        run = wandb.init(
            project=self._project,
            dir=str(self._outputs),
            id=plain(run_id)[:64],
            name=name[:LONGEST],
            group=(parent or name)[:LONGEST],
            job_type="trial" if parent else "sweep",
            mode=mode(),  # type: ignore[arg-type]  # `check` has looked at it
            settings=wandb.Settings(
                console="off",
                silent=True,
                save_code=False,
                disable_code=True,
                disable_git=True,
                disable_job_creation=True,
                reinit="create_new",
                x_disable_meta=True,
                x_disable_stats=True,
                x_disable_machine_info=True,
                program="detsweep",
                host="-",
            ),
        )
        run.define_metric("*", step_metric=EPOCH)
        run.define_metric("eval/*", step_metric=POINT)
        return WandbRun(run)


def _settle(folder: Path) -> None:
    """W&B's own caches and settings stay below the outputs too, unless the user has placed them."""
    folder.mkdir(parents=True, exist_ok=True)
    for variable in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        os.environ.setdefault(variable, str(folder / ".wandb"))


class WandbRun:
    """One run."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def put(self, entry: Entry) -> None:
        """Write an entry."""
        match entry["kind"]:
            case "metrics" if entry["step"]:
                self._run.log({**entry["values"], EPOCH: entry["step"]})
            case "metrics":  # known once: it has no place on a curve
                self._run.summary.update(entry["values"])
            case "series":
                self._series(entry["values"])
            case "params" | "tags" | "dataset":
                kept = entry["values"] if "values" in entry else {k: entry[k] for k in ("name", "digest", "profile")}
                values = kept if entry["kind"] == "params" else {entry["kind"]: kept}
                self._run.config.update(values, allow_val_change=True)
            case "end":
                self._run.finish(exit_code=0 if entry["status"] == "FINISHED" else 1)

    def _series(self, values: dict[str, list[list[float]]]) -> None:
        """Rows of equal step: a curve over something else than epochs."""
        rows: dict[float, dict[str, float]] = {}
        for name, points in values.items():
            for step, value in points:
                rows.setdefault(step, {})[name] = value
        for step in sorted(rows):
            self._run.log({**rows[step], POINT: step})
