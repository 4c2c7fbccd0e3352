"""What a bundle is made of: whole, light, and understood by the oldest Python that it may meet."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib

from src.benchmark.bundle.contents import MODULES, PYTHON, RUNTIMES, file_of, imports_of
from tests.conftest import ROOT

START = "src.benchmark.bundle.start"
HEAVY = {
    "hydra",
    "omegaconf",
    "torch",
    "cv2",
    "mlflow",
    "rich",
    "pandas",
    "scipy",
    "yaml",
    "onnxruntime",
    "cryptography",
}


def test_every_module_that_one_imports_is_there() -> None:
    needed = {name for module in (*MODULES, START) for name in imports_of(module)}
    assert needed <= set(MODULES)


def test_no_module_is_there_for_nothing() -> None:
    needed = {name for module in (*MODULES, START) for name in imports_of(module)}
    packages = {module.rpartition(".")[0] for module in MODULES}
    by_name = {f"src.runtime.{name}" for name in RUNTIMES} | {"src.benchmark.worker"}  # these are imported by name
    assert set(MODULES) - needed - packages - by_name == set()


def test_the_oldest_python_can_parse_them() -> None:
    for module in MODULES:
        ast.parse(file_of(module).read_text(encoding="utf-8"), feature_version=PYTHON)


def test_nothing_heavy_is_imported_with_them() -> None:
    names = [module for module in MODULES if module != "src"]
    code = f"import sys\nfor name in {names!r}: __import__(name)\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded & HEAVY == set()
    strangers = {name for name in done.stdout.split() if name.startswith("src.")} - set(MODULES)
    assert strangers == set()


def test_the_linter_holds_them_to_the_oldest_python() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    versions: dict[str, str] = settings["tool"]["ruff"]["per-file-target-version"]
    held = set()
    for pattern in versions:
        head, _, rest = pattern.partition("{")
        names, _, tail = rest.partition("}")
        held |= {f"{head}{name}{tail}" for name in names.split(",")} if rest else {pattern}
    assert {file_of(module).relative_to(ROOT).as_posix() for module in MODULES} - held == set()
