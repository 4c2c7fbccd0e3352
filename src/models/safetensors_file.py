"""Looks at a safetensors file before anything is loaded from it: its header has to agree with its size to the byte.

The format (https://github.com/huggingface/safetensors): eight bytes with the header's length, a JSON object that gives
each tensor's type, shape and place, then the tensors without gaps. Nothing in it can run code.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LONGEST_HEADER = 16 << 20  # bytes; a detector has a thousand tensors of a hundred bytes each
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One tensor of a file."""

    name: str
    shape: tuple[int, ...]
    begin: int  # bytes behind the header
    end: int


def entries(path: Path) -> list[Entry]:
    """The tensors of a safetensors file, in the order of their places.

    Raises:
        ValueError: it is damaged or no such file; with the reason.
        OSError: it can't be read.
    """
    whole = path.stat().st_size
    with open(path, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if whole < 8 or length > min(whole - 8, LONGEST_HEADER):
            raise ValueError(f"its header would be {length} bytes of {whole}")
        text = stream.read(length)
    found = sorted(_parsed(text), key=lambda entry: (entry.begin, entry.end))
    place = 0
    for entry in found:
        if entry.begin != place:
            raise ValueError(f"tensor {entry.name} begins at byte {entry.begin}, not {place}")
        place = entry.end
    if not found or place != whole - 8 - length:
        raise ValueError(f"its tensors take {place} bytes, and {whole - 8 - length} are there")
    return found


def _parsed(text: bytes) -> list[Entry]:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("its header is no JSON") from None
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    return [_entry(str(name), said) for name, said in header.items() if name != "__metadata__"]


def _entry(name: str, said: Any) -> Entry:
    try:
        bits, shape = BITS[said["dtype"]], tuple(said["shape"])
        begin, end = said["data_offsets"]
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"tensor {name[:80]!r} is described badly") from None
    if any(type(number) is not int or number < 0 for number in (*shape, begin, end)):
        raise ValueError(f"tensor {name[:80]!r} has a size that is none")
    if math.prod(shape) * bits != (end - begin) * 8:
        raise ValueError(f"tensor {name[:80]!r} has another size than its shape says")
    return Entry(name, shape, begin, end)


def check_safetensors(path: Path, name: str) -> None:
    """Refuse a file that is no whole safetensors file; for the fetcher, which names it by `name`.

    Raises:
        ValueError: with the reason.
    """
    entries(path)
