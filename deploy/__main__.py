"""`make stack`: PostgreSQL, an S3 server, MLflow's server and the service on 127.0.0.1, without Docker.

It is there to try the whole chain: what is in it is gone when it stops, since the S3 server keeps objects in memory.
`deploy/compose.yaml` is the same for good. The service is started when there is a champion to serve (`model=…`).
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.services import (
    HOST,
    Postgres,
    Process,
    create_bucket,
    free_port,
    in_order,
    new_keys,
    object_store,
    tracking_server,
)
from src.common.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE, StageError, UserError
from src.config.ranges import PORTS, refuse_outside


@dataclass(frozen=True)
class Stack:
    """What was started."""

    tracking: str  # address of MLflow's server
    endpoint: str  # of the S3 server
    folder: Path  # logs
    keys: dict[str, str]  # of the S3 server, for what looks into it by itself


@contextmanager
def stack(port: int = 0) -> Iterator[Stack]:
    """Start everything, and stop it again.

    Args:
        port: of MLflow's server; 0 = one that is free.

    Raises:
        UserError: PostgreSQL or another part is not installed.
        StageError: a part does not start.
    """
    folder = Path(tempfile.mkdtemp(prefix="detsweep-stack-"))
    database = Postgres()
    started: list[Process] = []
    try:
        keys, store, port = new_keys(), free_port(), port or free_port()
        endpoint = f"http://{HOST}:{store}"
        started.append(object_store(folder, store))
        create_bucket(endpoint, keys)
        started.append(tracking_server(folder, port, database.create("mlflow"), endpoint, keys))
        yield Stack(f"http://{HOST}:{port}", endpoint, folder, keys)
    finally:
        in_order(*(one.stop for one in reversed(started)), database.remove)
        shutil.rmtree(folder, ignore_errors=True)


def serve(running: Stack, model: str, port: int) -> Process:
    """Start the service on a registered model of the stack."""
    command = [sys.executable, "-m", "src.serve", f"host={HOST}", f"port={port}", f"model={model}"]
    made = Process("the service", command, {"MLFLOW_TRACKING_URI": running.tracking}, running.folder / "serve.log")
    made.wait_for(f"http://{HOST}:{port}/v2/health/ready")
    return made


def say(running: Stack) -> None:
    """What a user types next."""
    print(f"MLflow: {running.tracking} (runs in PostgreSQL, files in S3 at {running.endpoint})")
    print(f"logs: {running.folder}")
    print("In another terminal:")
    print(f"  export MLFLOW_TRACKING_URI={running.tracking}")
    print("  python -m src.run -m imgsz=64,96 seed=1,2 sweep=stack")
    print("  python -m src.promote sweep=stack")
    print("  python -m src.serve port=8000")
    print("Ctrl-C stops everything and removes what it kept.", flush=True)


def main() -> int:
    """Start, wait for Ctrl-C or SIGTERM, stop."""
    parser = argparse.ArgumentParser(prog="make stack", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--port", type=int, default=0, help="of MLflow's server (default: one that is free)")
    port = parser.parse_args().port
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        refuse_outside({"--port": (port or PORTS[0], *PORTS)})  # 0 = one that is free
        with stack(port) as running:
            say(running)
            ended.wait()
    except UserError as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    except StageError as error:
        print(error, file=sys.stderr)
        return EXIT_FAILED
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
