"""The notebooks run, cell by cell.

Jupyter is no dependency of the project, so a small runner stands in for it here: code cells in order in one namespace,
and lines that begin with `!` as commands, with Python expressions in braces, as IPython has it. It shows nothing.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def code_of(path: Path) -> list[str]:
    """The code cells of a notebook."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def run_notebook(path: Path) -> dict[str, Any]:
    """Run a notebook and return its namespace; a command that fails ends it, which IPython would not do."""
    names: dict[str, Any] = {}

    def shell(command: str) -> None:
        filled = re.sub(r"\{([^{}]+)\}", lambda found: str(eval(found[1], names)), command)
        done = subprocess.run(["bash", "-c", filled], capture_output=True, text=True, timeout=1800, check=False)
        assert done.returncode == 0, f"{filled}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"

    names["_shell"] = shell
    for cell in code_of(path):
        exec(compile(re.sub(r"(?m)^!(.+)$", lambda found: f"_shell({found[1]!r})", cell), path.name, "exec"), names)
    return names


def test_there_is_one_for_each_job() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["benchmark", "comparison", "training"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_is_plain_and_its_commands_exist(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    assert all(not cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code")
    modules = re.findall(r"^!.*-m (src\.\w+)", "\n".join(code_of(path)), re.MULTILINE)
    assert modules
    assert all(importlib.util.find_spec(name) for name in modules)
    assert "/home/" not in path.read_text(encoding="utf-8")


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the notebooks write."""
    monkeypatch.setenv("DETSWEEP_NOTEBOOK_OUT", str(tmp_path))
    monkeypatch.chdir(ROOT)
    return tmp_path


@pytest.mark.slow
def test_what_was_trained_is_benchmarked(out: Path) -> None:
    run_notebook(ROOT / "notebooks" / "training.ipynb")
    assert list((out / "outputs").rglob("detect.py"))
    run_notebook(ROOT / "notebooks" / "benchmark.ipynb")
    assert (out / "outputs" / "notebook-bench" / "benchmark.csv").is_file()
    assert Path.cwd() == ROOT


@pytest.mark.slow
def test_a_comparison_ends_in_a_decision(out: Path) -> None:
    found = run_notebook(ROOT / "notebooks" / "comparison.ipynb")
    assert found["decision"]["verdict"] in ("approve", "conditional", "reject")
    assert (out / "reports" / "notebook-comparison" / "decision.md").is_file()
