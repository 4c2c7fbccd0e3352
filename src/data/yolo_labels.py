"""Pair each picture of a YOLO dataset with its label file, and say where a pair is broken.

The place is Ultralytics' own (the last folder `images` becomes `labels`), in any case of letters; a file beside the
picture counts where that place has none. A picture without labels is background only if no annotation with its name
lies anywhere in the dataset.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from src.common.image_files import IMAGE_SUFFIXES, OTHER_SUFFIXES
from src.common.whole_files import read_regular
from src.data.columns import Shape, ambiguous
from src.data.folders import Tree, find, fold, is_hidden, names_in, suffix_of, walk
from src.data.hints import is_label
from src.data.labels import Labels, parse_labels
from src.data.other_formats import other_format, said_of
from src.data.types import Finding, RawItem

# Text files that lie among labels and are none.
NO_LABELS = frozenset({"classes", "obj", "notes", "readme", "train", "val", "valid", "test", "predefined_classes"})
ANNOTATIONS = (".txt", ".xml", ".json")
BACKGROUND = "an empty label file makes it a background"


def label_path(image: Path) -> Path:
    """Ultralytics' rule: the last folder `images` of the path becomes `labels`, and the suffix `.txt`."""
    head, found, tail = str(image).rpartition("/images/")
    path = f"{head}/labels/{tail}" if found else str(image)
    return Path(path.rpartition(".")[0] + ".txt")


def label_folder(image: Path) -> Path:
    """The folder where the labels of a picture are looked for, in any case of letters; its own when there is none."""
    mirror = _mirror(image)
    return (find(mirror) or image.parent) if mirror else image.parent


def _mirror(image: Path) -> Path | None:
    """The folder of a picture with the last `images` on the way replaced by `labels`; None when there is none."""
    parts = image.parts
    at = next((i for i in range(len(parts) - 2, 0, -1) if parts[i].lower() == "images"), None)
    return Path(*parts[:at], "labels", *parts[at + 1 : -1]) if at is not None else None


def find_label(image: Path) -> tuple[list[Path], str]:
    """The label file of a picture, and a word where it isn't where Ultralytics looks.

    Returns:
        No path, one, or several of which none can be chosen; the word is "" when there is nothing to tell.
    """
    mirror = _mirror(image)
    place = find(mirror) if mirror else None
    found = _named_like(image, place) if place else []
    if not found and mirror:
        found = _named_like(image, image.parent)
        return found, f"lies beside the picture; it was taken, since {mirror} has none of its name"
    found = found or _named_like(image, image.parent)
    whole = bool(found) and fold(found[0].stem) == fold(image.name)
    return found, f"was taken for {image.name}, by its whole name" if whole else ""


def _named_like(image: Path, folder: Path) -> list[Path]:
    """Label files in a folder with the name of a picture: its very stem, else one that differs in case alone."""
    same = names_in(folder)
    for stem in (image.stem, image.name):  # some tools write a.jpg.txt
        found = [folder / name for name in same.get(f"{fold(stem)}.txt", [])]
        exact = [path for path in found if path.stem == stem]
        if exact or found:
            plain = [path for path in exact if path.suffix == ".txt"]
            return plain or exact or [path for path in found if not _belongs_to_another(path, image)]
    return []


def _belongs_to_another(label: Path, image: Path) -> bool:
    """Whether a picture of the very name of a label file lies beside `image`: then it is that picture's."""
    names = (name for suffix in IMAGE_SUFFIXES for name in names_in(image.parent).get(fold(label.stem) + suffix, []))
    return any(Path(name).stem == label.stem for name in names)


