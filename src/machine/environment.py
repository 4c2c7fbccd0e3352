"""Says where a number was measured: processor, libraries, source revision; and prepares what a process may use."""

from __future__ import annotations

import functools
import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from src.common import backends
from src.common.hashes import hash_of, sha256_file
from src.common.root import ROOT
from src.machine.abilities import usable_cores
from src.machine.processor import processor_name
from src.records.schema import Environment

SECRET_WORDS = "DETSWEEP_SECRET_WORDS"
LIBRARIES = (
    "torch",
    "torchvision",
    "ultralytics",
    "onnx",
    "mlflow",
    "optuna",
    "numpy",
)  # beside those that engines run with


def cores() -> int:
    """Processor cores that this process may use (its affinity, not the machine's total)."""
    return len(usable_cores())


@functools.cache
def environment() -> Environment:
    """Describe this machine and installation; the host's name is left out on purpose."""
    cpu, memory, gpu = processor_name(), memory_gb(), _gpu()
    commit, dirty = _git()
    lock = ROOT / "requirements" / "base.txt"
    return Environment(
        host=hash_of([cpu, cores(), round(memory), gpu, platform.machine()]),
        cpu=cpu,
        cores=cores(),
        memory_gb=round(memory, 1),
        gpu=gpu,
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        libraries=_libraries(),
        git_commit=commit,
        git_dirty=dirty,
        lock_sha256=sha256_file(lock) if lock.is_file() else "",
    )


def _libraries() -> dict[str, str]:
    found = {}
    for name in dict.fromkeys([*LIBRARIES, *backends.distributions()]):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def memory_gb() -> float:
    """Memory that this process may use, GiB: the machine's, or its container's limit; 0.0 where nothing tells it."""
    if not hasattr(os, "sysconf"):
        return 0.0
    own = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            own = min(own, int(Path(limit).read_text(encoding="ascii")) / 2**30)
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return own


def _gpu() -> str:
    """Name of the first NVIDIA GPU, read without importing torch."""
    out = _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    return out.splitlines()[0] if out else ""


def _git() -> tuple[str, bool]:
    if not (ROOT / ".git").exists():  # a copy of the program may lie inside of somebody else's repository
        return "", False
    return _output("git", "rev-parse", "HEAD"), bool(_output("git", "status", "--porcelain"))


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def module() -> str | None:
    """The module that `python -m` runs; None when a file is run."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec.name.removesuffix(".__main__") if spec else None


def take_secret_words() -> None:
    """A worker's words that hold a secret come by the environment; they leave it here, before others inherit it."""
    sys.argv += json.loads(os.environ.pop(SECRET_WORDS, "[]"))


def command_line() -> str:
    """The command that is running, as a user would type it again."""
    program = f"python -m {module()}" if module() else "python " + Path(sys.argv[0]).name
    return " ".join([program, *sys.argv[1:]])
