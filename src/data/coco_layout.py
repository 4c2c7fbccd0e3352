"""Find COCO's annotation files and the pictures that they mean, in the layouts that tools write.

COCO as downloaded and CVAT (`annotations/instances_NAME.json`), Roboflow (`train/_annotations.coco.json`), Label Studio
(`result.json`), and any other JSON file with COCO's keys. Names of pictures are paths of other machines: backslashes,
URLs, another suffix or case; whatever wasn't taken as written is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePosixPath

import numpy as np

from src.common.errors import UserError
from src.common.image_files import IMAGE_SUFFIXES, OTHER_SUFFIXES
from src.data.folders import Tree, find, fold, inventory, names_in, spellings, split_in, split_of, unread, walk
from src.data.hints import looks_like_coco, not_found
from src.data.types import Finding, RawItem

INSTANCES = "instances"
ROBOFLOW = "_annotations.coco.json"
LABEL_STUDIO = "result.json"
# COCO's other tasks, beside the boxes in the same folder.
KEYPOINTS = "person_keypoints"
OTHER_TASKS = ("captions", KEYPOINTS, "panoptic", "stuff", "image_info")
ANNOTATION_FOLDERS = frozenset({"annotations", "annotation", "labels", "json"})
IMAGE_FOLDERS = ("images", "data", "img", "imgs", "jpegimages")
REMEDY = "expected annotations/instances_train.json (and _val, _test), train/_annotations.coco.json or result.json"


@dataclass
class Source:
    """An annotation file, its split ("" when its name says none), and where its pictures are looked for."""

    file: Path
    split: str
    folders: list[Path]
    index: dict[Path, dict[str, list[Path]]] = field(default_factory=dict)  # pictures below a folder by lower-case name


def find_sources(path: Path) -> tuple[list[Source], Tree]:
    """The annotation files of a dataset, and all that lies below its folder.

    Raises:
        UserError: no such file; lists what is there.
    """
    if path.is_file():
        folder = path.parent.parent if path.parent.name.lower() in ANNOTATION_FOLDERS else path.parent
        return [_source(path)], walk(folder)
    tree = walk(path)
    files = _annotation_files([p for p in tree.files if p.suffix.lower() == ".json"])
    if not files:
        raise not_found(path, "coco", "no annotation file", REMEDY)
    order = {"train": 0, "val": 1, "test": 2, "": 3}
    return sorted(map(_source, files), key=lambda source: (order[source.split], str(source.file))), tree


def _annotation_files(files: Sequence[Path]) -> list[Path]:
    """The files of the first layout that there are any of."""
    ranks = (
        [p for p in files if p.stem.lower() == INSTANCES or p.stem.lower().startswith(f"{INSTANCES}_")],
        [p for p in files if p.name.lower() == ROBOFLOW],
        [p for p in files if p.name.lower() == LABEL_STUDIO],
        [p for p in files if not p.stem.lower().startswith(OTHER_TASKS) and looks_like_coco(p)],
        [p for p in files if p.stem.lower().startswith(KEYPOINTS) and looks_like_coco(p)],  # they have boxes, too
    )
    return next((found for found in ranks if found), [])


def _source(file: Path) -> Source:
    word = file.stem[len(INSTANCES) + 1 :] if file.stem.lower().startswith(f"{INSTANCES}_") else ""
    beside = file.parent.name.lower() in ANNOTATION_FOLDERS
    split = split_in(word or file.stem) or ("" if beside else split_of(file.parent.name))
    base = file.parent.parent if beside else file.parent
    return Source(file, split, list(_folders(base, file.parent, word, split)))


def _folders(base: Path, own: Path, word: str, split: str) -> Iterator[Path]:
    """Folders that may hold the pictures, the likeliest first."""
    roots = [base / name for inner in IMAGE_FOLDERS for name in names_in(base).get(inner, [])] + [base]
    tries = [root / word for root in roots if word]
    if own != base and not word:
        tries.append(own)
    for root in roots:
        tries += [root / n for same in names_in(root).values() for n in same if split and split_of(n) == split]
    seen: set[Path] = set()
    for path in [*tries, *roots, own]:
        found = find(path)
        if found is not None and found.is_dir() and found not in seen:
            seen.add(found)
            yield found


def locate(name: str, source: Source) -> tuple[Path | None, str]:
    """The picture that a `file_name` means, and a word when it isn't the one as written.

    Returns:
        None when there is none, or when several could be meant.
    """
    for folder in source.folders:
        if _is_file(folder / name):
            return folder / name, ""
    places = [folder / spelled for spelled in spellings(name) for folder in source.folders]
    for place in places:
        found = find(place)
        if found is not None and found.is_file():
            other = found.name != place.name
            return (
                found,
                f"the annotations name {place.name}; letters of another case or encoding were taken" if other else "",
            )
    for place in places:
        same = _same_stem(place)
        if same is not None:
            return same, f"the annotations name {PurePosixPath(name).name}; this file has its name and another suffix"
    return _by_name(name, source)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _same_stem(path: Path) -> Path | None:
    """The only picture beside `path` whose name differs in suffix alone."""
    folder = find(path.parent)
    if folder is None or path.suffix.lower() not in IMAGE_SUFFIXES | OTHER_SUFFIXES | {""}:
        return None
    stem = fold(path.stem)
    found = [folder / n for suffix in IMAGE_SUFFIXES for n in names_in(folder).get(stem + suffix, [])]
    return found[0] if len(found) == 1 else None


def _by_name(name: str, source: Source) -> tuple[Path | None, str]:
    """The only picture below a folder, the likeliest first, that has the last part of a path as its name.

    A name without folders is looked for below the likeliest alone: elsewhere it may be another split's.
    """
    for number, folder in enumerate(source.folders):
        if folder not in source.index:
            source.index[folder] = _below(folder)
        for spelled in spellings(name):
            last = PurePosixPath(spelled).name
            found = source.index[folder].get(fold(last), [])
            if len(found) == 1 and (number == 0 or last != spelled):
                return found[0], f"the annotations name {name[:120]}; this is the only picture called {last}"
    return None, ""


def _below(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for image in walk(folder).images:
        found.setdefault(fold(image.name), []).append(image)
    return found


def none_found(names: Sequence[str], source: Source, folder: Path) -> UserError:
    """The error that not one picture of an annotation file is there."""
    looked = ", ".join(str(path) for path in source.folders[:3])
    return UserError(
        f"{source.file}: none of the {len(names)} images that it lists was found, the first is {names[0][:120]!r}; "
        f"looked in {looked}; there is: {inventory(folder)}",
        remedy="put the images beside the annotations, in images/, under the names that `file_name` has",
    )


def unlisted(items: Sequence[RawItem], tree: Tree) -> list[Finding]:
    """A word on pictures that lie beside listed ones and that no annotation file lists, and on what was skipped."""
    listed = {item.image for item in items}
    folders = {image.parent for image in listed}
    loose = [image for image in tree.images if image.parent in folders and image not in listed]
    found = []
    if loose:
        first = ", ".join(image.name for image in loose[:3]) + (", …" if len(loose) > 3 else "")
        text = f"{len(loose)} images are in no annotation file and were not used: {first}"
        found.append(Finding("warning", "image-unlisted", text, str(loose[0].parent)))
    others = [path for path in tree.others if path.parent in folders and path not in listed]
    return [*found, *unread(others, tree.folder), *tree.findings()]


def merge_same(items: Sequence[RawItem], findings: list[Finding]) -> list[RawItem]:
    """One item for each picture of a split: what several ids or files say of it is put together, and told."""
    by_place: dict[tuple[str, str], list[RawItem]] = {}
    for item in items:
        by_place.setdefault((item.split, str(item.image)), []).append(item)
    merged = []
    for (split, image), same in by_place.items():
        merged.append(same[0] if len(same) == 1 else _merged(same))
        sizes = {item.stated_size for item in same if item.stated_size}
        if len(sizes) > 1:
            text = f"is listed {len(same)} times, with other sizes: {sorted(sizes)}"
            findings.append(Finding("error", "image-twice", text, image, image=image, split=split))
        elif len(same) > 1:
            text = f"is listed {len(same)} times, under several ids or in several files: its boxes were put together"
            findings.append(Finding("warning", "image-twice", text, image, image=image, split=split))
    return merged


def _merged(same: Sequence[RawItem]) -> RawItem:
    first = same[0]
    for own in fields(RawItem):
        values = [getattr(item, own.name) for item in same]
        if isinstance(values[0], np.ndarray):
            setattr(first, own.name, np.concatenate(values))
        elif isinstance(values[0], list):
            setattr(first, own.name, [entry for value in values for entry in value])
    return first
