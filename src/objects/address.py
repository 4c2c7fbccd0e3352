"""Addresses of stores: `s3://bucket/prefix`, `file:///folder`, or another scheme of fsspec's.

An address is shown, logged and kept; keys to a store therefore have no place in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from src.common.errors import UserError

BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
PART = re.compile(r"[A-Za-z0-9_=-][A-Za-z0-9._=-]*")
EXAMPLES = "s3://BUCKET/PREFIX or file:///FOLDER"
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")


@dataclass(frozen=True)
class Address:
    """An address, taken apart."""

    scheme: str
    host: str  # the bucket of s3; "" of a file
    path: str  # without slashes at its ends

    @property
    def url(self) -> str:
        """The address as it is shown."""
        return "/".join(part for part in (f"{self.scheme}://{self.host}", self.path) if part)


def parse_address(text: str, key: str) -> Address:
    """Take an address apart.

    Args:
        text: as typed.
        key: of the configuration, for messages.

    Raises:
        UserError: it is no address of a store, or it holds a key or a token.
    """
    head, found, rest = text.partition("://")
    if not found or not SCHEME.fullmatch(head):
        raise UserError(f"{key} is no address of a store: it has no scheme", value=_shown(text), remedy=EXAMPLES)
    if "@" in rest or "?" in rest or "#" in rest:
        raise UserError(
            f"{key} must hold no keys and no options: it is shown and kept",
            value=_shown(text),
            remedy=f"{EXAMPLES}; keys in the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL)",
        )
    parts = urlsplit(text)
    address = Address(head, parts.netloc, parts.path.strip("/"))
    _check_parts(address, key, text)
    return address


def _check_parts(address: Address, key: str, text: str) -> None:
    if address.scheme == "s3" and not BUCKET.fullmatch(address.host):
        raise UserError(f"{key} names no bucket", value=_shown(text), remedy=EXAMPLES)
    if address.scheme == "file" and (address.host or not address.path):
        raise UserError(f"{key} names no folder", value=_shown(text), remedy="file:///FOLDER, with three slashes")
    wrong = [part for part in address.path.split("/") if part in ("", ".", "..")] if address.path else []
    if wrong or (address.scheme == "s3" and not all(PART.fullmatch(p) for p in address.path.split("/") if p)):
        raise UserError(f"{key} has a part that is no plain name", value=_shown(text), remedy=EXAMPLES)


def _shown(text: str) -> str:
    """An address without what may be a secret: all before its last @ and behind its first ?."""
    head, found, rest = text.partition("://")
    if not found:
        return text if "@" not in text else "***" + text[text.rfind("@") :]
    rest = rest.split("?")[0].split("#")[0]
    return f"{head}://***{rest[rest.rfind('@') :]}" if "@" in rest else f"{head}://{rest}"
