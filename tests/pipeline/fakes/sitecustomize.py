"""Python imports this where the folder is on PYTHONPATH: trainings are then those of `tests.pipeline.faults`."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PATCHED = {
    "src.models.base": ("MODULES",),
    "src.pipeline.trial": ("evaluate_checkpoint",),
    "src.pipeline.finish": ("_finalise",),
}


class Patch:
    """Finds the modules that are patched, and replaces names in them once they have been loaded."""

    def __init__(self) -> None:
        self._left = dict(PATCHED)

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The module's own spec, with a loader that patches."""
        names = self._left.pop(name, ())
        spec = importlib.util.find_spec(name) if names else None
        if spec is None:
            return None
        loader: Any = spec.loader
        load = loader.exec_module

        def exec_module(module: Any) -> None:
            load(module)
            from tests.pipeline import faults

            for each in names:
                setattr(module, each, getattr(faults, each))

        loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Patch())  # type: ignore[arg-type]
