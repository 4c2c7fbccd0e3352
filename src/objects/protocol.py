"""What a store of objects can do: keep whole objects by key, and let only one of two succeed who make the same key."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class AwayError(OSError):
    """The store did not answer, as against refusing what it was asked; the next attempt may succeed."""


class Objects(Protocol):
    """Objects below one address. Every call may raise `AwayError`; what the store refuses is another `OSError`."""

    url: str  # without secrets

    def check(self) -> None:
        """Look whether the store is there and lets us in.

        Raises:
            UserError: it isn't, or doesn't.
        """

    def put(self, key: str, file: Path) -> None:
        """Store a file's content; whoever reads sees all of it or nothing."""

    def write(self, key: str, content: bytes) -> None:
        """Store a few bytes, in the place of what the key had."""

    def make(self, key: str, content: bytes) -> bool:
        """Store a few bytes under a key that nobody has made; False when somebody has."""

    def size(self, key: str) -> int:
        """Bytes of an object; -1 where there is none."""

    def read(self, key: str) -> bytes | None:
        """A small object's content; None where there is none."""

    def fetch(self, key: str, file: Path) -> None:
        """Write an object's content to a file.

        Raises:
            FileNotFoundError: there is none.
        """

    def keys(self, prefix: str) -> list[str]:
        """Keys that begin with `prefix`, sorted."""
