"""Real services on loopback, each started by the test that needs it and gone with it."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Postgres:
    """A PostgreSQL server with a cluster of its own, from Debian's package."""

    def __init__(self) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
        if not found:
            pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
        self._bin = found[-1].parent
        self._user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
        self._home = Path(tempfile.mkdtemp(prefix="detsweep-pg-"))
        self.port, self.password = free_port(), secrets.token_urlsafe(12)
        (self._home / "password").write_text(self.password)
        if self._user:
            for path in (self._home, self._home / "password"):
                shutil.chown(path, self._user, self._user)
        where, password = self._home / "data", self._home / "password"
        self._run("initdb", "-D", where, "-U", "sweep", "-A", "scram-sha-256", f"--pwfile={password}", "-N")
        self.start()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._home} -c fsync=off"
        self._run("pg_ctl", "-D", self._home / "data", "-o", options, "-l", self._home / "log", "-w", "start")

    def stop(self) -> None:
        """Stop the server at once: its connections break."""
        self._run("pg_ctl", "-D", self._home / "data", "-m", "fast", "-w", "stop")

    def restart(self, away_s: float) -> None:
        """Stop the server, and start it again after some seconds."""
        self.stop()
        time.sleep(away_s)
        self.start()

    def create(self, name: str) -> str:
        """Make a database and return its URL."""
        import psycopg

        address = {"host": "127.0.0.1", "port": self.port, "user": "sweep", "password": self.password}
        with psycopg.connect(dbname="postgres", autocommit=True, **address) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return f"postgresql+psycopg://sweep:{self.password}@127.0.0.1:{self.port}/{name}"

    def remove(self) -> None:
        """Stop the server and remove what it kept."""
        if (self._home / "data" / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self._home)

    def _run(self, program: str, *words: object) -> None:
        command = [str(self._bin / program), *map(str, words)]
        # pg_ctl's server inherits its output: a pipe would never end.
        with open(os.devnull, "w") as null:
            subprocess.run(
                command, check=True, stdin=null, stdout=null, stderr=null, cwd="/", user=self._user, timeout=60
            )
