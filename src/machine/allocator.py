"""Memory that a training frees and takes again with every batch stays with the process meanwhile.

The C library gives large blocks back to the system as soon as they are free. A training takes the same hundreds of
megabytes anew in every batch, and the system clears each page of them first: 2 % of the processor's time. How much
memory a training needs at most stays the same.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # parameters of glibc's mallopt (malloc.h)
MOST = (1 << 31) - 1  # bytes: as much as mallopt takes


def keep_freed() -> bool:
    """Keep what is freed from now on; false where the C library has no such choice (only glibc has)."""
    library = _library()
    if library is None:
        return False
    return bool(library.mallopt(MMAP_THRESHOLD, MOST) and library.mallopt(TRIM_THRESHOLD, MOST))


def give_back() -> None:
    """Return what is free to the system: other processes are about to be measured."""
    if (library := _library()) is not None:
        library.malloc_trim(0)


@functools.cache
def _library() -> Any:
    try:
        library = ctypes.CDLL(None)
        return library if library.mallopt and library.malloc_trim else None
    except (AttributeError, OSError, TypeError):  # another C library; Windows has no such handle at all
        return None
