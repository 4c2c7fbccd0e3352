"""Find the pictures that Pascal VOC's annotation files belong to, and the splits that lists or folders give them.

`Annotations/` and `JPEGImages/`, nested or side by side, in any case of letters; .xml files beside the pictures; lists
in `ImageSets/Main`. A pair is made by stem first and by `<filename>` second: tools copy that tag, and forget it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from src.common.errors import UserError
from src.common.image_files import IMAGE_SUFFIXES, OTHER_SUFFIXES
from src.data.folders import Tree, find, fold, spellings, split_of, walk
from src.data.hints import not_found
from src.data.other_formats import named, other_format
from src.data.text_files import read_lines
from src.data.types import Finding

ANNOTATIONS = frozenset({"annotations", "annotation", "annots", "xml", "xmls", "labels"})
IMAGES = frozenset({"jpegimages", "images", "image", "imgs", "img"})
MASKS = frozenset({"segmentationclass", "segmentationobject"})
LISTS = "imagesets"
REMEDY = "it needs JPEGImages/ and Annotations/, or .xml files beside the pictures"


@dataclass
class Layout:
    """The annotation files and pictures of a folder, each under the key that a pair shares."""

    folder: Path
    tree: Tree
    files: list[Path]
    images: dict[str, list[Path]] = field(default_factory=dict)  # by key
    stems: dict[str, list[Path]] = field(default_factory=dict)  # by lower-case stem

    def key(self, path: Path) -> str:
        """Where a file lies, without the folders that part annotations from pictures, and without suffix or case."""
        return key_of(path.relative_to(self.folder).with_suffix("").parts)


def key_of(parts: Iterable[str]) -> str:
    """The key of a path without suffix."""
    return "/".join(fold(part) for part in parts if part.lower() not in ANNOTATIONS | IMAGES)


def find_layout(folder: Path) -> Layout:
    """List what a VOC folder holds.

    Raises:
        UserError: it has no annotation file, or no picture.
    """
    tree = walk(folder)
    files = [p for p in tree.files if p.suffix.lower() == ".xml"]
    if not files:
        raise not_found(folder, "voc", "data.path is not a VOC folder: it holds no .xml file", REMEDY)
    if (other := other_format(files)) is not None:
        raise named(other[1], UserError(""))
    pictures = [p for p in (*tree.images, *tree.others) if not MASKS & {part.lower() for part in p.parts}]
    official = [p for p in pictures if "jpegimages" in {part.lower() for part in p.relative_to(folder).parts}]
    layout = Layout(folder, tree, files)
    for picture in official or pictures:
        layout.images.setdefault(layout.key(picture), []).append(picture)
        layout.stems.setdefault(fold(picture.stem), []).append(picture)
    if not layout.images:
        what = f"data.path is not a VOC folder: it holds {len(files)} .xml files and no picture"
        raise not_found(folder, "voc", what, REMEDY)
    return layout


@dataclass
class Pairs:
    """The picture of each annotation file that has one, and what is to be told."""

    images: dict[Path, Path] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def say(self, code: str, text: str, file: Path, image: Path | None = None, *, error: bool = False) -> None:
        """Add a finding."""
        name = str(image) if image else ""
        self.findings.append(Finding("error" if error else "warning", code, text, str(file), image=name))


def pair(layout: Layout, filenames: Mapping[Path, str]) -> Pairs:
    """Pair annotation files with pictures.

    Args:
        filenames: `<filename>` of each annotation file.
    """
    pairs = Pairs()
    owners: dict[Path, Path] = {}
    by_stem = {file: _by_stem(layout, file, name) for file, name in filenames.items()}
    claimed = {image for found in by_stem.values() if len(found) == 1 for image in found}
    for file, name in filenames.items():
        found = by_stem[file] or _by_filename(layout, name, claimed)
        if len(found) > 1:
            text = f"{len(found)} images could be its own: {', '.join(p.name for p in found[:4])}"
            for image in found:
                pairs.say("label-ambiguous", text, file, image, error=True)
        elif found and found[0] in owners:
            text = f"{owners[found[0]]} is of the same image, {found[0].name}: keep one annotation file for each"
            pairs.say("label-twice", text, file, found[0], error=True)
        elif found:
            owners[found[0]] = file
            pairs.images[file] = found[0]
            _tell(pairs, file, found[0], name, by_stem=bool(by_stem[file]))
    return pairs


def _tell(pairs: Pairs, file: Path, image: Path, filename: str, *, by_stem: bool) -> None:
    """A word where the names of a pair, or the place of the picture, differ from what the annotation says."""
    last = PurePosixPath(filename.replace("\\", "/")).name
    if not by_stem:
        text = f"no image has this file's name; {image.name} was taken, which <filename> names"
        pairs.say("voc-by-filename", text, file, image)
    elif last and fold(last) not in (fold(image.name), fold(image.stem)) and _stem(last) != fold(image.stem):
        text = f"<filename> says {last[:60]}, but {image.name} has this file's name and was taken"
        pairs.say("voc-filename-differs", text, file, image)


def _stem(name: str) -> str:
    path = PurePosixPath(name)
    return fold(path.stem if path.suffix.lower() in IMAGE_SUFFIXES | OTHER_SUFFIXES else path.name)


def _by_stem(layout: Layout, file: Path, filename: str) -> list[Path]:
    """The pictures of an annotation file's stem: in the folder that mirrors its own, else the only one anywhere."""
    found = layout.images.get(layout.key(file), [])
    if not found:
        found = layout.stems.get(fold(file.stem), [])
        if len(found) > 1:
            found = []
    last = PurePosixPath(filename.replace("\\", "/")).name
    for same in ([p for p in found if p.stem == file.stem], [p for p in found if p.name == last]):
        if len(same) == 1:
            return same
    return found


