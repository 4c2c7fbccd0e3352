"""`python -m src.run` with toys for arithmetic and moments planted: `python -m benchmarks.chaos.driver WORDS`.

The words are the command's own, and so is everything from `src.run.main` on. Processes that the sweep starts (workers,
benchmark jobs) come through here again.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.chaos import job, planted_defects, toys
from benchmarks.chaos.kill_points import VARIABLE, KillPoints, around

REPLACED = {
    "src.run": "benchmarks.chaos.driver",
    "benchmarks.chaos": "benchmarks.chaos.driver",
    "src.benchmark.worker": "benchmarks.chaos.job",
    "src.export.worker": "benchmarks.chaos.exporting",
}


def plain(name: str) -> str:
    """A file's name without hashes and numbers, so that what is the same for every file has one name."""
    return re.sub(r"[0-9a-f]{8,}|_\d{5}", "*", name)


def redirect(kill_points: KillPoints) -> None:
    """Send processes that the sweep starts through this driver."""

    class Popen(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, args: Any, *rest: Any, **named: Any) -> None:
            words: Any = [REPLACED.get(word, word) for word in args] if isinstance(args, list) else args
            super().__init__(words, *rest, **named)
            if words != args:
                kill_points.reached("process started")

    subprocess.Popen = Popen  # type: ignore[misc]


def replace_arithmetic(kill_points: KillPoints) -> None:
    """Put toys where torch, exporters and engines would be."""
    from src.benchmark import worker
    from src.common import backends
    from src.models.ultralytics.family import FAMILY

    FAMILY.train = toys.Trainer(  # type: ignore[method-assign]
        kill_points, resumes=not planted_defects.planted("no-resume"), drifts=planted_defects.planted("drift")
    )
    worker.predict = job.predict
    backends.FORMATS.update(dict.fromkeys(backends.FORMATS, "benchmarks.chaos.formats"))


def plant_files(kill_points: KillPoints) -> None:
    """Moments around every rename of a file, which is how the product writes, and a journal torn in mid-line."""
    from optuna.storages.journal._storage import JournalOperation

    from src.sweeper.storage import Journal

    around(Path, "replace", kill_points, lambda self, target: f"write {plain(Path(target).name)}")
    names = {int(op): op.name for op in JournalOperation}
    append = Journal.append_logs

    def torn(self: Any, logs: list[dict[str, Any]]) -> None:
        title = f"journal {names[int(logs[0]['op_code'])]}"
        kill_points.reached(f"{title} · before")
        if kill_points.armed("journal · torn"):
            with open(self._file_path, "ab") as stream:
                stream.write(b'{"op_code":6,"wor')
            kill_points.reached("journal · torn")
            with open(self._file_path, "rb+") as stream:
                stream.truncate(stream.seek(0, os.SEEK_END) - len(b'{"op_code":6,"wor'))
        append(self, logs)
        kill_points.reached(f"{title} · after")

    kill_points.reached("journal · torn")
    Journal.append_logs = torn  # type: ignore[method-assign]


def plant_tracking(kill_points: KillPoints) -> None:
    """Moments around every call to MLflow that writes, and in the making of its database."""
    from alembic.runtime.migration import HeadMaintainer
    from mlflow import MlflowClient

    calls = ("create_experiment", "create_run", "update_run", "log_batch", "log_inputs", "log_artifact",
             "log_artifacts", "set_terminated")  # fmt: skip
    for name in calls:
        around(MlflowClient, name, kill_points, f"mlflow {name}")
    around(HeadMaintainer, "update_to_step", kill_points, "mlflow migration")


def plant_stages(kill_points: KillPoints) -> None:
    """Moments where the pipeline goes from one stage to the next, and between the figures of the report."""
    from src.pipeline import finish, sweep
    from src.report import figures

    around(sweep, "_work", kill_points, "phase trials")
    around(sweep, "run_workers", kill_points, "phase trials")
    around(finish, "_finalise", kill_points, "phase finalists")
    around(finish, "_report", kill_points, "phase report")

    def save(figure: Any, path: Path) -> None:
        with open(
            path, "wb"
        ) as stream:  # in place, which is worse than the report does, without the seconds of drawing
            stream.write(b"half of a figure, ")
            stream.flush()
            kill_points.reached("figure · half written")
            stream.write(b"and the other half")

    figures.save_png = save  # type: ignore[attr-defined]


def main() -> None:
    """Plant, then run the command."""
    kill_points = KillPoints(Path(os.environ[VARIABLE]))
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    redirect(kill_points)
    replace_arithmetic(kill_points)
    plant_files(kill_points)
    plant_tracking(kill_points)
    plant_stages(kill_points)
    planted_defects.plant(kill_points)
    from src.run import main as run

    run()


if __name__ == "__main__":
    main()
