"""`python -m src.sweeper.dashboard sweep=NAME|latest`: optuna-dashboard on a study, while it runs or afterwards.

`storage=URL` shows the studies of a database instead. It listens on this machine alone: the dashboard asks nobody who
they are, and whoever reaches it can delete studies.
"""

from __future__ import annotations

import importlib.util
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from src.cli.command import application
from src.common.errors import EXIT_OK, UserError
from src.config.ranges import PORTS, another_port, refuse_outside
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


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of single requests."""


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
        UserError: the port makes no sense or is taken, there is no such study, or the package is missing.
    """
    refuse_outside({"port": (args.port, *PORTS)})
    if importlib.util.find_spec("optuna_dashboard") is None:
        raise UserError("optuna-dashboard is not installed", remedy="make setup EXTRAS=dashboard")
    journal = journal_of(find_sweep(Path(args.outputs), args.sweep)) if args.storage is None else Path("unused")
    storage = open_storage(args.storage, journal)
    from optuna_dashboard import wsgi

    try:
        server = make_server(HOST, args.port, wsgi(storage), handler_class=_Handler)
    except OSError as error:
        what = f"nothing can listen at this port ({error.strerror})"
        raise UserError(what, value=f"port={args.port}", remedy=f"port={another_port(args.port)}") from None
    print(f"dashboard: http://{HOST}:{args.port}", flush=True)
    # Not in this thread: an interruption while a request is answered would end the answer, and the server would go on.
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    with suppress(KeyboardInterrupt):  # how it is ended
        serving.join()
    return EXIT_OK


def main() -> None:
    """Run as a Hydra application."""
    application(run, "sweeper.dashboard", DashboardArgs)


if __name__ == "__main__":
    main()