def _by_filename(layout: Layout, filename: str, claimed: set[Path]) -> list[Path]:
    """The pictures that `<filename>` means, among those that no annotation file has the name of."""
    if not filename:
        return []
    for spelled in spellings(filename):
        place = PurePosixPath(spelled.replace("\0", ""))
        for found in (
            layout.images.get(key_of(place.with_suffix("").parts), []) if place.name else [],
            layout.stems.get(_stem(place.name), []),
        ):
            free = [p for p in found if p not in claimed and place.suffix.lower() in (p.suffix.lower(), "")]
            free = free or [p for p in found if p not in claimed]
            if free:
                return free
    return []


def list_splits(layout: Layout, findings: list[Finding]) -> dict[Path, str] | None:
    """The split of each picture that a list in `ImageSets` names; None when there are no lists.

    A picture listed twice stays in the list opened last (test, then val); `trainval` is train where nothing else is
    said, and `default` is a list without a split.
    """
    files = _lists(layout)
    if not files:
        return None
    result: dict[Path, str] = {}
    for file, split in files:
        for line in read_lines(file):
            image = _listed(layout, file, line)
            if image is None:
                text = f"{line[:80]!r} is listed, but no image has this name"
                findings.append(Finding("error", "image-missing", text, str(file)))
                continue
            was = result.get(image, split)
            if file.stem.lower() == "trainval" and image in result:
                continue
            if was != split and was:
                text = f"{image.stem} is listed in {was} and in {split}; it counts for {split}"
                findings.append(Finding("warning", "split-overlap", text, str(file)))
            result[image] = split
    return result


def _lists(layout: Layout) -> list[tuple[Path, str]]:
    """The lists of splits with what they mean, train first, `trainval` after them all."""
    files = [p for p in layout.tree.files if p.suffix.lower() == ".txt" and LISTS in _lower(p.parent.parts[-2:])]
    main = [p for p in files if p.parent.name.lower() == "main"] or [p for p in files if p.parent.name.lower() == LISTS]
    order = {"train": 0, "val": 1, "test": 2, "": 3}
    known = [(p, split_of(p.stem)) for p in main if split_of(p.stem) or p.stem.lower() == "default"]
    return sorted(known, key=lambda row: (row[0].stem.lower() == "trainval", order[row[1]], str(row[0])))


def _lower(parts: Iterable[str]) -> list[str]:
    return [part.lower() for part in parts]


def _listed(layout: Layout, file: Path, line: str) -> Path | None:
    """The picture that a line of a list means: its key, else the only picture of that stem."""
    lists = next(p for p in file.parents if p.name.lower() == LISTS)
    home = lists.parent.relative_to(layout.folder).parts
    for text in (line, line.split()[0]):
        for spelled in spellings(text):
            place = PurePosixPath(spelled)
            plain = place.with_suffix("") if place.suffix.lower() in IMAGE_SUFFIXES | {".xml"} else place
            found = layout.images.get(key_of((*home, *plain.parts))) or layout.stems.get(fold(plain.name), [])
            exact = [p for p in found if p.stem == plain.name]
            if len(exact) == 1 or len(found) == 1:
                return (exact if len(exact) == 1 else found)[0]
    return None


def folder_split(layout: Layout, image: Path) -> str:
    """The split that a folder on the way to a picture means; "" when none does."""
    parts = image.relative_to(layout.folder).parts[:-1]
    return next((split for part in parts if (split := split_of(part))), "")


def classes_file(folder: Path) -> Path | None:
    """The classes.txt of a folder, in any case of letters."""
    return find(folder / "classes.txt")


def broken_pairs(orphans: Sequence[tuple[Path, str, bool]], lonely: Sequence[tuple[Path, str]], pairs: Pairs) -> None:
    """Tell annotation files without a picture: errors where a picture has no annotation file.

    Args:
        orphans: file, `<filename>`, whether it holds objects.
        lonely: picture, split.
    """
    full = [file for file, _, objects in orphans if objects]
    broken = bool(full and lonely)
    for file, name, objects in orphans:
        text = f"this annotation has no image ({name[:60] or file.stem})"
        if broken and objects:
            text += f", and {len(lonely)} images have no annotation, e.g. {lonely[0][0].name}"
        pairs.say("label-without-image", text, file, error=broken and objects)
    if not broken:
        return
    text = f"no annotation file has this name, and {len(full)} annotation files have no image, e.g. {full[0].name}"
    for image, split in lonely:
        finding = Finding("error", "image-without-label", text, str(image), image=str(image), split=split)
        pairs.findings.append(finding)
