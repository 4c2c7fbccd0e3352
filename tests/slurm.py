"""A real Slurm of one node on loopback, from Debian's packages: munged, slurmctld and slurmd, started as root."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.services import free_port

CPUS = 4  # said to be there, whatever the machine has: jobs that only wait need none
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
CONFIG = """
ClusterName=detsweep
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmdPort={d_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={home}/munge.socket,cred_expire=5
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd.pid
SlurmctldLogFile={home}/slurmctld.log
SlurmdLogFile={home}/slurmd.log
MpiDefault=none
KillWait=2
JobRequeue=1
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=1000 State=UNKNOWN
PartitionName=test Nodes={host} Default=YES MaxTime=60 State=UP
"""


def missing() -> str:
    """Why there can be no Slurm here; "" where there can."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    if absent := [name for name in PROGRAMS if shutil.which(name, path=path) is None]:
        return f"Slurm is not installed ({', '.join(absent)}; apt-get install slurm-wlm munge)"
    return "" if os.geteuid() == 0 else "slurmd must be started as root"


class Slurm:
    """The three daemons, with a folder of their own."""

    def __init__(self) -> None:
        if reason := missing():
            pytest.skip(reason)
        self._home = Path(tempfile.mkdtemp(prefix="detsweep-slurm-"))
        self._home.chmod(0o755)
        self._daemons: list[subprocess.Popen[bytes]] = []
        for name in ("state", "spool"):
            (self._home / name).mkdir()
        (self._home / "munge.key").write_bytes(os.urandom(128))
        (self._home / "munge.key").chmod(0o400)
        values = {"host": socket.gethostname().split(".")[0], "home": self._home, "cpus": CPUS}
        text = CONFIG.format(**values, ctld_port=free_port(), d_port=free_port())
        (self._home / "slurm.conf").write_text(text)
        self.environment = {"SLURM_CONF": str(self._home / "slurm.conf")}
        try:
            self._start()
        except BaseException:
            self.remove()
            raise

    def _start(self) -> None:
        home = self._home
        files = [f"--{n}-file={home}/munge.{n}" for n in ("key", "pid", "log", "seed")]
        self._daemon("munged", "--foreground", "--force", f"--socket={home}/munge.socket", *files)
        self._wait(lambda: (home / "munge.socket").exists(), "munged")
        self.start_controller()
        self._daemon("slurmd", "-D", "-f", home / "slurm.conf")
        self._wait(lambda: "idle" in self.run("sinfo", "-h", "-o", "%t", check=False), "slurmd")

    def start_controller(self) -> None:
        """Start slurmctld, which takes up the state of an earlier one."""
        self._controller = self._daemon("slurmctld", "-D", "-f", self._home / "slurm.conf")

    def kill_controller(self) -> None:
        """End slurmctld at once."""
        self._controller.kill()
        self._controller.wait()

    def forget(self) -> None:
        """Lose what a stopped controller kept of its jobs; it goes on with ids that slurmd does not know."""
        shutil.rmtree(self._home / "state")
        (self._home / "state").mkdir()
        with open(self._home / "slurm.conf", "a", encoding="ascii") as stream:
            stream.write("FirstJobId=1000\n")

    def run(self, *command: str, check: bool = True) -> str:
        """Run one of Slurm's commands and return what it printed."""
        env = {**os.environ, **self.environment}
        return subprocess.run(command, env=env, check=check, capture_output=True, text=True, timeout=60).stdout

    def jobs(self) -> list[str]:
        """Ids of the jobs that run."""
        return self.run("squeue", "-h", "-r", "-t", "running", "-o", "%i").split()

    def remove(self) -> None:
        """Cancel what runs, end the daemons and remove what they kept."""
        if len(self._daemons) > 1:
            self.run("scancel", "--full", "--user=root", check=False)
            time.sleep(1.0)
        for daemon in reversed(self._daemons):
            daemon.terminate()
        for daemon in self._daemons:
            try:
                daemon.wait(15)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(self._home, ignore_errors=True)

    def _daemon(self, program: str, *words: object) -> subprocess.Popen[bytes]:
        path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        with open(self._home / f"{program}.out", "wb") as stream:
            started = subprocess.Popen([str(path), *map(str, words)], stdout=stream, stderr=stream, cwd="/")
        self._daemons.append(started)
        return started

    def _wait(self, ready: Callable[[], bool], name: str) -> None:
        deadline = time.monotonic() + 60
        while not ready():
            said = "\n".join(p.read_text(errors="replace")[-1500:] for p in self._home.glob("*.[lo][ou][gt]"))
            assert time.monotonic() < deadline, f"{name} does not come up:\n{said}"
            time.sleep(0.2)