def read_item(image: Path, split: str, findings: list[Finding], shape: Shape | None = None) -> RawItem:
    """Read the labels that belong to an image; problems go to `findings`."""
    item = RawItem(image, split, relative=True)
    exact = label_path(image)
    try:
        data, file = read_regular(exact), exact
        findings += _second(image, exact, data)
    except (FileNotFoundError, NotADirectoryError):
        found = _elsewhere(image, findings)
        if found is None:
            return item
        file, data = found
    except OSError as error:
        findings.append(_unreadable(exact, image, error))
        item.label_file = str(exact)
        return item
    labels = parse_labels(data, shape)
    _fill(item, labels, file, findings)
    return item


def _unreadable(file: Path, image: Path, error: OSError) -> Finding:
    return Finding("error", "label-malformed", f"can't be read ({error.strerror})", str(file), image=str(image))


def _fill(item: RawItem, labels: Labels, file: Path, findings: list[Finding]) -> None:
    item.label_file, item.boxes, item.classes, item.lines = str(file), labels.boxes, labels.classes, labels.lines
    item.written = labels.written
    item.polygons = labels.polygons
    findings += [Finding("error", p.code, p.message, str(file), p.line, str(item.image)) for p in labels.problems]


def _second(image: Path, file: Path, data: bytes) -> list[Finding]:
    """A word where another label file, of other content, lies beside the picture."""
    name = f"{image.name.rpartition('.')[0]}.txt"
    folder = image.parent
    if name not in names_in(folder).get(fold(name), ()) or file.parent == folder:
        return []
    beside = folder / name
    try:
        if read_regular(beside) == data:
            return []
    except OSError:
        return []
    text = f"{beside} holds other rows; those of labels/ count"
    return [Finding("warning", "label-twice", text, str(file))]


def _elsewhere(image: Path, findings: list[Finding]) -> tuple[Path, bytes] | None:
    """A label file that isn't at Ultralytics' very place, with its content."""
    found, word = find_label(image)
    if not found:
        return None
    if len(found) > 1:
        text = f"{len(found)} label files could be its own: {', '.join(p.name for p in found)}"
        findings.append(Finding("error", "label-twice", text, str(image), image=str(image)))
        return None
    if word:
        findings.append(Finding("warning", "label-beside", word, str(found[0])))
    try:
        return found[0], read_regular(found[0])
    except OSError as error:
        findings.append(_unreadable(found[0], image, error))
        return None


def broken_pairs(items: Sequence[RawItem], root: Path) -> list[Finding]:
    """Label files without a picture, pictures whose labels lie elsewhere, and rows that could mean something else.

    A label file with boxes and no picture is an error where, in the same folders, a picture has no label file.
    """
    unlabelled = [item for item in items if not item.label_file]
    orphans = _orphans(items)
    findings: list[Finding] = []
    lonely: dict[Path, list[RawItem]] = {}
    for item in unlabelled:
        lonely.setdefault(item.image.parent, []).append(item)
    for images, files in sorted(orphans.items()):
        bare = [file for file in files if is_label(file) and file.stem in names_in(images).get(fold(file.stem), ())]
        findings += [_bare(file, images / file.stem) for file in bare]
        findings += _tell_orphans([file for file in files if file not in bare], lonely.get(images, []))
    findings += _labelled_elsewhere(unlabelled, items, root, {f.image for f in findings})
    rows = [(i.label_file, line, count, kind, str(i.image)) for i in items for line, count, kind in i.polygons]
    return [*findings, *_shared(items), *ambiguous(rows)]


def _shared(items: Sequence[RawItem]) -> list[Finding]:
    """A word where two pictures have one label file: Ultralytics gives it to both, and one may be a leftover."""
    owners: dict[str, set[Path]] = {}
    for item in items:
        if item.label_file:
            owners.setdefault(item.label_file, set()).add(item.image)
    return [
        Finding(
            "warning", "label-shared", f"counts for {len(own)} images: {', '.join(sorted(p.name for p in own))}", file
        )
        for file, own in owners.items()
        if len(own) > 1
    ]


def _bare(label: Path, image: Path) -> Finding:
    """A label whose picture was not seen, for want of a suffix."""
    text = f"its image may be {image}, which has no suffix and was not read: give it one, e.g. {image.name}.jpg"
    return Finding("error", "label-without-image", text, str(label))


