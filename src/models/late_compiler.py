"""Leaves PyTorch's compiler unloaded until something is compiled.

`torch._dynamo` and `torch._inductor` take two seconds of processor time to import, and every process that trains or
predicts would: torchvision imports a helper of theirs, an optimizer marks where a compiled graph has to break, and
`torch.use_deterministic_algorithms` sets an option. Nothing of that needs a compiler where none is used. So both names
stand for light modules here, which know those uses and load the compiler at any other.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

DYNAMO, INDUCTOR = "torch._dynamo", "torch._inductor"
PACKAGES = (DYNAMO, INDUCTOR)
UTILS, CONFIG = f"{DYNAMO}.utils", f"{INDUCTOR}.config"
NAMES = (*PACKAGES, UTILS, CONFIG)

_lock = threading.RLock()


class Late(ModuleType):
    """Stands for a module until something is asked of it that it doesn't know."""

    def __init__(self, name: str, known: dict[str, Any]) -> None:
        super().__init__(name)
        self.__dict__.update(known)

    def __getattr__(self, name: str) -> Any:
        # What looks at every imported module (`inspect`, `pickle`) asks for names like __file__.
        # And only a package has a __path__: whatever is imported from below it is asked for so.
        if name.startswith("__") and (name != "__path__" or self.__name__ not in PACKAGES):
            raise AttributeError(name)
        return getattr(_load(self.__name__), name)


class LateOptions(Late):
    """Options of the compiler: those that are set before it is loaded are set on it then."""

    def __setattr__(self, name: str, value: Any) -> None:
        if sys.modules.get(self.__name__) is self or name.startswith("__"):
            super().__setattr__(name, value)
        else:  # somebody has kept this module since before
            setattr(_load(self.__name__), name, value)

    def were_set(self) -> dict[str, Any]:
        """The options by name."""
        return {name: value for name, value in vars(self).items() if not name.startswith("__")}


def install() -> None:
    """Put the light modules in place, unless the compiler is loaded already; PyTorch itself need not be."""
    with _lock:
        if any(name in sys.modules for name in NAMES):
            return
        utils = Late(UTILS, {"is_compile_supported": _is_compile_supported})
        options = LateOptions(CONFIG, {})
        known = {"utils": utils, "disable": _disable, "graph_break": _graph_break}
        sys.modules |= {
            DYNAMO: Late(DYNAMO, known),
            UTILS: utils,
            INDUCTOR: Late(INDUCTOR, {"config": options}),
            CONFIG: options,
        }


def _load(name: str) -> ModuleType:
    """The module itself; nothing is light from then on."""
    with _lock:
        light = [found for key in NAMES if isinstance(found := sys.modules.get(key), Late)]
        for found in light:
            del sys.modules[found.__name__]
        module = importlib.import_module(name)
        for options in light:
            if isinstance(options, LateOptions):
                for key, value in options.were_set().items():
                    setattr(importlib.import_module(CONFIG), key, value)
        return module


def _disable(fn: Callable[..., Any] | None = None, recursive: bool = True, **words: Any) -> Any:
    """PyTorch's own functions that must not be compiled are left as they are; everybody else gets the real mark."""
    if fn is not None and words == {"wrapping": False}:
        return fn
    return _load(DYNAMO).disable(fn, recursive, **words)


def _graph_break(msg: str = "") -> None:
    """Nothing: no graph is being made."""


def _is_compile_supported(device_type: str) -> bool:
    return bool(_load(UTILS).is_compile_supported(device_type))
