"""Where the MLflow store is: as configured, else as MLflow's environment says, else a file in the outputs folder.

A store in the outputs folder follows it. MLflow writes the place of every experiment's and run's files into its tables
as an absolute address, so that a folder that was moved or copied would go on writing into the old one; the addresses
are brought up to date when the store is opened.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from src.common.errors import UserError
from src.common.redaction import redact_text
from src.config.schema import TrackingConfig

if TYPE_CHECKING:
    from sqlalchemy import Connection

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
    """Bring the addresses in a database up to date after the folder of its files was moved or copied.

    A database elsewhere, which several outputs folders may share, is left as it is unless its folder of files is gone.
    """
    # A worker shares the folder with the process that the user started, which has done this already.
    if uri.startswith("http") or os.environ.get("DETSWEEP_WORKER"):
        return
    database = Path(uri.removeprefix("sqlite:///")).absolute() if uri.startswith("sqlite:///") else None
    if database is not None and not database.is_file():
        return
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    here = (outputs / ARTIFACTS).absolute()
    inside = database is not None and (database.parent == here.parent or _same(database.parent, here.parent))
    engine = create_engine(uri)
    try:
        with engine.begin() as store:
            for old in sorted(set(_places(store))):
                there = _path_of(old)
                gone = here.exists() and not there.exists()
                if _same(there, here) or there == here or not (inside or gone):
                    continue
                _replace(store, old, here.as_uri())
                log.info("the MLflow store has moved: its files are in %s now, no longer in %s", here, there)
    except SQLAlchemyError as error:  # what is no store, MLflow itself tells of
        log.debug("the addresses in the MLflow store were not looked at (%s)", type(error).__name__)
    finally:
        engine.dispose()


def _places(store: Connection) -> Iterator[str]:
    """Addresses of folders called `mlartifacts` that experiments keep files in."""
    for location in _values(store, "experiments", "artifact_location"):
        head, found, tail = location.rpartition(f"/{ARTIFACTS}")
        # Beneath it, a server with this folder as its root keeps one for each experiment.
        if found and head.startswith("file:") and (not tail or tail[1:].isdigit()):
            yield head + found


def _values(store: Connection, table: str, column: str) -> list[str]:
    from sqlalchemy import text

    rows = store.execute(text(f"SELECT DISTINCT {column} FROM {table} WHERE {column} IS NOT NULL"))
    return [str(value) for (value,) in rows]


def _replace(store: Connection, old: str, new: str) -> None:
    """Replace the beginning of every address."""
    from sqlalchemy import inspect, text

    look = inspect(store)
    for table, column in COLUMNS:
        if not look.has_table(table) or column not in {c["name"] for c in look.get_columns(table)}:
            continue
        change = text(f"UPDATE {table} SET {column} = :new WHERE {column} = :old")
        for value in _values(store, table, column):
            if value == old or value.startswith(f"{old}/"):
                store.execute(change, {"new": new + value[len(old) :], "old": value})


def _path_of(address: str) -> Path:
    return Path(unquote(urlsplit(address).path))


def _same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one folder, such as through a link."""
    try:
        return one.samefile(other)
    except OSError:
        return False
