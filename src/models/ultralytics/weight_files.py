"""`last.pt` and `best.pt` at less cost: written without what is kept elsewhere, read again only where they differ.

Imported only when a training begins.
"""

from __future__ import annotations

import filecmp
import functools
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ultralytics.utils import torch_utils

from src.common.whole_files import copy_whole

utils: Any = torch_utils  # its names are not exported in the sense of type checkers


class _Empty:
    """Stands in for the optimizer while a checkpoint is written."""

    def state_dict(self) -> dict[str, Any]:
        return {"state": {}}


@contextmanager
def without_optimizer(trainer: Any) -> Iterator[None]:
    """Checkpoints that are written within hold no optimizer.

    It is four fifths of a file, which would be written twice an epoch, beside the state that has it too, and read again
    to be stripped. Whoever loads such a checkpoint to go on from it takes the optimizer from that state.
    """
    optimizer, trainer.optimizer = trainer.optimizer, _Empty()
    try:
        yield
    finally:
        trainer.optimizer = optimizer


class HalfCopy:
    """The network that checkpoints are written from: made once, and given the average's tensors at every later epoch.

    Ultralytics copies the whole average each time, with every object that its layers are made of: that takes as long as
    writing the file.
    """

    def __init__(self) -> None:
        self._copy: Any = None

    @contextmanager
    def of(self, average: Any, module: Any) -> Iterator[None]:
        """Within, the trainer's module gets this copy where it asks for one of the average."""
        plain = module.deepcopy

        def copied(found: Any, *memo: Any) -> Any:
            return self._refreshed(average, plain) if found is average else plain(found, *memo)

        module.deepcopy = copied
        try:
            yield
        finally:
            module.deepcopy = plain

    def _refreshed(self, average: Any, plain: Any) -> Any:
        import torch

        now = average.state_dict()
        then = self._copy.state_dict() if self._copy is not None else {}
        if now.keys() != then.keys():
            self._copy = plain(average).half().to(memory_format=torch.contiguous_format)
            return self._copy
        for name, value in now.items():
            then[name].copy_(value)
        return self._copy


def strip(last: Path, best: Path) -> None:
    """Bring both checkpoints into the form that is left: half precision, no training state, results of all epochs."""
    same = filecmp.cmp(last, best, shallow=False)
    stripped = utils.strip_optimizer(last)
    if same:
        copy_whole(last, best)
    else:
        utils.strip_optimizer(best, updates={"train_results": stripped.get("train_results")})


@functools.cache
def leave_imports_alone() -> None:
    """Take what there is out of later collections, once: a third of a second each time, for modules and classes."""
    gc.freeze()
