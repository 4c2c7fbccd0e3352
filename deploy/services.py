"""PostgreSQL, an S3 server and MLflow's server on 127.0.0.1, each a process of its own with a folder of its own.

Secrets are made for each start and reach the processes through their environment or a file that only its owner reads,
never through a command line.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from src.common.errors import StageError, UserError

HOST = "127.0.0.1"
PATIENCE_S = 120.0  # in which a service must answer
BUCKET = "detsweep"


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Postgres:
    """A PostgreSQL server with a cluster of its own, from Debian's package.

    Raises:
        UserError: it is not installed.
    """

    def __init__(self) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
        if not found:
            raise UserError("PostgreSQL is not installed", remedy="apt-get install postgresql")
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
        options = f"-p {self.port} -c listen_addresses={HOST} -c unix_socket_directories={self._home} -c fsync=off"
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
        """Make a database and return its URL, password included."""
        import psycopg

        address: dict[str, Any] = {"host": HOST, "port": self.port, "user": "sweep", "password": self.password}
        with psycopg.connect(dbname="postgres", autocommit=True, **address) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return f"postgresql+psycopg://sweep:{self.password}@{HOST}:{self.port}/{name}"

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


class Process:
    """A server that is started, waited for and stopped; what it prints goes to a log.

    Args:
        name: of the service, in messages.
        command: to start it.
        environment: what it gets beside that of this process.
        log: file for its output.
    """

    def __init__(self, name: str, command: list[str], environment: dict[str, str], log: Path) -> None:
        self.name, self.log = name, log
        with open(log, "ab") as stream:
            self._process = subprocess.Popen(
                command, env={**os.environ, **environment}, stdout=stream, stderr=stream, start_new_session=True
            )

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def wait_for(self, url: str) -> None:
        """Wait until the address answers with success.

        Raises:
            StageError: the process ended, or did not answer in time.
        """
        deadline = time.monotonic() + PATIENCE_S
        while not answers(url):
            if not self.running or time.monotonic() > deadline:
                self.stop()
                raise StageError("start", self.name, f"no answer; its output is in {self.log}")
            time.sleep(0.2)

    def stop(self) -> None:
        """End it and its children, by force where it does not end by itself."""
        for signal_, patience in ((15, 20.0), (9, 5.0)):
            if self._signal_group(signal_):
                try:
                    self._process.wait(patience)
                except subprocess.TimeoutExpired:
                    continue

    def _signal_group(self, number: int) -> bool:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return False
        return True


def answers(url: str) -> bool:
    """Whether an HTTP address answers with success."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status < 300)
    except (urllib.error.URLError, OSError):
        return False


def object_store(folder: Path, port: int) -> Process:
    """An S3 server that keeps objects in memory: they are gone when it stops."""
    if shutil.which("moto_server", path=str(Path(sys.executable).parent)) is None:
        raise UserError("the S3 server is not installed", value="moto", remedy="make setup")
    command = [str(Path(sys.executable).parent / "moto_server"), "-H", HOST, "-p", str(port)]
    made = Process("the S3 server", command, {}, folder / "s3.log")
    made.wait_for(f"http://{HOST}:{port}/moto-api/")
    return made


def create_bucket(endpoint: str, keys: dict[str, str]) -> None:
    """Make the bucket for artifacts."""
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
    )
    client.create_bucket(Bucket=BUCKET)


def tracking_server(folder: Path, port: int, database: str, endpoint: str, keys: dict[str, str]) -> Process:
    """MLflow's server: runs in `database`, files in the bucket, so that its clients need no keys of the store."""
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    command += ["--artifacts-destination", f"s3://{BUCKET}/mlflow"]
    environment = {
        **keys,
        "MLFLOW_BACKEND_STORE_URI": database,  # holds a password: not on the command line
        "MLFLOW_S3_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    made = Process("MLflow's server", command, environment, folder / "mlflow.log")
    made.wait_for(f"http://{HOST}:{port}/health")
    return made


def new_keys() -> dict[str, str]:
    """A key pair for the object store, as its clients read it from the environment."""
    return {"AWS_ACCESS_KEY_ID": secrets.token_hex(10), "AWS_SECRET_ACCESS_KEY": secrets.token_urlsafe(30)}


def in_order(*undo: Callable[[], object]) -> None:
    """Call all, one after the other, also when one fails."""
    for call in undo:
        try:
            call()
        except Exception as error:
            print(f"could not be stopped: {error}", file=sys.stderr)
