"""A store that fsspec reaches: a folder, memory, or another service whose package is installed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from src.common.errors import UserError
from src.common.redaction import redact_text
from src.common.whole_files import aside_of, is_aside
from src.objects.address import EXAMPLES, Address
from src.objects.protocol import AwayError


class Filesystem:
    """A folder of one of fsspec's file systems.

    Args:
        address: of the store.
        key: of the configuration, for messages.

    Raises:
        UserError: fsspec does not know the scheme, or lacks a package for it.
    """

    def __init__(self, address: Address, key: str) -> None:
        import fsspec

        try:
            self._fs, root = fsspec.core.url_to_fs(
                address.url if address.host else f"{address.scheme}:///{address.path}"
            )
        except (ImportError, ValueError) as error:
            raise UserError(f"{key}: {redact_text(str(error))[:300]}", value=address.url, remedy=EXAMPLES) from None
        self.url, self._key, self._root = address.url, key, str(root).rstrip("/")
        self._local = address.scheme == "file"  # the only one whose objects are not whole by nature

    def check(self) -> None:
        """Look whether the folder is there."""
        there = self._local and not Path(self._root).is_dir()
        if there:
            remedy = "make it beforehand: a typing error would be a store of its own"
            raise UserError(f"{self._key} names a folder that does not exist", value=self.url, remedy=remedy)

    def put(self, key: str, file: Path) -> None:
        """Copy a file."""
        with _translated(), self._aside(key) as place:
            self._fs.put_file(str(file), place)

    def write(self, key: str, content: bytes) -> None:
        """Store bytes."""
        with _translated(), self._aside(key) as place:
            self._fs.pipe_file(place, content)

    def make(self, key: str, content: bytes) -> bool:
        """Store bytes where there is nothing yet."""
        try:
            self._make(key, content)
        except FileExistsError:
            return False
        return True

    def _make(self, key: str, content: bytes) -> None:
        place = self._place(key)
        with _translated():
            if not self._local:
                self._fs.pipe_file(place, content, mode="create")
                return
            aside = aside_of(Path(place))
            aside.parent.mkdir(parents=True, exist_ok=True)
            try:
                aside.write_bytes(content)
                os.link(aside, place)
            finally:
                aside.unlink(missing_ok=True)

    def size(self, key: str) -> int:
        """Bytes of an object; -1 where there is none."""
        try:
            with _translated():
                return int(self._fs.size(self._place(key)))
        except FileNotFoundError:
            return -1

    def read(self, key: str) -> bytes | None:
        """An object's content."""
        try:
            with _translated():
                return bytes(self._fs.cat_file(self._place(key)))
        except FileNotFoundError:
            return None

    def fetch(self, key: str, file: Path) -> None:
        """Copy an object into a file."""
        with _translated():
            self._fs.get_file(self._place(key), str(file))

    def keys(self, prefix: str) -> list[str]:
        """Keys below a prefix, which ends in a slash."""
        with _translated():
            found = [str(name) for name in self._fs.find(self._place(prefix.rstrip("/")))]
        return sorted(name.removeprefix(self._root + "/") for name in found if not is_aside(Path(name)))

    def _place(self, key: str) -> str:
        return f"{self._root}/{key}"

    @contextlib.contextmanager
    def _aside(self, key: str) -> Iterator[str]:
        """Where to write an object so that it is whole or not there."""
        place = self._place(key)
        if not self._local:
            yield place
            return
        aside = aside_of(Path(place))
        aside.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield str(aside)
            aside.replace(place)
        finally:
            aside.unlink(missing_ok=True)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Make a lost connection the protocol's error."""
    try:
        yield
    except (ConnectionError, TimeoutError) as error:
        raise AwayError(redact_text(str(error))[:500]) from error
