"""A saved sweep, a bundle of it and its results, made once; each test changes a copy."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from src.benchmark import worker
from src.benchmark.bundle import run
from src.benchmark.bundle.candidates import Asked
from src.benchmark.bundle.pack import pack
from src.config.schema import BenchmarkConfig
from src.decide.load import Saved, load_sweep
from tests.benchmark.bundle.squares import make_sweep

MEASURE = importlib.import_module("src.benchmark.measure")  # the package has a function of that name
QUICK = BenchmarkConfig(name="test", warmup=2, min_seconds=0.0, min_samples=140, max_seconds=5, rounds=2)


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sweep in `outputs`, its bundle in `bundle`, and the results of a run in `bundle/results.json`."""
    home = tmp_path_factory.mktemp("squares")
    saved = load_sweep(make_sweep(home))
    pack(saved, home / "bundle", Asked(QUICK))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MEASURE, "run_job", in_this_process)
        assert run.main(home / "bundle", []) == 0
    return home


@pytest.fixture
def home(original: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    for name in ("outputs/sweeps", "bundle"):
        shutil.copytree(original / name, tmp_path / name)
    (tmp_path / "outputs" / "datasets").symlink_to(original / "outputs" / "datasets")
    return tmp_path


@pytest.fixture
def saved(home: Path) -> Saved:
    """The sweep of the copy."""
    return load_sweep(home / "outputs" / "sweeps" / "squares")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks run in this process: what is tested is not the isolation."""
    monkeypatch.setattr(MEASURE, "run_job", in_this_process)


def in_this_process(job: Mapping[str, Any], **_: object) -> dict[str, Any]:
    """What `run_job` answers, without a process of its own."""
    answer: dict[str, Any] = worker.JOBS[job["kind"]](dict(job))
    return answer
