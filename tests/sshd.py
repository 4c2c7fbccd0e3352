"""A real sshd on loopback, with keys of its own, as whoever runs the test."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.services import free_port

CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {home}/host
AuthorizedKeysFile {home}/authorized
PidFile {home}/pid
StrictModes no
UsePAM no
PasswordAuthentication yes
KbdInteractiveAuthentication no
PermitRootLogin yes
PermitUserEnvironment no
Subsystem sftp internal-sftp
"""
CLIENT = """
Host pi5 jetson
  HostName 127.0.0.1
  IdentityFile {home}/key
Host stranger
  HostName 127.0.0.1
  IdentityFile {home}/other
Host unknown
  HostName 127.0.0.1
  IdentityFile {home}/key
  UserKnownHostsFile /dev/null
Host *
  Port {port}
  User {user}
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile {home}/known
  StrictHostKeyChecking yes
"""


def missing() -> str:
    """Why there can be no sshd here; "" where there can."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    absent = [name for name in ("sshd", "ssh", "scp", "ssh-keygen") if shutil.which(name, path=path) is None]
    return f"OpenSSH is not installed ({', '.join(absent)}; apt-get install openssh-server)" if absent else ""


class Sshd:
    """The daemon; `config` is for ssh's -F, and knows the hosts pi5 and jetson, stranger (a wrong key) and unknown."""

    def __init__(self, home: Path) -> None:
        if reason := missing():
            pytest.skip(reason)
        self.home = home
        home.chmod(0o700)
        for name in ("host", "key", "other"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / name)], check=True)
        shutil.copyfile(home / "key.pub", home / "authorized")
        self.port = free_port()
        words = {"home": home, "port": self.port, "user": getpass.getuser()}
        (home / "sshd_config").write_text(CONFIG.format(**words))
        self.config = home / "config"
        self.config.write_text(CLIENT.format(**words))
        key = " ".join((home / "host.pub").read_text().split()[:2])
        (home / "known").write_text(f"[127.0.0.1]:{self.port} {key}\n")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(parents=True, exist_ok=True)  # where the daemon separates its privileges
        program = str(shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin"))
        with open(home / "log", "wb") as log:
            self._daemon = subprocess.Popen([program, "-D", "-e", "-f", str(home / "sshd_config")], stderr=log)
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        self.remove()
        pytest.skip(f"sshd does not come up: {(self.home / 'log').read_text(errors='replace')[-500:]}")

    def remove(self) -> None:
        """End the daemon."""
        self._daemon.terminate()
        self._daemon.wait(15)
