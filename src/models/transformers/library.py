"""The library, kept from the network: it builds networks and renames tensors here, and fetches nothing."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
from collections.abc import Iterator
from typing import Any


def library() -> Any:
    """The package `transformers`: its constructors take keys that its types don't know.

    Its hub client reads `HF_HUB_OFFLINE` once, when it is imported, which may have happened before.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # What is imported with it speaks to torch's developers there, and no user can mend it.
    logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)
    constants: Any = importlib.import_module("huggingface_hub.constants")
    constants.HF_HUB_OFFLINE = True
    return importlib.import_module("transformers")


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without its progress bars and its report on loading: what is taken over is told in this program's own log."""
    talk: Any = importlib.import_module("transformers.utils.logging")
    level, bars = talk.get_verbosity(), talk.is_progress_bar_enabled()
    talk.set_verbosity_error()
    talk.disable_progress_bar()
    try:
        yield
    finally:
        talk.set_verbosity(level)
        if bars:
            talk.enable_progress_bar()
