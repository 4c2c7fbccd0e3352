"""What all tests share: no network, few threads, and the project's commands as a user types them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ["DETSWEEP_OFFLINE"] = "1"
if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1:  # each worker has a core: more threads would only wait
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
# A busy machine draws slowly: that is no finding about the code.
settings.register_profile("any_machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_machine")
pytest_plugins = ["tests.fixtures"]
ROOT = Path(__file__).resolve().parent.parent

Command = Callable[..., subprocess.CompletedProcess[str]]


def without_gpu() -> str:
    """Why tests of the GPU can't run on this machine; "" where they can."""
    try:
        import torch
    except ImportError:
        return "torch is not installed"
    return "" if torch.cuda.is_available() else "torch finds no NVIDIA GPU"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a GPU where there is none, before its fixtures cost anything."""
    if item.get_closest_marker("gpu") is not None and (reason := without_gpu()):
        pytest.skip(reason)


def coco128() -> Path | None:
    """Folder of the COCO128 photographs, where they are at hand."""
    places = [os.environ.get("COCO128_DIR"), ROOT.parent / "shared" / "data" / "coco128"]
    return next((Path(p) for p in places if p and Path(p).is_dir()), None)


@pytest.fixture
def coco128_dir() -> Path:
    """The COCO128 folder; the test is skipped where there is none."""
    found = coco128()
    if found is None:
        pytest.skip("COCO128 photographs are not at hand (set COCO128_DIR)")
    return found


def run_command(module: str, *words: str, timeout: float = 300, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m MODULE WORDS…` from the project's root and return what it printed."""
    return subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture
def command() -> Command:
    """Runs the project's commands."""
    return run_command
