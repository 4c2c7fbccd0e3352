"""Text files that others wrote: UTF-8, or told how to become it.

A list or a class name that is decoded by a guess names pictures that don't exist and classes that nobody meant.
"""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any

from src.common.errors import UserError
from src.common.whole_files import read_regular

# What a file that is no UTF-8 most often is; the first that decodes is offered, never taken.
ENCODINGS = ("gb18030", "shift_jis", "cp1252")
MARKS_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
MARKS_32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
LOOKED_AT = 4096  # bytes of a file, for its encoding
FEW = 8  # bytes that tell nothing
MANY = 0.3  # share of zeros from which a place in every four bytes is the upper half of characters


def decode(data: bytes, file: Path | str) -> str:
    """The text of a UTF-8 file, with or without a byte-order mark; UTF-16 where its mark says so.

    Raises:
        UserError: another encoding; says at which line, and how to save the file again.
    """
    try:
        return text_of(data)
    except NotTextError as error:
        raise UserError(f"{file}:{error.line}: {error.what}", remedy=remedy(data)) from None


class NotTextError(ValueError):
    """Bytes that are no UTF-8 text, nor UTF-16 with its mark."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line, self.what = line, what


def text_of(data: bytes) -> str:
    """The text of bytes in UTF-8, with or without a byte-order mark; UTF-16 where its mark says so.

    A zero byte is valid UTF-8 and stands in no text: UTF-16 without its mark has some, and files that are no text.

    Raises:
        NotTextError: another encoding, or no text.
    """
    marked = data.startswith(MARKS_16) and not data.startswith(MARKS_32)
    if not marked and b"\0" in data[:LOOKED_AT]:
        wide, unmarked = _wide(data), "" if data.startswith(MARKS_32) else " without a byte-order mark"
        raise NotTextError(1, f"{wide} text{unmarked}, not UTF-8" if wide else "not UTF-8 text")
    try:
        return data.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotTextError(1 if marked else data.count(b"\n", 0, error.start) + 1, "not UTF-8 text") from None


def _wide(data: bytes) -> str:
    """The encoding of two or four bytes a character that bytes are likely in, by where zeros lie; "" of others."""
    if data.startswith(MARKS_32):
        return "UTF-32"
    head = data[:LOOKED_AT]
    if len(head) < FEW:
        return ""
    zeros = [head[place::4].count(0) / max(1, len(head) // 4) for place in range(4)]
    wide = [place for place, share in enumerate(zeros) if share > MANY]
    if len(wide) == 3:
        return "UTF-32LE" if 0 not in wide else "UTF-32BE"
    even, odd = zeros[0] + zeros[2], zeros[1] + zeros[3]
    return "UTF-16LE" if odd > MANY and odd > 3 * even else "UTF-16BE" if even > MANY and even > 3 * odd else ""


def remedy(data: bytes) -> str:
    """How to save a file as UTF-8, with the encoding that it is likely in."""
    if b"\0" in data[:LOOKED_AT]:
        wide = "UTF-16" if data.startswith(MARKS_16) and not data.startswith(MARKS_32) else _wide(data)
        return (
            f"save the file as UTF-8: iconv -f {wide} -t UTF-8 FILE > NEW"
            if wide
            else "it is no text: save it as UTF-8"
        )
    for name in ENCODINGS:
        try:
            data.decode(name)
        except UnicodeDecodeError:
            continue
        return f"save the file as UTF-8 (it may be {name.upper()}: iconv -f {name.upper()} -t UTF-8 FILE > NEW)"
    return "save the file as UTF-8"


def read_text(file: Path) -> str:
    """The text of a file.

    Raises:
        UserError: it can't be read, or is no UTF-8.
    """
    try:
        data = read_regular(file)
    except OSError as error:
        raise UserError(f"{file}: can't be read ({error.strerror})") from None
    return decode(data, file)


def read_lines(file: Path) -> list[str]:
    """The lines of a file that hold something, stripped.

    Raises:
        UserError: it can't be read, or is no UTF-8.
    """
    return [line.strip() for line in read_text(file).splitlines() if line.strip()]


def read_json(file: Path) -> Any:
    """What a JSON file holds.

    Raises:
        UserError: it can't be read, isn't UTF-8, or is no JSON; says where it ends to be.
    """
    try:
        data = read_regular(file)
    except OSError as error:
        raise UserError(f"{file}: can't be read ({error.strerror})") from None
    try:
        return json.loads(data)
    except UnicodeDecodeError:
        raise UserError(f"{file}: not valid JSON (not UTF-8 text)", remedy=remedy(data)) from None
    except (ValueError, RecursionError) as error:
        cut = getattr(error, "pos", 0) >= len(data.rstrip()) - 1
        told = "it ends too early: export or download it again" if cut else "mend the file, or export it again"
        raise UserError(f"{file}: not valid JSON ({str(error)[:120]})", remedy=told) from None
