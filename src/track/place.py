"""Where the MLflow store is: as configured, else as MLflow's environment says, else a file in the outputs folder.

A store in the outputs folder follows it. MLflow writes the place of every experiment's and run's files into its tables
as an absolute address, so that a folder that was moved or copied would go on writing into the old one; the addresses
are brought up to date when the store is opened.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from src.config import TrackingConfig
from src.errors import UserError
from src.redact import redact_text

log = logging.getLogger(__name__)

ARTIFACTS = "mlartifacts"  # folder of the runs' files, beside the store
DATABASE = "mlflow.db"
EXPERIMENT = "detsweep"
URI_VARIABLE, EXPERIMENT_VARIABLE = "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"
SCHEMES = ("http://", "https://", "sqlite:///", "postgresql", "mysql")
# Where MLflow keeps addresses of files; a table or column that a version does not have is passed over.
COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
WAIT_S = 60.0  # for other processes that write to the store


def in_force(cfg: TrackingConfig, outputs: Path) -> tuple[TrackingConfig, str]:
    """The configuration with the address and experiment that are in force, and words on where they come from.

    Raises:
        UserError: a scheme that MLflow no longer takes.
    """
    uri, experiment = store_uri(cfg, outputs), experiment_of(cfg)
    whose = _whose(cfg.uri, "tracking.uri", URI_VARIABLE)
    of = _whose(cfg.experiment, "tracking.experiment", EXPERIMENT_VARIABLE)
    said = f"{redact_text(uri)} ({whose}), experiment {redact_text(experiment)} ({of})"
    return replace(cfg, uri=uri, experiment=experiment), said


def _whose(configured: str | None, key: str, variable: str) -> str:
    environment = os.environ.get(variable)
    if configured is not None:
        return f"as {key} says" + (f", not {variable}" if environment and environment != configured else "")
    return f"as {variable} says" if environment else "the default"


def store_uri(cfg: TrackingConfig, outputs: Path) -> str:
    """Address of the store: as configured, else as the environment says, else a SQLite file in the outputs folder.

    Raises:
        UserError: a scheme that MLflow no longer takes.
    """
    key, uri = ("tracking.uri", cfg.uri) if cfg.uri is not None else (URI_VARIABLE, os.environ.get(URI_VARIABLE))
    if not uri and cfg.uri is None:
        outputs.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{(outputs / DATABASE).absolute()}"
    if not uri or not uri.startswith(SCHEMES):
        remedy = "tracking.uri=sqlite:///FILE, http://HOST:PORT or postgresql://…; leave it out for a local file"
        if key == URI_VARIABLE:
            remedy = f"unset {URI_VARIABLE}, or give tracking.uri=sqlite:///FILE, which wins over it"
        raise UserError(f"{key} is no store that MLflow writes to", value=redact_text(uri or ""), remedy=remedy)
    return uri


def experiment_of(cfg: TrackingConfig) -> str:
    """Name of the experiment: as configured, else as the environment says."""
    return cfg.experiment or os.environ.get(EXPERIMENT_VARIABLE) or EXPERIMENT


def use(uri: str) -> None:
    """Make MLflow use a store, in this process.

    MLflow would put the address into the environment too. Whatever is started or opened from here, for other outputs,
    would take it for the user's wish.
    """
    import mlflow

    before = os.environ.get(URI_VARIABLE)
    mlflow.set_tracking_uri(uri)
    if before is None:
        os.environ.pop(URI_VARIABLE, None)
    else:
        os.environ[URI_VARIABLE] = before


def follow(uri: str, outputs: Path) -> None:
    """Bring the addresses in a SQLite store up to date after its folder was moved or copied.

    A store elsewhere, which several outputs folders may share, is left as it is unless its folder of files is gone.
    """
    database = Path(uri.removeprefix("sqlite:///"))
    # A worker shares the folder with the process that the user started, which has done this already.
    if not uri.startswith("sqlite:///") or not database.is_file() or os.environ.get("DETSWEEP_WORKER"):
        return
    here = (outputs / ARTIFACTS).absolute()
    inside = database.absolute().parent == here.parent or _same(database.absolute().parent, here.parent)
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=WAIT_S)) as store:
            for old in sorted(set(_places(store))):
                there = _path_of(old)
                if _same(there, here) or there == here or not (inside or (here.exists() and not there.exists())):
                    continue
                _replace(store, old, here.as_uri())
                log.info("the MLflow store has moved: its files are in %s now, no longer in %s", here, there)
    except sqlite3.DatabaseError:  # it is no store: MLflow tells what is wrong with it
        return


def _places(store: sqlite3.Connection) -> Iterator[str]:
    """Addresses of folders called `mlartifacts` that experiments keep files in."""
    for (location,) in store.execute("SELECT artifact_location FROM experiments"):
        head, found, tail = str(location).rpartition(f"/{ARTIFACTS}")
        # Beneath it, a server with this folder as its root keeps one for each experiment.
        if found and head.startswith("file:") and (not tail or tail[1:].isdigit()):
            yield head + found


def _path_of(address: str) -> Path:
    return Path(unquote(urlsplit(address).path))


def _same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one folder, such as through a link."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def _replace(store: sqlite3.Connection, old: str, new: str) -> None:
    """Replace the beginning of every address in one transaction."""
    with store:
        for table, column in COLUMNS:
            if column not in {row[1] for row in store.execute(f"PRAGMA table_info({table})")}:
                continue
            change = f"UPDATE {table} SET {column} = ? || substr({column}, ?)"
            where = f"WHERE {column} = ? OR {column} LIKE ? ESCAPE '!'"
            store.execute(f"{change} {where}", (new, len(old) + 1, old, _pattern(old)))


def _pattern(old: str) -> str:
    """What begins with an address and goes on below it."""
    escaped = old.replace("!", "!!").replace("%", "!%").replace("_", "!_")
    return f"{escaped}/%"
