"""Draw docs/images/architecture.png and write docs/architecture.json from the imports in src/ (`make architecture`).

The layers come from the import contract in pyproject.toml. The JSON holds every arrow; a test compares it with
the imports of today. The picture leaves out arrows that follow from others, or it could not be read.
"""

import ast
import json
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs/images/architecture.png"
ARROWS = ROOT / "docs/architecture.json"

# Rooms moved aside, 0 to 12 across, so that no line passes behind a box that it doesn't belong to.
ASIDE = {
    "run": 4.0, "sweep_plugin": 4.0, "pipeline": 4.0, "predict": 1.0, "promote": 10.0, "monitor": 7.0, "report": 8.2,
    "benchmark": 1.2,
    "export": 4.2, "sweeper": 5.6, "runtime": 2.2, "models": 3.2, "evaluate": 7.4, "data": 1.4, "inference": 3.4,
    "decide": 8.8, "track": 10.8,
}  # fmt: skip

Arrows = dict[str, list[str]]


def layers() -> list[list[str]]:
    """The rooms from the top layer down, as the contract lists them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    found = next(c["layers"] for c in contracts if c["type"] == "layers")
    return [[room.strip() for room in layer.split("|")] for layer in found]


def exceptions() -> set[tuple[str, str]]:
    """Imports that the contract of layers leaves out: those of entry points, by module."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    ignored = next(c.get("ignore_imports", []) for c in contracts if c["type"] == "layers")
    return {(source.strip(), target.strip()) for source, _, target in (line.partition("->") for line in ignored)}


def arrows() -> Arrows:
    """For each room the other rooms that it imports; what the contract leaves out is left out here."""
    found: dict[str, set[str]] = {room: set() for layer in layers() for room in layer}
    left_out = exceptions()
    for file in sorted((ROOT / "src").rglob("*.py")):
        parts = file.relative_to(ROOT / "src").with_suffix("").parts
        own = ".".join(("src", *parts))
        modules = [m for m in _imports(file) if (own, m.rpartition(".")[0]) not in left_out]
        if parts[0] != "__init__":
            found[parts[0]] |= {t for m in modules if (t := m.split(".")[1]) in found and t != parts[0]}
    return {room: sorted(targets) for room, targets in found.items()}


def _imports(file: Path) -> list[str]:
    modules: list[str] = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            modules += [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules += [f"{node.module}.{a.name}" for a in node.names]
    return [m for m in modules if m.startswith("src.")]


def essential(full: Arrows) -> Arrows:
    """The arrows that no longer path implies."""
    return {
        s: [t for t in ts if not any(t in _reach(full, other) for other in ts if other != t)] for s, ts in full.items()
    }


def _reach(full: Arrows, room: str) -> set[str]:
    return set(full[room]).union(*(_reach(full, t) for t in full[room]))


def draw(path: Path = PICTURE) -> None:
    """One row of boxes a layer; lines lie under the boxes, so that none crosses a name."""
    from matplotlib.figure import Figure

    rows = layers()
    place = {r: (ASIDE.get(r, (i + 0.5) * 12 / len(row)), -y) for y, row in enumerate(rows) for i, r in enumerate(row)}
    figure = Figure(figsize=(11, 12))
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.98))
    for source, targets in essential(arrows()).items():
        for target in targets:
            (x, y), (u, v) = place[source], place[target]
            bend = 0.0 if y - v <= 1 else 0.12 if u <= x else -0.12
            style = {"arrowstyle": "-|>", "color": "#5b7fa6", "lw": 1.1, "connectionstyle": f"arc3,rad={bend}"}
            axes.annotate("", xy=(u, v + 0.24), xytext=(x, y - 0.24), arrowprops=style, zorder=1)
    for room, (x, y) in place.items():
        box = {"boxstyle": "round,pad=0.5", "fc": "white", "ec": "#24405c"}
        axes.text(x, y, room, ha="center", va="center", fontsize=13, bbox=box, zorder=3)
    axes.set(xlim=(0, 12), ylim=(0.5 - len(rows), 0.5))
    axes.axis("off")
    figure.savefig(path, dpi=90)


def main() -> None:
    """Write both files."""
    ARROWS.write_text(json.dumps(arrows(), indent=2) + "\n")
    draw()


if __name__ == "__main__":
    main()
