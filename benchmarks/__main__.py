"""Measure the promised figures: `make bench`, or `make bench ARGS="startup data_gate"` for some of them.

Every module of this folder is one benchmark, run in a process of its own, one after the other, so that none disturbs
the next. What it prints is shown and kept in `outputs/bench/<name>.txt`.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
KEPT = HERE.parent / "outputs" / "bench"


def names() -> list[str]:
    """Benchmarks in this folder."""
    return sorted(p.stem for p in HERE.glob("*.py") if not p.stem.startswith("_"))


def title(name: str) -> str:
    """First line of a benchmark's own description."""
    text = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text(encoding="utf-8"))) or name
    return text.splitlines()[0]


def run(name: str) -> int:
    """Run one benchmark, show what it prints and keep it."""
    print(f"\n== {name}: {title(name)}", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}"], cwd=HERE.parent, stdout=subprocess.PIPE, text=True, check=False
    )
    print(done.stdout, end="", flush=True)
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{name}.txt").write_text(done.stdout, encoding="utf-8")
    return done.returncode


def main(asked: list[str]) -> int:
    """Run the benchmarks asked for, or all."""
    if unknown := [name for name in asked if name not in names()]:
        print(f"no such benchmark: {unknown[0]}; there are: {', '.join(names())}", file=sys.stderr)
        return 2
    return max([run(name) for name in asked or names()], default=0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
