"""Image loaders of other packages: what turns the bytes of a file into those of a picture.

For pictures that lie in a cloud (the file then holds an address), in a maker's own format, or under another encryption.
A package declares a loader as an entry point of the group `detsweep.image_loaders`. It is called with the bytes of a
file and its path, and returns the bytes of a JPEG, PNG, BMP, TIFF or WebP. It runs as code of the installed package, so
that it is refused unless `data.trust_loaders` says otherwise; it must be picklable, since loader processes get it.
Which one is in use stands in the environment, where every process that this one starts finds it.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
import pickle
from collections.abc import Callable
from typing import Any, Optional

from src.common import encryption
from src.common.errors import UserError

GROUP = "detsweep.image_loaders"
VARIABLE = "DETSWEEP_IMAGE_LOADER"
Loader = Callable[[bytes, str], bytes]  # contents and path of a file -> bytes of a picture


def use_loader(name: Optional[str], trusted: bool) -> None:  # noqa: UP045 - bundles run on Python 3.9
    """Read pictures through a loader, in this process and in those that it starts; None = as they are.

    Raises:
        UserError: it is not trusted, not installed, declared twice, broken, or can't be sent to other processes.
    """
    if name is None:
        os.environ.pop(VARIABLE, None)
        return
    if not trusted:
        raise UserError(
            "data.loader runs the code of another package on every picture",
            value=name,
            remedy="data.trust_loaders=true, where you trust that package",
        )
    _loaded(name)
    os.environ[VARIABLE] = name


def active() -> bool:
    """Whether pictures are read through a loader."""
    return bool(os.environ.get(VARIABLE))


def loader_identity() -> str:
    """Name and version of the loader in use: what it gave is not what another gives; "" without one."""
    name = os.environ.get(VARIABLE)
    return f"{name} {_loaded(name)[1]}" if name else ""


def may_be_shown() -> bool:
    """Whether pictures may be drawn and cached in clear: without a loader, or where its `clear` is true."""
    name = os.environ.get(VARIABLE)
    return not name or bool(getattr(_loaded(name)[0], "clear", False))


def is_private(path: str) -> bool:
    """Whether a picture must not be drawn or cached in clear: an encrypted one, or one of a loader that forbids it."""
    return not may_be_shown() or encryption.is_secret(path)


def through_loader(content: bytes, name: str) -> bytes:
    """The bytes of a picture, from those of a file.

    Raises:
        UserError: the loader failed, or returned something else.
    """
    loader = os.environ.get(VARIABLE)
    if not loader:
        return content
    try:
        found = _loaded(loader)[0](content, name)
    except UserError:
        raise
    except Exception as error:
        why = f"the image loader {loader} failed ({type(error).__name__}: {error})"
        raise UserError(why[:400], value=name, remedy="check the dataset, and what the loader needs") from None
    if not isinstance(found, bytes):
        kind = type(found).__name__
        raise UserError(f"the image loader {loader} returned {kind} instead of bytes", value=name)
    return found


@functools.cache
def _loaded(name: str) -> tuple[Loader, str]:
    """A loader by its name, and the package and version that it is of."""
    found = [e for e in _declared() if e.name == name]
    known = sorted({e.name for e in _declared()})
    if not found:
        raise UserError(
            "data.loader names no loader that an installed package declares",
            value=name,
            remedy=f"one of: {', '.join(known)}"
            if known
            else f"install the package that has it: none here declares one in the entry point group {GROUP}",
        )
    if len({e.value for e in found}) > 1:
        raise UserError("data.loader is declared by two packages", value=name, remedy="remove one of them")
    try:
        loader = found[0].load()
        if not callable(loader):
            raise TypeError("it can't be called")
        pickle.loads(pickle.dumps(loader))
    except Exception as error:
        what = f"data.loader can't be used: it must load, be callable and picklable ({type(error).__name__}: {error})"
        raise UserError(what[:400], value=found[0].value, remedy="ask its makers, or data.loader=null") from None
    package = getattr(found[0], "dist", None)
    return loader, f"{package.name} {package.version}" if package is not None else found[0].value


def _declared() -> list[Any]:
    return list(importlib.metadata.entry_points(group=GROUP))
