"""What is imported is declared: a library that comes along with another may leave with it."""

from __future__ import annotations

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions

from tests.conftest import ROOT

# Modules whose distribution can't be asked for where it is not installed -> its name.
NAMED = {
    "ai_edge_litert": "ai-edge-litert", "ai_edge_quantizer": "litert-torch", "cv2": "opencv-python", "dvc": "dvc",
    "litert_torch": "litert-torch", "nncf": "nncf", "onnx2tf": "onnx2tf", "openvino": "openvino",
    "optuna_dashboard": "optuna-dashboard", "pynvml": "nvidia-ml-py", "ray": "hydra-ray-launcher",
    "roboflow": "roboflow", "tensorflow": "tensorflow", "tensorrt": "tensorrt", "torch_tensorrt": "tensorrt",
}  # fmt: skip


def imported() -> dict[str, str]:
    """Third-party modules that src imports -> a file that does."""
    found = {}
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in names:
                found[name.partition(".")[0]] = path.relative_to(ROOT).as_posix()
    return {n: p for n, p in found.items() if n not in sys.stdlib_module_names and n != "src"}


def declared() -> set[str]:
    """Names of the distributions in pyproject.toml, extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    cut = str.maketrans(dict.fromkeys("[=<>; ", "\0"))
    return {line.translate(cut).partition("\0")[0].lower().replace("_", "-") for line in lines}


def test_every_imported_library_is_declared() -> None:
    known, owners = declared(), packages_distributions()
    missing = {}
    for module, path in imported().items():
        names = [NAMED[module]] if module in NAMED else owners.get(module, [module])
        if not {name.lower().replace("_", "-") for name in names} & known:
            missing[module] = path
    assert missing == {}
