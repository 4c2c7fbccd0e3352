"""Licences as SPDX expressions: whether one is valid, what two amount to together, and what a user allows.

`decision.licence` is a hard limit: `any`, `permissive` (the best that may be shipped in a closed product), or a list of
SPDX identifiers. `AND` needs all its parts allowed, `OR` one of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from src.common.errors import UserError

ANY, PERMISSIVE = "any", "permissive"
# Licences that ask for no more than notices; the SPDX identifiers that networks and their code come under.
PERMISSIVE_IDS = frozenset(
    {"0BSD", "AFL-3.0", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSD-3-Clause-Clear", "BSL-1.0", "CC0-1.0",
     "CC-BY-4.0", "ISC", "MIT", "MIT-0", "NCSA", "PostgreSQL", "PSF-2.0", "Python-2.0", "Unlicense", "UPL-1.0", "Zlib"}
)  # fmt: skip
WORD = re.compile(r"\(|\)|[^\s()]+")


def canonical(expression: str) -> str:
    """An SPDX expression in its standard spelling.

    Raises:
        ValueError: it is none.
    """
    from packaging.licenses import canonicalize_license_expression

    return str(canonicalize_license_expression(expression))


def both(*expressions: str) -> str:
    """What binds a thing that comes under several expressions at once, each said once; "" is left out."""
    parts = list(dict.fromkeys(e for e in expressions if e))
    return " AND ".join(f"({p})" if " OR " in p and len(parts) > 1 else p for p in parts)


def allowed(expression: str | None, limit: str | Sequence[str]) -> bool:
    """Whether a licence is within a limit; one that is not known is within `any` alone.

    Args:
        expression: SPDX, or None.
        limit: `any`, `permissive`, or identifiers.
    """
    if limit == ANY:
        return True
    if not expression:
        return False
    fine = PERMISSIVE_IDS if limit == PERMISSIVE else {canonical(one) for one in _listed(limit)}
    try:
        return _Reader(WORD.findall(canonical(expression)), fine).whole()
    except ValueError:
        return False


def _listed(limit: str | Sequence[str]) -> Sequence[str]:
    return [limit] if isinstance(limit, str) else limit


def check_limit(limit: object, key: str = "decision.licence") -> None:
    """Refuse a limit that is none.

    Raises:
        UserError: naming the word.
    """
    remedy = f"{key}=any, permissive or e.g. [Apache-2.0,MIT]"
    words = [limit] if isinstance(limit, str) else limit
    if not isinstance(words, Sequence) or not words:
        raise UserError(f"{key} is no limit on licences", value=limit, remedy=remedy)
    for word in words:
        if word in (ANY, PERMISSIVE) and isinstance(limit, str):
            continue
        try:
            parts = canonical(str(word)).split()
        except ValueError:
            parts = []
        if len(parts) != 1:
            raise UserError(f"{key} holds a word that is no SPDX identifier", value=word, remedy=remedy)


def check_expression(expression: str, key: str) -> None:
    """Refuse a licence that is no SPDX expression: no limit could be held against it.

    Raises:
        UserError: naming the key and its value.
    """
    try:
        canonical(expression)
    except ValueError:
        remedy = f"{key}=Apache-2.0 or as the model's card says, {key}=LicenseRef-unknown where it says nothing"
        raise UserError(f"{key} is no SPDX expression", value=expression, remedy=remedy) from None


class _Reader:
    """Reads an expression: OR binds less than AND, WITH belongs to the licence before it."""

    def __init__(self, words: list[str], fine: frozenset[str] | set[str]) -> None:
        self._words, self._fine = words[::-1], fine

    def whole(self) -> bool:
        """Whether all of it is allowed."""
        found = self._either()
        if self._words:
            raise ValueError(self._words[-1])
        return found

    def _either(self) -> bool:
        found = self._every()
        while self._next("OR"):
            found = self._every() or found
        return found

    def _every(self) -> bool:
        found = self._one()
        while self._next("AND"):
            found = self._one() and found
        return found

    def _one(self) -> bool:
        if self._next("("):
            found = self._either()
            if not self._next(")"):
                raise ValueError("a bracket is not closed")
            return found
        name = self._words.pop()
        if self._next("WITH"):  # an exception gives further rights, and takes none
            self._words.pop()
        return name in self._fine

    def _next(self, word: str) -> bool:
        if self._words and self._words[-1] == word:
            self._words.pop()
            return True
        return False
