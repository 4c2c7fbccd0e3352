"""What libraries say while they train goes to a file: the terminal shows this program's own lines."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

NAME = "training.log"
TRACE = "__trace"  # of torch: every graph that it compiles, for its own tools
LIBRARIES = ("torch", "torchvision", "torchao", "transformers", "huggingface_hub", "timm", "py.warnings")


@contextmanager
def training_log(path: Path, *, also: str = "") -> Iterator[None]:
    """Send what libraries log, warn of and print to a file, which is left away where nothing was said.

    Some libraries' handlers hold the terminal from when they were made: exchanging `sys.stderr` alone isn't enough.

    Args:
        path: of the file.
        also: a logger whose progress is wanted too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(message)s"))
    logging.captureWarnings(True)
    kept = [_Kept(logger) for logger in _loggers(*LIBRARIES, also)]
    try:
        for one in kept:
            one.send_to(handler)
        if also:
            logging.getLogger(also).setLevel(logging.INFO)
        # Some progress bars are drawn whatever a library's verbosity is.
        with redirect_stdout(handler.stream), redirect_stderr(handler.stream):
            yield
    finally:
        logging.captureWarnings(False)
        for one in kept:
            one.restore(handler)
        _return_from(handler)
        handler.close()
        if path.is_file() and path.stat().st_size == 0:
            path.unlink()


class _Kept:
    """How a logger was set."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._before = logger.handlers[:], logger.propagate, logger.level

    def send_to(self, handler: logging.Handler) -> None:
        self._logger.handlers[:] = [handler]
        self._logger.propagate = False

    def restore(self, handler: logging.Handler) -> None:
        """As it was, unless its library has set it up meanwhile, when it was imported."""
        if self._logger.handlers != [handler]:
            self._logger.removeHandler(handler)
            return
        self._logger.handlers[:], self._logger.propagate, level = self._before
        self._logger.setLevel(level)


def _loggers(*names: str) -> list[logging.Logger]:
    """The loggers of libraries, and those below them that have handlers of their own."""
    tops = [name for name in names if name]
    known = [name for name, one in logging.root.manager.loggerDict.items() if getattr(one, "handlers", [])]
    below = [name for name in known if any(name.startswith(f"{top}.") for top in tops) and not name.endswith(TRACE)]
    return [logging.getLogger(name) for name in dict.fromkeys([*tops, *below])]


def _return_from(handler: logging.FileHandler) -> None:
    """Turn back what libraries made meanwhile, when they were imported: the file is closed."""
    for logger in logging.root.manager.loggerDict.values():
        for one in getattr(logger, "handlers", []):
            if one is not handler and isinstance(one, logging.StreamHandler) and one.stream is handler.stream:
                one.setStream(sys.stderr)