def _tell_orphans(files: list[Path], lonely: list[RawItem]) -> list[Finding]:
    full = [file for file in files if is_label(file)]
    if not files:
        return []
    if not full or not lonely:
        text = "this label file has no image"
        return [Finding("warning", "label-without-image", text, str(f)) for f in files]
    text = f"no image has this name, and {len(lonely)} images beside it have no label file, e.g. {lonely[0].image.name}"
    found = [Finding("error", "label-without-image", text, str(f)) for f in full]
    text = f"no label file has this name, and {len(full)} label files beside it have no image, e.g. {full[0].name}; "
    text += f"name them alike ({BACKGROUND})"
    return found + [
        Finding("error", "image-without-label", text, str(i.image), image=str(i.image), split=i.split) for i in lonely
    ]


def _orphans(items: Sequence[RawItem]) -> dict[Path, list[Path]]:
    """By folder of images: the label files of its label folder that belong to no image there, listed or not."""
    expected = {item.label_file for item in items}
    found: dict[Path, list[Path]] = {}
    for images in {item.image.parent for item in items}:
        labels = label_folder(images / "x.jpg")
        names = [name for same in names_in(images).values() for name in same]
        shown = [name for name in names if suffix_of(name) in IMAGE_SUFFIXES | OTHER_SUFFIXES]
        known = {_stem(name) for name in shown}.union(shown)
        own = [name for same in names_in(labels).values() for name in same if _is_text(name)]
        free = [labels / name for name in own if _stem(name) not in known]
        loose = [file for file in free if str(file) not in expected and file.is_file()]
        if images == labels:
            loose = [f for f in loose if is_label(f)]
        if loose:
            found[images] = sorted(loose)
    return found


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def _is_text(name: str) -> bool:
    return suffix_of(name) == ".txt" and _stem(name).lower() not in NO_LABELS and not is_hidden(name)


def _labelled_elsewhere(
    unlabelled: Sequence[RawItem], items: Sequence[RawItem], root: Path, told: set[str]
) -> list[Finding]:
    """Pictures without labels of whose name an annotation lies somewhere else in the dataset, and is nobody's."""
    lonely = [item for item in unlabelled if str(item.image) not in told]
    if not lonely:
        return []
    loose = _loose_annotations(walk(_home(items, root)), {item.label_file for item in items})
    findings = []
    for item in lonely:
        other = loose.get(fold(item.image.stem))
        if other is not None:
            text = (
                f"has no label file where one is looked for, but {other} has its name; {_what_of(other)} ({BACKGROUND})"
            )
            image = str(item.image)
            findings.append(Finding("error", "label-elsewhere", text, image, image=image, split=item.split))
    return findings


def _what_of(file: Path) -> str:
    """What to do with an annotation that lies elsewhere: one in a format of its own isn't moved."""
    known = other_format([file])
    return said_of(known) if known else "move or convert it"


def _home(items: Sequence[RawItem], root: Path) -> Path:
    """The folder of the dataset itself: `path:` may be one that holds many, with the same names in each."""
    shared = Path(os.path.commonpath([str(item.image.parent) for item in items]))
    if root not in shared.parents:
        return root if root == shared or shared in root.parents else shared
    at = next((i for i, part in enumerate(shared.parts) if i >= len(root.parts) and part.lower() == "images"), None)
    return shared if at is None else Path(*shared.parts[:at])


def _loose_annotations(tree: Tree, used: Iterable[str]) -> dict[str, Path]:
    taken = set(used)
    found: dict[str, Path] = {}
    for file in tree.files:
        suffix = file.suffix.lower()
        if suffix not in ANNOTATIONS or str(file) in taken or file.stem.lower() in NO_LABELS:
            continue
        if suffix != ".txt" or is_label(file):
            found.setdefault(fold(file.stem), file)
    return found
