"""What a folder looks like when it can't be read as asked: the command that would read it, or the file it lacks."""

from __future__ import annotations

from pathlib import Path

from src.common.errors import UserError
from src.data.folders import inventory, split_of, walk

HEAD = 1 << 16  # bytes of a JSON file that are looked at
MANY = 20_000  # files; a larger folder isn't looked through for a hint


def not_found(folder: Path, kind: str, what: str, remedy: str) -> UserError:
    """The error that a folder isn't laid out as asked: lists what is there, and the likelier command."""
    return UserError(f"{folder}: {what}; there is: {inventory(folder)}", remedy=suggestion(folder, kind) or remedy)


def suggestion(folder: Path, asked: str) -> str:
    """The `data=…` words that would read a folder; "" when none is likelier than what was asked for."""
    if not folder.is_dir():
        return ""
    files = walk(folder).files[:MANY]
    suffixes = {p.suffix.lower() for p in files}
    yaml = next((p for p in files if p.name.lower() in ("data.yaml", "data.yml", "dataset.yaml")), None)
    coco = next((p for p in files if p.suffix.lower() == ".json" and looks_like_coco(p)), None)
    if asked != "yolo" and yaml is not None:
        return f"this looks like the YOLO layout: data=yolo data.path={yaml}"
    if asked != "coco" and coco is not None:
        return f"this looks like COCO ({coco.name}): data=coco data.path={folder}"
    if asked != "voc" and ".xml" in suffixes:
        return f"this looks like Pascal VOC: data=voc data.path={folder}"
    if asked != "yolo" and ".txt" in suffixes:
        return f"the .txt files may be YOLO labels: data=yolo data.path={folder}"
    return ""


def looks_like_coco(file: Path) -> bool:
    """Whether the beginning of a JSON file has COCO's keys."""
    try:
        with open(file, "rb") as stream:
            head = stream.read(HEAD)
    except OSError:
        return False
    keys = sum(key in head for key in (b'"images"', b'"annotations"', b'"categories"', b'"file_name"'))
    return head.lstrip()[:1] == b"{" and keys >= 2


def is_label(file: Path) -> bool:
    """Whether a text file holds YOLO rows: its first line is a whole number and four numbers or more."""
    try:
        with open(file, "rb") as stream:
            head = stream.read(4096).decode("utf-8-sig", "replace")
    except OSError:
        return False
    tokens = next((line.split() for line in head.splitlines() if line.strip()), [])
    if len(tokens) < 5 or not tokens[0].isdigit():
        return False
    try:
        return all(float(token) is not None for token in tokens[1:5])
    except ValueError:
        return False


def data_yaml(folder: Path) -> str:
    """The data.yaml that a folder of pictures and labels lacks, as one line for a message."""
    tree = walk(folder)
    splits: dict[str, str] = {}
    for image in tree.images:
        parts = image.relative_to(folder).parts[:-1]
        number = next((i for i, part in enumerate(parts) if split_of(part)), None)
        if number is not None:
            deep = parts[: number + 2] if parts[number + 1 :][:1] and parts[number + 1].lower() == "images" else None
            splits.setdefault(split_of(parts[number]), "/".join(deep or parts[: number + 1]))
        else:
            splits.setdefault("train", "/".join(parts[:1]) or ".")
    ids: set[int] = set()
    for file in [p for p in tree.files if p.suffix.lower() == ".txt"][:500]:
        if is_label(file):
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            ids |= {int(first) for line in lines if (first := line.partition(" ")[0]).isdigit() and len(first) < 5}
    names = ", ".join(f"name_of_{i}" for i in range(min(max(ids, default=0) + 1, 100)))
    keys = "\\n".join([*(f"{split}: {where}" for split, where in splits.items()), f"names: [{names}]"])
    return f"printf '{keys}\\n' > {folder / 'data.yaml'}, with your class names"
