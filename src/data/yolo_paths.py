"""The pictures that a split of a data.yaml means: folders, lists of files, single files, or lists of these.

Paths come from other machines: with backslashes, a leading `data/`, in another case, URL-encoded. What can't be found
is told with the part of the path that is missing here and the line that would mend it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.common.errors import UserError
from src.common.image_files import IMAGE_SUFFIXES, OTHER_SUFFIXES
from src.data.folders import find, inventory, is_hidden, missing_prefix, spellings, walk
from src.data.text_files import read_text
from src.data.types import Finding


class MissingError(UserError):
    """A path of a data.yaml leads nowhere."""


@dataclass
class Pictures:
    """The pictures of a split, sorted; those that no decoder reads; and what was skipped."""

    images: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    hidden: list[Path] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)  # of lists: files that aren't there


def root_of(stated: object, file: Path) -> Path:
    """The folder that paths are relative to: `path:` where it exists, else the file's own."""
    base = file.absolute().parent
    if stated in (None, ""):
        return base
    for text in spellings(str(stated)):
        for candidate in (base / text, Path(text).absolute()):
            try:
                if candidate.is_dir():
                    return Path(os.path.normpath(candidate))
            except (OSError, ValueError):
                continue
    # Exported datasets often keep the `path:` of another machine; paths beside the file then still work.
    return base


def pictures_of(value: Any, key: str, root: Path, file: Path) -> Pictures:
    """The pictures that the value of a split means.

    Raises:
        MissingError: a path doesn't exist.
        UserError: no path, or a list that can't be read.
    """
    found = Pictures()
    for entry in value if isinstance(value, list) else [value]:
        if not isinstance(entry, str):
            raise UserError(f"{file}: `{key}` must be a path or a list of paths", value=entry)
        _expand(_existing(entry, key, root, file), root, found)
    found.images, found.others = sorted(set(found.images)), sorted(set(found.others))
    return found


def _places(text: str, bases: Sequence[Path]) -> Iterator[Path]:
    """The paths that a written one may mean, the likeliest first."""
    for base in bases:
        for spelled in spellings(text):
            yield base / spelled
            head, _, rest = spelled.removeprefix("./").partition("/")
            if rest and head == base.name:
                yield base / rest


def _first(text: str, bases: Sequence[Path]) -> Path | None:
    places = list(dict.fromkeys(_places(text, bases)))
    for look in (lambda path: path if path.exists() else None, find):
        for place in places:
            try:
                found = look(place)
            except (OSError, ValueError):
                continue
            if found is not None:
                return Path(os.path.normpath(found))
    return None


def _existing(entry: str, key: str, root: Path, file: Path) -> Path:
    """The path that an entry means; `../x` may also mean `x`, as in Roboflow's exports."""
    found = _first(entry, (root, file.absolute().parent)) if entry.strip() else None
    if found is not None:
        return found
    said, remedy = "", f"paths are relative to `path:` ({root}) or absolute"
    moved = missing_prefix(entry, root)
    if moved:
        said = f": `{moved[1]}` lies in {root}, but `{moved[0]}` is not there"
        remedy = f"write `{key}: {moved[1]}` (and take `{moved[0]}/` off the paths in lists of files)"
    raise MissingError(
        f"{file}: the path of `{key}` does not exist{said}; there is: {inventory(root)}",
        value=entry[:200],
        remedy=remedy,
    )


def _expand(path: Path, root: Path, found: Pictures) -> None:
    if path.is_dir():
        tree = walk(path)
        found.images += tree.images
        found.others += tree.others
        found.hidden += tree.hidden
        return
    if path.suffix.lower() in IMAGE_SUFFIXES | OTHER_SUFFIXES:
        found.images.append(path)
        return
    _read_list(path, root, found)


def _read_list(path: Path, root: Path, found: Pictures) -> None:
    """The images that a text file lists; one that is missing is told with its line.

    Raises:
        UserError: it is no text, or not one of its images exists.
    """
    try:
        numbered = [(i, text.strip()) for i, text in enumerate(read_text(path).splitlines(), start=1) if text.strip()]
    except UserError as error:
        raise UserError(f"{error.what} (read as a list of images)", remedy=error.remedy) from None
    hidden = {text for _, text in numbered if is_hidden(text.replace("\\", "/").rpartition("/")[2])}
    found.hidden += [path.parent / text for text in sorted(hidden)]
    listed = [(i, text, _as_listed(text, (path.parent, root))) for i, text in numbered if text not in hidden]
    if listed and not any(place for _, _, place in listed):
        raise _all_missing([text for _, text, _ in listed], path, root)
    for number, text, place in listed:
        if place is not None:
            found.images.append(place)
            continue
        said = f"{text[:120]!r} is listed, but no file is there"
        found.findings.append(Finding("error", "image-missing", said, str(path), number))


def _as_listed(text: str, bases: Sequence[Path]) -> Path | None:
    """The picture of a line: as written nearly always, which spares trying how else it may be meant."""
    for base in bases:
        try:
            if (base / text).exists():
                return Path(os.path.normpath(base / text))
        except (OSError, ValueError):
            break
    return _first(text, bases)


def _all_missing(lines: Sequence[str], path: Path, root: Path) -> UserError:
    folders = [line.replace("\\", "/").split("/")[:-1] for line in lines]
    shared = itertools.takewhile(lambda same: len(set(same)) == 1, zip(*folders, strict=False))
    prefix = "/".join(same[0] for same in shared)
    gone = prefix.strip("./") and _first(prefix, (path.parent, root)) is None
    common = f"they begin with `{prefix}/`, which is not there; " if gone else ""
    moved = missing_prefix(lines[0], root)
    said, remedy = "", "write paths relative to the list's own folder, a line each"
    if moved:
        said = f"`{moved[1]}` lies in {root}, but `{moved[0]}` is missing here; "
        remedy = f"take `{moved[0]}/` off its lines: sed -i 's|^{moved[0]}/||' {path}"
    return UserError(
        f"{path}: none of the {len(lines)} images that it lists exists: {common}{said}there is: {inventory(root)}",
        value=lines[0][:200],
        remedy=remedy,
    )
