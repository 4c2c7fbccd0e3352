"""Find files as people name them: in any case of letters, with backslashes, URL-encoded, below folders that moved.

One walk of a folder lists what is a picture, what looks like one and isn't read, and counts what is hidden (`._x.jpg`,
`.ipynb_checkpoints`), so that nothing is left out without a word.
"""

from __future__ import annotations

import functools
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from src.common.image_files import IMAGE_SUFFIXES, OTHER_SUFFIXES
from src.data.types import Finding

# Words that name a split, alone or followed by a year (val2017) or a word (test-dev2017).
SPLIT_WORDS = {
    "train": "train", "training": "train", "trainval": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val", "minival": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
SPLIT = re.compile(rf"({'|'.join(sorted(SPLIT_WORDS, key=len, reverse=True))})(?:[_-]?(?:\d{{4}}|set|dev\d{{4}}))?")
HIDDEN_FOLDERS = frozenset({"__macosx"})  # what a Mac puts into archives: `._` files only
SHOWN = 3
DEEPEST = 200  # folders in a path


def fold(name: str) -> str:
    """The form in which names are compared: without case, and with accents as one character.

    A Mac writes `é` as two characters, other systems as one; both look alike.
    """
    return (name if name.isascii() else unicodedata.normalize("NFC", name)).lower()


def split_of(word: str) -> str:
    """The split that a name of a file or folder means, in any case of letters; "" when it means none."""
    found = SPLIT.fullmatch(word.lower())
    return SPLIT_WORDS[found[1]] if found else ""


def split_in(stem: str) -> str:
    """The only split that a name, or a word in it, means."""
    found = {split for word in (stem, *re.split(r"[._\- ]+", stem)) if (split := split_of(word))}
    return found.pop() if len(found) == 1 else ""


def is_hidden(name: str) -> bool:
    """Whether a file or folder is one that systems and editors leave, not part of a dataset."""
    return name.startswith(".") or name.lower() in HIDDEN_FOLDERS


@dataclass
class Tree:
    """What lies below a folder; every list is sorted."""

    folder: Path
    images: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)  # look like pictures, and no decoder here reads them
    files: list[Path] = field(default_factory=list)  # everything else
    hidden: list[Path] = field(default_factory=list)

    def findings(self) -> list[Finding]:
        """What was skipped."""
        return skipped(self.hidden, self.folder)


def skipped(hidden: Sequence[Path], folder: Path) -> list[Finding]:
    """A word on the hidden files and folders that were left out."""
    if not hidden:
        return []
    first = ", ".join(p.name for p in hidden[:SHOWN])
    text = f"hidden files and folders were skipped: {len(hidden)} ({first}{_more(hidden)})"
    return [Finding("warning", "hidden-skipped", text, str(folder))]


def _more(found: Sequence[object]) -> str:
    return ", …" if len(found) > SHOWN else ""


def walk(folder: Path) -> Tree:
    """List a folder and all below it; a link to a parent ends."""
    found: dict[str, list[str]] = {"images": [], "others": [], "files": [], "hidden": []}
    seen: set[str] = set()
    for base, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(base)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        found["hidden"] += [f"{base}/{name}" for name in (*folders, *files) if is_hidden(name)]
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in files:
            if not is_hidden(name):
                found[_kind(name)].append(f"{base}/{name}")
    # Sorted as text: comparing a path for each step of the sort would cost more than the walk.
    return Tree(folder, **{kind: [Path(text) for text in sorted(texts)] for kind, texts in found.items()})


def _kind(name: str) -> str:
    suffix = suffix_of(name)
    return "images" if suffix in IMAGE_SUFFIXES else "others" if suffix in OTHER_SUFFIXES else "files"


def suffix_of(name: str) -> str:
    """The suffix of a file name in lower case, with its dot; "" when it has none."""
    stem, dot, suffix = name.rpartition(".")
    return f".{suffix.lower()}" if stem and dot else ""


def unread(others: Sequence[Path], folder: Path | str) -> list[Finding]:
    """A word on files that look like pictures, belong to no label, and aren't read."""
    if not others:
        return []
    first = ", ".join(p.name for p in others[:SHOWN])
    text = f"{len(others)} files look like pictures and are not read: {first}{_more(others)}; {NOT_READ}"
    return [Finding("warning", "image-not-read", text, str(folder))]


