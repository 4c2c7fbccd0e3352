"""Runs the application: one process, or several that share a socket and are started again when they die.

Each gets SIGTERM's promise: no further connections, what had reached it is answered, then exit 0.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
from dataclasses import asdict
from typing import Any

import uvicorn
from uvicorn.supervisors import multiprocess

from src.common.errors import EXIT_FAILED, EXIT_OK, UserError
from src.config.ranges import another_port
from src.serve import scratch
from src.serve.connection import Connection
from src.serve.draining import Draining
from src.serve.metrics import SHARED
from src.serve.options import LiveConfig, ServeArgs
from src.serve.supervisor import Supervisor, Worker

ARGUMENTS = "DETSWEEP_SERVE_ARGS"  # hands the arguments to the processes


def application() -> Any:
    """The application of a process that the supervisor started: its arguments stand in the environment."""
    from src.config.schema import TrackingConfig
    from src.monitor.settings import MonitorConfig
    from src.serve.app import build
    from src.serve.watching import watcher_of

    told = json.loads(os.environ[ARGUMENTS])
    groups = {"tracking": TrackingConfig, "monitor": MonitorConfig, "live": LiveConfig}
    args = ServeArgs(**{**told, **{name: kind(**told[name]) for name, kind in groups.items()}})
    _limit(args)
    return build(args, watcher_of)


def _limit(args: ServeArgs) -> None:
    Connection.most, Connection.longest_s = args.max_connections, args.timeout_s
    _log()


def _log() -> None:
    """Every line of the log with its time."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", force=True)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


def run(args: ServeArgs) -> int:
    """Serve until told to end; returns the exit code.

    Raises:
        UserError: the address is in use.
    """
    _log()
    bound = _bound(args)
    os.environ[ARGUMENTS] = json.dumps(asdict(args))
    config = uvicorn.Config(
        "src.serve.process:application",
        factory=True,
        http=Connection,
        ws="none",
        log_config=None,
        access_log=False,
        workers=args.workers,
        backlog=2048,
        timeout_keep_alive=int(max(args.timeout_s, 1)),
        timeout_graceful_shutdown=int(args.drain_s),
        server_header=False,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(
            number, lambda *_: None
        )  # uvicorn raises them again once it has ended: that is the end, no failure
    return _several(config, bound) if args.workers > 1 else _one(config, bound, args)


def _bound(args: ServeArgs) -> socket.socket:
    family = socket.AF_INET6 if ":" in args.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((args.host, args.port))
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"can't listen there ({reason})", value=f"{args.host}:{args.port}", remedy=f"port={another_port(args.port)}"
        ) from None
    made.set_inheritable(True)
    return made


def _one(config: uvicorn.Config, bound: socket.socket, args: ServeArgs) -> int:
    _limit(args)
    server = Draining(config)
    try:
        server.run([bound])
    except SystemExit:  # how uvicorn ends when the application does not start; the log tells why
        return EXIT_FAILED
    return EXIT_OK if server.started else EXIT_FAILED


def _several(config: uvicorn.Config, bound: socket.socket) -> int:
    shared = scratch.make()
    os.environ[SHARED] = str(shared)
    multiprocess.Process = Worker  # type: ignore[misc]  # the supervisor has no other place to name its server
    supervisor = Supervisor(config, [bound])
    try:
        supervisor.run()
    finally:
        scratch.remove(shared)
    return EXIT_OK if supervisor.went_well else EXIT_FAILED
