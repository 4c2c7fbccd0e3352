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
from benchmarks.chaos.kill_points import VARIABLE, Moments, around

REPLACED = {
    "src.run": "benchmarks.chaos.driver",
    "benchmarks.chaos": "benchmarks.chaos.driver",
    "src.benchmark.worker": "benchmarks.chaos.job",
}


def plain(name: str) -> str:
    """A file's name without hashes and numbers, so that what is the same for every file has one name."""
    return re.sub(r"[0-9a-f]{8,}|_\d{5}", "*", name)


def redirect(moments: Moments) -> None:
    """Send processes that the sweep starts through this driver."""

    class Popen(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, args: Any, *rest: Any, **named: Any) -> None:
            words: Any = [REPLACED.get(word, word) for word in args] if isinstance(args, list) else args
            super().__init__(words, *rest, **named)
            if words != args:
                moments.reached("process started")

    subprocess.Popen = Popen  # type: ignore[misc]


def replace_arithmetic(moments: Moments) -> None:
    """Put toys where torch, exporters and engines would be."""
    import src.export
    from src.benchmark import worker
    from src.pipeline import trial

    trial.train = toys.Trainer(  # type: ignore[attr-defined]
        moments, resumes=not planted_defects.planted("no-resume"), drifts=planted_defects.planted("drift")
    )
    worker.predict = job.predict
    src.export.MODULES.update(dict.fromkeys(src.export.MODULES, "benchmarks.chaos.formats"))


def plant_files(moments: Moments) -> None:
    """Moments around every rename of a file, which is how the product writes, and a journal torn in mid-line."""
    from optuna.storages.journal._storage import JournalOperation

    from src.sweeper.storage import Journal

    around(Path, "replace", moments, lambda self, target: f"write {plain(Path(target).name)}")
    names = {int(op): op.name for op in JournalOperation}
    append = Journal.append_logs

    def torn(self: Any, logs: list[dict[str, Any]]) -> None:
        title = f"journal {names[int(logs[0]['op_code'])]}"
        moments.reached(f"{title} · before")
        if moments.armed("journal · torn"):
            with open(self._file_path, "ab") as stream:
                stream.write(b'{"op_code":6,"wor')
            moments.reached("journal · torn")
            with open(self._file_path, "rb+") as stream:
                stream.truncate(stream.seek(0, os.SEEK_END) - len(b'{"op_code":6,"wor'))
        append(self, logs)
        moments.reached(f"{title} · after")

    moments.reached("journal · torn")
    Journal.append_logs = torn  # type: ignore[method-assign]


def plant_tracking(moments: Moments) -> None:
    """Moments around every call to MLflow that writes, and in the making of its database."""
    from alembic.runtime.migration import HeadMaintainer
    from mlflow import MlflowClient

    calls = ("create_experiment", "create_run", "update_run", "log_batch", "log_inputs", "log_artifact",
             "log_artifacts", "set_terminated")  # fmt: skip
    for name in calls:
        around(MlflowClient, name, moments, f"mlflow {name}")
    around(HeadMaintainer, "update_to_step", moments, "mlflow migration")


def plant_stages(moments: Moments) -> None:
    """Moments where the pipeline goes from one stage to the next, and between the figures of the report."""
    from src.pipeline import finish, sweep
    from src.report import figures

    around(sweep, "_work", moments, "phase trials")
    around(sweep, "run_workers", moments, "phase trials")
    around(finish, "_finalise", moments, "phase finalists")
    around(finish, "_report", moments, "phase report")

    def save(figure: Any, path: Path) -> None:
        with open(
            path, "wb"
        ) as stream:  # in place, which is worse than the report does, without the seconds of drawing
            stream.write(b"half of a figure, ")
            stream.flush()
            moments.reached("figure · half written")
            stream.write(b"and the other half")

    figures.save_png = save  # type: ignore[attr-defined]


def main() -> None:
    """Plant, then run the command."""
    moments = Moments(Path(os.environ[VARIABLE]))
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    redirect(moments)
    replace_arithmetic(moments)
    plant_files(moments)
    plant_tracking(moments)
    plant_stages(moments)
    planted_defects.plant(moments)
    from src.run import main as run

    run()


if __name__ == "__main__":
    main()
