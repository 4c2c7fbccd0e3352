"""`python -m src.track.ui [host=127.0.0.1] [port=5000]`: MLflow's pages on the local store.

Whoever reaches the server can read and delete every run, so it listens on this machine alone. On another address it
demands a user and a password: MLflow's own basic authentication, with a password of your choice and never its default.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import secrets
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from src.cli.command import application
from src.common.errors import UserError
from src.config.ranges import PORTS, refuse_outside
from src.track import follow

PASSWORD = "DETSWEEP_UI_PASSWORD"
SHORTEST = 12  # characters of a password


@dataclass
class UiArgs:
    """Arguments of the command."""

    host: str = "127.0.0.1"
    port: int = 5000
    outputs: str = "outputs"


def is_local(host: str) -> bool:
    """Whether nobody but this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def server_command(args: UiArgs, folder: Path) -> tuple[list[str], dict[str, str]]:
    """The command of the server and its environment.

    Args:
        folder: where the settings of the authentication are kept, for the owner's eyes only.

    Raises:
        UserError: the port makes no sense, or an address that others can reach is asked for without authentication.
    """
    refuse_outside({"port": (args.port, *PORTS)})
    store = f"sqlite:///{(Path(args.outputs) / 'mlflow.db').absolute()}"
    follow(store, Path(args.outputs))  # the pages would look for the files where the folder used to be
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store]
    command += ["--default-artifact-root", (Path(args.outputs) / "mlartifacts").absolute().as_uri()]
    command += ["--host", args.host, "--port", str(args.port)]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    if is_local(args.host):
        return command, environment
    settings = _authentication(args.host, folder)
    environment |= {"MLFLOW_AUTH_CONFIG_PATH": str(settings), "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(32)}
    environment.pop(PASSWORD, None)
    return [*command, "--app-name", "basic-auth"], environment


def _authentication(host: str, folder: Path) -> Path:
    """Write MLflow's settings for authentication: nobody may read anything without the password."""
    password = os.environ.get(PASSWORD, "")
    remedy = f"export {PASSWORD}=… (at least {SHORTEST} characters), or leave host out"
    if len(password) < SHORTEST or not password.isprintable() or password != password.strip():
        raise UserError(
            f"others can reach this address, so {PASSWORD} must be set", value=f"host={host}", remedy=remedy
        )
    if importlib.util.find_spec("flask_wtf") is None:
        raise UserError(
            "others can reach this address, and MLflow's authentication is not installed",
            value=f"host={host}",
            remedy="make setup EXTRAS=auth, or leave host out and use an SSH tunnel",
        )
    path = folder / "basic_auth.ini"
    # In an ini file a percent sign begins a substitution.
    text = (
        "[mlflow]\ndefault_permission = NO_PERMISSIONS\nadmin_username = admin\n"
        f"admin_password = {password.replace('%', '%%')}\n"
        f"database_uri = sqlite:///{folder / 'users.db'}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)
    return path


def run(args: UiArgs) -> int:
    """Become the server."""
    command, environment = server_command(args, Path(tempfile.mkdtemp(prefix="detsweep-ui-")))
    print(f"MLflow on http://{args.host}:{args.port}", flush=True)
    os.execve(command[0], command, environment)


def main() -> None:
    """Compose the arguments with Hydra and start."""
    application(run, "track.ui", UiArgs)


if __name__ == "__main__":
    main()