NOT_READ = "convert them to JPEG or PNG if they belong to the dataset"


def spellings(text: str) -> Iterator[str]:
    """The relative paths that a written one may mean, the plain one first.

    Backslashes are slashes elsewhere; tools write `%20`, `file://`, `/data/local-files/?d=a%2Fb.jpg` and a leading
    `data/` that only their own archive has.
    """
    for plain in _slashes(text.strip()):
        yield plain
        bare = plain.removeprefix("./")
        while bare.startswith("../"):
            bare = bare[3:]
        if bare != plain:
            yield bare
        if bare.lower().startswith("data/"):
            yield bare[5:]


def _slashes(text: str) -> Iterator[str]:
    tries = [text]
    if "\\" in text:
        tries.append(text.replace("\\", "/"))
    if "%" in text or "?" in text or "://" in text:
        tries += [_address(text), unquote(text).replace("\\", "/")]
    yield from dict.fromkeys(t for t in tries if t)


def _address(text: str) -> str:
    """The path that a URL means: Label Studio keeps it in the query `d`."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    inner = parse_qs(parts.query).get("d")
    return inner[0].replace("\\", "/") if inner else unquote(parts.path)


@functools.lru_cache(maxsize=4096)
def _names(folder: str, stamp: int) -> dict[str, list[str]]:
    """Names in a folder by the form that `fold` gives; `stamp` is the folder's time of change."""
    found: dict[str, list[str]] = {}
    with os.scandir(folder) as entries:
        for name in sorted(entry.name for entry in entries):
            found.setdefault(fold(name), []).append(name)
    return found


def names_in(folder: Path) -> dict[str, list[str]]:
    """Names in a folder by the form that `fold` gives; empty when it can't be listed."""
    try:
        return _names(str(folder), folder.stat().st_mtime_ns)
    except (OSError, ValueError):
        return {}


def find(path: Path) -> Path | None:
    """The file or folder of that path, else the only one whose letters differ in case or encoding alone."""
    if len(path.parts) > DEEPEST:
        return None
    try:
        if path.exists():
            return path
    except (OSError, ValueError):
        return None
    if path.parent == path:
        return None
    parent = find(path.parent)
    if parent is None or not parent.is_dir():
        return None
    same = names_in(parent).get(fold(path.name), [])
    return parent / same[0] if len(same) == 1 else None


def inventory(folder: Path, shown: int = 12) -> str:
    """What lies in a folder, in a line: folders with what they hold, then files."""
    parts = []
    for name in sorted(n for same in names_in(folder).values() for n in same):
        if is_hidden(name):
            continue
        path = folder / name
        parts.append(f"{name}/ ({_kinds(path)})" if path.is_dir() else name)
    more = f", … and {len(parts) - shown} more" if len(parts) > shown else ""
    return (", ".join(parts[:shown]) + more) or "nothing"


def _kinds(folder: Path) -> str:
    """How many files of which suffix, or which folders, a folder holds."""
    names = [n for same in names_in(folder).values() for n in same if not is_hidden(n)]
    folders = sorted(n for n in names if (folder / n).is_dir())
    counts = Counter(Path(n).suffix.lower() or n for n in names if n not in folders)
    parts = [f"{n}/" for n in folders[:SHOWN]] + (["…"] if len(folders) > SHOWN else [])
    return ", ".join(parts + [f"{count} {suffix}" for suffix, count in counts.most_common(SHOWN)]) or "empty"


def missing_prefix(written: str, base: Path) -> tuple[str, str] | None:
    """Where the end of a path that doesn't exist lies below `base` after all: what leads to it there, and the rest.

    `/content/ds/images/a.jpg` with `base/images/a.jpg` present gives (`/content/ds`, `images/a.jpg`).
    """
    parts = written.replace("\\", "/").split("/")
    for start in range(1, len(parts)):
        rest = "/".join(parts[start:])
        if rest.strip("./") and find(base / rest) is not None:
            return "/".join(parts[:start]) or "/", rest
    return None
