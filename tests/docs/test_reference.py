"""The tables of docs/reference.md are complete, and every page of docs/ stands in the index."""

from __future__ import annotations

import ast
import re

import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
VARIABLES, KEYS = PAGE.split("## Keys of decision.json")
UNRESOLVED = {"variable"}  # `_whose` in src/track/store_location.py is given two names that are constants there


def constants(tree: ast.Module) -> dict[str, str]:
    """Names of a module that stand for one text."""
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            target = node.targets[0]
            names, values = (target, node.value) if isinstance(target, ast.Name) else (None, None)
            pairs = [(names, values)] if names else []
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=True))  # type: ignore[arg-type]
            for name, value in pairs:
                if isinstance(name, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, str):
                    found[name.id] = value.value
    return found


def is_environ(node: ast.expr) -> bool:
    return ast.unparse(node) in ("os.environ", "environ")


def reads(tree: ast.Module) -> list[ast.expr]:
    """What a module reads from the environment: the first argument, or the index."""
    found: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("getenv"):
            found.append(node.args[0])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and is_environ(node.func.value):
            found += node.args[:1] if node.func.attr in ("get", "pop") else []
        elif isinstance(node, ast.Subscript) and is_environ(node.value) and isinstance(node.ctx, ast.Load):
            found.append(node.slice)
        elif isinstance(node, ast.Compare) and any(is_environ(c) for c in node.comparators):
            found.append(node.left)
    return found


def variables() -> set[str]:
    found: set[str] = set()
    for path in sorted((ROOT / "src").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        known = constants(tree)
        found |= set(re.findall(r"\bDETSWEEP_[A-Z_]+", text))
        for node in reads(tree):
            name = node.value if isinstance(node, ast.Constant) else known.get(ast.unparse(node))
            assert name is not None or ast.unparse(node) in UNRESOLVED, f"{path}: {ast.unparse(node)}"
            found |= {str(name)} if name else set()
    return found


def test_every_environment_variable_that_is_read_stands_in_the_table() -> None:
    found = variables()
    assert {"MLFLOW_TRACKING_URI", "DETSWEEP_OFFLINE", "SLURM_CPUS_PER_TASK", "COCO128_DIR"} <= found
    assert found <= set(re.findall(r"^\| `([A-Z0-9_]+)` \|", VARIABLES, re.M))


def test_no_variable_stands_in_the_table_that_the_program_does_not_know() -> None:
    source = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "src").rglob("*.py"))
    assert [v for v in re.findall(r"^\| `([A-Z0-9_]+)` \|", VARIABLES, re.M) if v not in source] == []


@pytest.mark.parametrize("name", ["decision", "comparisons"])
def test_every_key_of_decision_json_stands_in_the_table(name: str) -> None:
    tree = ast.parse((ROOT / f"src/report/{name}.py").read_text(encoding="utf-8"))
    keys = {k for node in ast.walk(tree) if isinstance(node, ast.Dict) for k in node.keys if k is not None}
    written = {k.value if isinstance(k, ast.Constant) else "latency_…_ms" for k in keys}
    assert len(written) > 10
    assert written <= set(re.findall(r"\| `([^`]+)` \|", KEYS))


def test_every_page_stands_in_the_index() -> None:
    index = set(re.findall(r"\]\(([a-z-]+\.md)\)", (ROOT / "docs/README.md").read_text(encoding="utf-8")))
    assert index == {p.name for p in (ROOT / "docs").glob("*.md")} - {"README.md"}
