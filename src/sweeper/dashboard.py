"""`python -m src.sweeper.dashboard sweep=NAME|latest`: optuna-dashboard on a study, while it runs or afterwards.

`storage=URL` shows the studies of a database instead. It listens on this machine alone: the dashboard asks nobody who
they are, and whoever reaches it can delete studies.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from src.cli.command import application
from src.common.errors import EXIT_OK, UserError
from src.records.find_sweep import find_sweep
from src.records.sweep_folder import SweepFolder
from src.sweeper.storage import open_storage

HOST = "127.0.0.1"


@dataclass
class DashboardArgs:
    """Arguments of the command."""

    sweep: str = "latest"  # name of a sweep, or latest
    storage: str | None = None  # URL of a database with studies, instead of a sweep's journal
    outputs: str = "outputs"
    port: int = 8080


def journal_of(folder: Path) -> Path:
    """The journal of a sweep's study.

    Raises:
        UserError: the sweep keeps its study elsewhere.
    """
    path = SweepFolder(folder).journal
    if not path.is_file():
        raise UserError(
            "this sweep keeps its study in a database",
            value=folder.name,
            remedy="storage=URL, as its command gave it in study.storage",
        )
    return path


def run(args: DashboardArgs) -> int:
    """Serve until interrupted.

    Raises:
        UserError: there is no such study, or the package is missing.
    """
    if importlib.util.find_spec("optuna_dashboard") is None:
        raise UserError("optuna-dashboard is not installed", remedy="make setup EXTRAS=dashboard")
    journal = journal_of(find_sweep(Path(args.outputs), args.sweep)) if args.storage is None else Path("unused")
    storage = open_storage(args.storage, journal)
    from optuna_dashboard import run_server

    print(f"dashboard: http://{HOST}:{args.port}", flush=True)
    run_server(storage, host=HOST, port=args.port)
    return EXIT_OK


def main() -> None:
    """Run as a Hydra application."""
    application(run, "sweeper.dashboard", DashboardArgs)


if __name__ == "__main__":
    main()
