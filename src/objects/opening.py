"""Opens the store that an address names, so that each of its calls outlasts a store that is away for a while."""

from __future__ import annotations

from typing import cast

from src.common.retrying import RETRY_S, retried
from src.objects.address import parse_address
from src.objects.filesystems import Filesystem
from src.objects.protocol import AwayError, Objects
from src.objects.s3 import S3

OUTLASTING = ("put", "write", "make", "size", "read", "fetch", "keys")


def open_objects(url: str, key: str, retry_s: float = RETRY_S) -> Objects:
    """The store at an address, checked.

    Args:
        url: as typed.
        key: of the configuration, for messages.
        retry_s: seconds for which a store that is away is asked again.

    Raises:
        UserError: the address is wrong, a package is missing, or the store is not to be had.
    """
    address = parse_address(url, key)
    opened: S3 | Filesystem = S3(address, key) if address.scheme == "s3" else Filesystem(address, key)
    opened.check()
    return outlasting(cast(Objects, opened), retry_s)


def outlasting(objects: Objects, retry_s: float) -> Objects:
    """A store whose calls are made again while it is away.

    An object that was made without the answer's arriving is found made: `make` then says that somebody else did.
    Whoever makes one therefore reads what it holds.
    """
    for name in OUTLASTING:
        call = retried(getattr(objects, name), is_away, f"the store {objects.url}", retry_s)
        setattr(objects, name, call)
    return objects


def is_away(error: BaseException) -> bool:
    """Whether the store did not answer."""
    return isinstance(error, AwayError)
