"""What a bundle's runner is made of: these very modules of the program, copied as they are.

None imports anything but the standard library and numpy when it is imported, and all run on Python 3.9: an import
contract in pyproject.toml, and tests, hold it. Engines and OpenCV are imported inside the functions that need them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from src.common.root import ROOT

PYTHON = (3, 9)  # the oldest that it runs on
MODULES = (
    "src",
    "src.benchmark",
    "src.benchmark.bundle",
    "src.benchmark.bundle.available",
    "src.benchmark.bundle.device_run",
    "src.benchmark.bundle.plan",
    "src.benchmark.bundle.references",
    "src.benchmark.bundle.results",
    "src.benchmark.bundle.run",
    "src.benchmark.bundle.said",
    "src.benchmark.bundle.work",
    "src.benchmark.disturbance",
    "src.benchmark.latency",
    "src.benchmark.measure",
    "src.benchmark.memory",
    "src.benchmark.pictures",
    "src.benchmark.roofline",
    "src.benchmark.rounds",
    "src.benchmark.stats",
    "src.benchmark.summary",
    "src.benchmark.worker",
    "src.common",
    "src.common.backends",
    "src.common.decoders",
    "src.common.encryption",
    "src.common.errors",
    "src.common.hashes",
    "src.common.image_files",
    "src.common.image_loaders",
    "src.common.json_values",
    "src.common.root",
    "src.common.samples",
    "src.common.speed",
    "src.common.statistics",
    "src.common.whole_files",
    "src.inference",
    "src.inference.comparable",
    "src.inference.decode",
    "src.inference.detector",
    "src.inference.nms",
    "src.inference.preprocess",
    "src.inference.tiles",
    "src.inference.types",
    "src.machine",
    "src.machine.abilities",
    "src.machine.answers",
    "src.machine.energy",
    "src.machine.environment",
    "src.machine.heat",
    "src.machine.isolation",
    "src.machine.parent_process",
    "src.machine.processor",
    "src.records",
    "src.records.model_io",
    "src.records.parsing",
    "src.records.relative_paths",
    "src.records.schema",
    "src.records.sweep_folder",
    "src.records.tiling",
    "src.runtime",
    "src.runtime.litert",
    "src.runtime.null",
    "src.runtime.onnxruntime",
    "src.runtime.onnxruntime_openvino",
    "src.runtime.onnxruntime_tensorrt",
    "src.runtime.openvino",
    "src.runtime.protocol",
    "src.runtime.tensorflow",
    "src.runtime.tensorrt",
)
# Engines of PyTorch are left out: they load checkpoints through the families' own libraries.
RUNTIMES = tuple(
    name.rpartition(".")[2] for name in MODULES if name.startswith("src.runtime.") and not name.endswith("protocol")
)


def file_of(module: str) -> Path:
    """The file of a module."""
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imports_of(module: str) -> Iterator[str]:
    """Modules of the program that one imports, anywhere in it."""
    for node in ast.walk(ast.parse(file_of(module).read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [item.name for item in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{item.name}" for item in node.names)]
        yield from (name for name in names if name.split(".")[0] == "src" and file_of(name).is_file())
