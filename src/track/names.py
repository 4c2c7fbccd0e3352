"""Names that MLflow takes for metrics, parameters and tags, and names of ours that no two things share.

MLflow takes letters and digits of any script, `_`, `-`, `.`, `/`, `:` and spaces, 250 characters at most (3.17,
`mlflow.utils.validation`); marks that are written above or below a letter, as in Devanagari, are none of them. One
name that it refuses would take the whole batch along, so every name is fitted here before it is written anywhere.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import unicodedata
from collections.abc import Sequence

LONGEST = 250  # characters that MLflow takes
SEGMENT = 100  # of one part of a name: what stands around it needs room too
_TAKEN = re.compile(r"[/\w.\- :]+")
_DIGEST = 8  # hexadecimal digits that tell shortened names apart


def fit(name: str) -> str:
    """A whole name as MLflow takes it; one that has to be changed ends in a digest of what it was."""
    if len(name) <= LONGEST and _TAKEN.fullmatch(name) and posixpath.normpath(name) == name and _is_inside(name):
        return name
    parts = [plain(part, r"[^\w.\- :]").strip(".") or "_" for part in name.split("/")]
    return f"{'/'.join(parts)[: LONGEST - _DIGEST - 1].rstrip('/')}-{_digest(name)}"


def _is_inside(name: str) -> bool:
    return not name.startswith((".", "/"))


def plain(name: str, refused: str = r"[^\w -]") -> str:
    """A name of letters and digits of any script, `_`, `-` and spaces: other signs become `_`, a slash too."""
    return re.sub(refused, "_", unicodedata.normalize("NFC", name)) or "_"


def segments(names: Sequence[str], most: int = SEGMENT) -> list[str]:
    """For each name a part of a metric's name that no other has, the same for the same list.

    What `plain` leaves as it is keeps its name; of those that would share one, the later are numbered: `a_b`, `a_b_2`.
    Names that differ in capitals alone count as shared, since some databases of tracking servers don't tell them apart.
    """
    wanted = [shorten(plain(name), name, most) for name in names]
    found: dict[int, str] = {}
    taken: set[str] = set()
    kept = sorted(range(len(names)), key=lambda i: (wanted[i] != names[i], i))  # those that keep their names come first
    for i in kept:
        found[i] = _free(wanted[i], taken)
        taken.add(_folded(found[i]))
    return [found[i] for i in range(len(names))]


def shorten(name: str, whole: str, most: int) -> str:
    """A name of at most `most` characters; one that is cut ends in a digest of the whole."""
    return name if len(name) <= most else f"{name[: most - _DIGEST - 1]}-{_digest(whole)}"


def _free(name: str, taken: set[str]) -> str:
    candidate, number = name, 1
    while _folded(candidate) in taken:
        number += 1
        candidate = f"{name}_{number}"
    return candidate


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "backslashreplace")).hexdigest()[:_DIGEST]
