"""Artifact to session: one thin adapter per engine, imported only when asked for.

An engine that is not installed raises `Unavailable` with the remedy; a file that it can't read raises `UserError` with
the file's name. Processes of engines that need no torch don't import it.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from src.common.errors import Unavailable, UserError
from src.records.schema import Artifact
from src.runtime.protocol import Session

__all__ = ["CONCURRENT", "ENGINES", "Session", "availability", "load", "supports"]

# Engine -> the formats it runs, with their precisions ("*" = all).
ENGINES: dict[str, dict[str, tuple[str, ...]]] = {
    "pytorch": {"pytorch": ("*",)},
    "pytorch_compiled": {"pytorch": ("*",)},
    "torchscript": {"torchscript": ("*",)},
    "onnxruntime": {"onnx": ("*",)},
    "onnxruntime_openvino": {"onnx": ("fp32", "fp16", "int8")},
    "onnxruntime_tensorrt": {"onnx": ("fp32", "fp16")},
    "openvino": {"openvino": ("*",), "onnx": ("fp32", "fp16", "int8")},
    "litert": {"litert": ("*",)},
    "tensorrt": {"tensorrt": ("*",)},
    "tensorflow": {"savedmodel": ("*",)},
    "null": {"*": ("*",)},
}

# Engines whose session may be called from several threads at once; on the processor each call computes on the thread
# that makes it, and on the session's own threads beyond the first.
CONCURRENT = frozenset({"onnxruntime"})


def supports(runtime: str, fmt: str, precision: str) -> bool:
    """Whether an engine can run files of this format and precision."""
    formats = ENGINES.get(runtime, {})
    precisions = formats.get(fmt, formats.get("*", ()))
    return "*" in precisions or precision in precisions


def availability(runtime: str) -> None:
    """Check that an engine can be had here.

    Raises:
        UserError: no such engine.
        Unavailable: it is not installed, or its device is missing; the message gives the remedy.
    """
    if runtime not in ENGINES:
        raise UserError("unknown runtime", value=runtime, remedy=f"one of: {', '.join(ENGINES)}")
    importlib.import_module(f"src.runtime.{runtime}").check_available()


def load(runtime: str, artifact: Artifact, *, threads: int, device: str = "cpu", trust: bool = False) -> Session:
    """Load an artifact into an engine.

    Args:
        runtime: name of the engine.
        artifact: the model file.
        threads: threads that the engine may use.
        device: cpu, cuda or cuda:N.
        trust: allow a checkpoint that needs unsafe unpickling.

    Raises:
        UserError: no such engine, or the file is missing, damaged or of another kind.
        Unavailable: the engine, or the format in it, can't be had here.
    """
    availability(runtime)
    if not supports(runtime, artifact.format, artifact.precision):
        raise Unavailable(f"{runtime} does not run {artifact.label}")
    if not Path(artifact.path).exists():
        raise UserError("the model file does not exist", value=artifact.path, remedy="export it again")
    module = importlib.import_module(f"src.runtime.{runtime}")
    session: Session = module.load(artifact, threads, device, trust)
    return session
