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


def decode(data: bytes, file: Path | str) -> str:
    """The text of a UTF-8 file, with or without a byte-order mark; UTF-16 where its mark says so.

    Raises:
        UserError: another encoding; says at which line, and how to save the file again.
    """
    encoding = encoding_of(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = 1 if encoding == "utf-16" else data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{file}:{line}: not UTF-8 text", remedy=remedy(data)) from None


def encoding_of(data: bytes) -> str:
    """UTF-16 where a byte-order mark says so, else UTF-8."""
    return "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"


def remedy(data: bytes) -> str:
    """How to save a file as UTF-8, with the encoding that it is likely in."""
    if b"\0" in data:
        return "save the file as UTF-8 (it is no text, or UTF-16: iconv -f UTF-16 -t UTF-8 FILE > NEW)"
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
