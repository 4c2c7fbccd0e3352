"""MLflow runs that outlive their process: each started once, and closed whatever happens.

A process may be killed after the server made a run and before its id was saved. A key, saved beforehand and set as a
tag, finds that run again; otherwise it would stay "running" for ever, beside a second one of the same name.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from src.common.errors import DiskFullError
from src.common.whole_files import write_text
from src.pipeline.context import Context
from src.records.sweep_folder import TrialFolder
from src.track import RunLog

TAG = "detsweep.key"


def start_once(
    context: Context, folder: Path, name: str, *, tags: Mapping[str, str], parent: str = "", monitor: bool = False
) -> RunLog:
    """Start the run that belongs to `folder`, or go on with the one that a killed process started for it.

    Raises:
        KeyboardInterrupt: interrupted; a run that was made just then is closed as KILLED.
    """
    path = TrialFolder(folder).run_key
    if path.is_file():
        if found := context.tracker.find(TAG, path.read_text(encoding="ascii")):
            return context.tracker.resume(found, monitor=monitor)
    else:
        write_text(path, uuid.uuid4().hex)
    key = path.read_text(encoding="ascii")
    try:
        return context.tracker.start(name, parent=parent, tags={**tags, TAG: key}, monitor=monitor)
    except KeyboardInterrupt:
        if found := context.tracker.find(TAG, key):
            context.tracker.end_run(found, "KILLED")
        raise


@contextlib.contextmanager
def closing(context: Context, run_id: str, interrupted: str = "KILLED") -> Iterator[RunLog]:
    """Go on with a run, and close it as FINISHED, as `interrupted`, or as FAILED, whatever happens."""
    run: RunLog | None = None

    def end(status: str) -> None:
        run.end(status) if run is not None else context.tracker.end_run(run_id, status)

    try:
        run = context.tracker.resume(run_id)
        yield run
    except BaseException as error:
        with contextlib.suppress(Exception):  # what went wrong first is what has to be told
            end(interrupted if isinstance(error, (KeyboardInterrupt, DiskFullError)) else "FAILED")
        raise
    try:
        end("FINISHED")
    except KeyboardInterrupt:  # the work is done, and was interrupted in being told so
        with contextlib.suppress(Exception):
            end("FINISHED")
        raise
