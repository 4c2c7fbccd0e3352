"""Another Python than the program's own, with numpy and ONNX Runtime and nothing else, measures a bundle."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from src.benchmark.bundle.candidates import Asked
from src.benchmark.bundle.incoming import import_results
from src.benchmark.bundle.pack import pack
from src.decide.load import Saved
from tests.benchmark.bundle.conftest import QUICK

WANTED = ("3.9", "3.10", "3.12", "3.13", "3.14")  # the oldest first


def works(path: Path, version: str) -> bool:
    """Whether this is a Python of that version; a shim may be there and lead nowhere."""
    code = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    return done.returncode == 0 and done.stdout.strip() == version


def other_python() -> Path:
    """The oldest other Python at hand: on the path, or kept by pyenv or uv."""
    home = Path.home()
    kept = [Path(os.environ.get("PYENV_ROOT", home / ".pyenv")) / "versions", home / ".local/share/uv/python"]
    for version in WANTED:
        named = shutil.which(f"python{version}")
        places = [Path(named)] if named else []
        places += [path for folder in kept for path in sorted(folder.glob(f"*/bin/python{version}"))]
        for path in places:
            if version != ".".join(map(str, sys.version_info[:2])) and works(path, version):
                return path
    pytest.skip("no other Python is at hand")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment with numpy and ONNX Runtime."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    subprocess.run([str(other_python()), "-m", "venv", str(folder)], check=True, timeout=120)
    python = folder / "bin" / "python"
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "numpy", "onnxruntime"]
    done = subprocess.run(list(map(str, pip)), capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        pytest.skip(f"numpy and ONNX Runtime can't be had: {done.stderr.strip()[-300:]}")
    return python


@pytest.mark.slow
def test_it_passes_the_whole_run(home: Path, saved: Saved, bare: Path) -> None:
    pack(saved, home / "other", Asked(QUICK, engines=["onnxruntime", "openvino"]))
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        [bare, "-W", "error::DeprecationWarning:src", "run.py"],
        cwd=home / "other",
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    record = import_results(saved, home / "other" / "results.json", "old")
    assert record.environment.python != ".".join(map(str, sys.version_info[:3]))
    assert [(m.runtime, m.scope) for m in record.measurements] == [("onnxruntime", "model_only")]
    assert record.verifications[0].gate == "pass"
    assert record.verifications[0].extra["digests_equal"] == 1.0
    skipped = {f.target: f.message for f in record.failures}
    assert "pip install openvino" in skipped["openvino/onnx/fp32"]
    assert "OpenCV" in skipped["end_to_end"]
