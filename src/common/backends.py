"""The formats and the engines there are: which module holds each, and what that module says of itself.

Adding one takes its module, a row here and a YAML in `conf/export/` or `conf/runtime/`. The module opens with its
facts, `FORMAT` or `ENGINE`; whoever needs one (checks of the configuration, the search for model files, prediction,
promotion, the record of the environment) asks here. The tables hold names, not modules, so that low rooms reach facts
of rooms above them without importing those: a module is imported when its facts are first asked for, which brings
numpy at most and never torch or an engine.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType

from src.common.errors import Unavailable

Names = tuple[str, ...]  # distributions that bring the same module; the first one installed counts
ANY = ("*",)

FORMATS = {
    "pytorch": "src.export.pytorch",
    "torchscript": "src.export.torchscript",
    "onnx": "src.export.onnx",
    "openvino": "src.export.openvino",
    "litert": "src.export.litert",
    "tensorrt": "src.export.tensorrt",
    "savedmodel": "src.export.savedmodel",
}
RUNTIMES = {
    "pytorch": "src.runtime.pytorch",
    "pytorch_compiled": "src.runtime.pytorch_compiled",
    "torchscript": "src.runtime.torchscript",
    "onnxruntime": "src.runtime.onnxruntime",
    "onnxruntime_openvino": "src.runtime.onnxruntime_openvino",
    "onnxruntime_tensorrt": "src.runtime.onnxruntime_tensorrt",
    "openvino": "src.runtime.openvino",
    "litert": "src.runtime.litert",
    "tensorrt": "src.runtime.tensorrt",
    "tensorflow": "src.runtime.tensorflow",
    "null": "src.runtime.null",
}


@dataclass(frozen=True)
class Format:
    """What a format says of itself."""

    precisions: tuple[str, ...]
    suffix: str = ""  # of its files, by which one in a folder of models is known; "" = it is not looked for
    contents: tuple[str, ...] = ()  # patterns that a folder of it holds files of, where it is a folder
    needs: Mapping[str, str] = field(default_factory=dict)  # module that exporting imports -> its distribution
    install: str = ""  # how to get them


@dataclass(frozen=True)
class Engine:
    """What a runtime says of itself."""

    runs: Mapping[str, tuple[str, ...]]  # format -> precisions; "*" = all
    needs: Mapping[str, str] = field(default_factory=dict)  # module that it imports -> its distribution
    install: str = ""  # how to get them
    packages: tuple[Names, ...] = ()  # what a served model needs on it
    # Whether a session may be called from several threads at once; on the processor each call then computes on the
    # thread that makes it, and on the session's own threads beyond the first.
    concurrent: bool = False
    preference: int | None = None  # predict takes the lowest that runs a file here; None = only where it is named

    def supports(self, fmt: str, precision: str) -> bool:
        """Whether it can run files of this format and precision."""
        precisions = self.runs.get(fmt, self.runs.get("*", ()))
        return "*" in precisions or precision in precisions


def format_module(name: str) -> ModuleType:
    """The module of a format.

    Raises:
        KeyError: there is no such format.
    """
    return importlib.import_module(FORMATS[name])


def runtime_module(name: str) -> ModuleType:
    """The module of a runtime.

    Raises:
        KeyError: there is no such runtime.
    """
    return importlib.import_module(RUNTIMES[name])


def format_facts(name: str) -> Format:
    """What a format says of itself.

    Raises:
        KeyError: there is no such format.
    """
    facts: Format = format_module(name).FORMAT
    return facts


def engine_facts(name: str) -> Engine:
    """What a runtime says of itself.

    Raises:
        KeyError: there is no such runtime.
    """
    facts: Engine = runtime_module(name).ENGINE
    return facts


def is_target(text: str) -> bool:
    """Whether there is such a `format/precision`; only the module of that format is imported to tell."""
    fmt, _, precision = text.partition("/")
    return fmt in FORMATS and precision in format_facts(fmt).precisions


def targets() -> list[str]:
    """Every `format/precision`."""
    return [f"{name}/{precision}" for name in FORMATS for precision in format_facts(name).precisions]


def suffixes() -> dict[str, str]:
    """Suffix of a file -> its format."""
    return {facts.suffix: name for name in FORMATS if (facts := format_facts(name)).suffix}


def folders() -> dict[str, tuple[str, ...]]:
    """Formats that are folders -> the patterns that one holds files of."""
    return {name: facts.contents for name in FORMATS if (facts := format_facts(name)).contents}


def by_preference() -> list[str]:
    """The runtimes that predict may choose by itself, the best first."""
    ranks = {name: engine_facts(name).preference for name in RUNTIMES}
    return sorted((name for name, rank in ranks.items() if rank is not None), key=lambda name: ranks[name] or 0)


@functools.cache
def distributions() -> tuple[str, ...]:
    """Distributions that engines run with, each once, in the order of the table."""
    # A bundle for another machine carries some of the engines only.
    there = [runtime for runtime, module in RUNTIMES.items() if importlib.util.find_spec(module) is not None]
    names = (name for runtime in there for group in engine_facts(runtime).packages for name in group)
    return tuple(dict.fromkeys(names))


def require(facts: Format | Engine) -> None:
    """Check that the libraries are installed, without importing them.

    Raises:
        Unavailable: one is not; the message gives the remedy.
    """
    for module, distribution in facts.needs.items():
        if importlib.util.find_spec(module) is None:
            raise Unavailable(f"{distribution} is not installed; {facts.install}")
