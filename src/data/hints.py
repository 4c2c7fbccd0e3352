"""What a folder looks like when it can't be read as asked: the command that would read it, or the file it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from src.common.encryption import CBC
from src.common.errors import UserError
from src.data.columns import why_not_yolo
from src.data.folders import inventory, split_of, walk
from src.data.other_formats import head_of, other_format, said_of

SHOWN = 20  # text files that are looked into
MANY = 20_000  # files; a larger folder isn't looked through for a hint


def not_found(folder: Path, kind: str, what: str, remedy: str) -> UserError:
    """The error that a folder isn't laid out as asked: lists what is there, and the likelier command."""
    return UserError(f"{folder}: {what}; there is: {inventory(folder)}", remedy=suggestion(folder, kind) or remedy)


def suggestion(folder: Path, asked: str) -> str:
    """The `data=…` words that would read a folder; "" when none is likelier than what was asked for."""
    if not folder.is_dir():
        return ""
    files = walk(folder).files[:MANY]
    if secret := encrypted_elsewhere(folder):
        return secret
    suffixes = {p.suffix.lower() for p in files}
    yaml = next((p for p in files if p.name.lower() in ("data.yaml", "data.yml", "dataset.yaml")), None)
    jsons = [p for p in files if p.suffix.lower() == ".json"]
    coco = next((p for p in jsons if looks_like_coco(p)), None)
    label_studio = next((p for p in jsons if looks_like_label_studio(p)), None)
    cvat = next((p for p in files if p.suffix.lower() == ".xml" and looks_like_cvat(p)), None)
    if asked != "yolo" and yaml is not None:
        return f"this looks like the YOLO layout: data=yolo data.path={yaml}"
    if asked != "coco" and coco is not None:
        return f"this looks like COCO ({coco.name}): data=coco data.path={folder}"
    if label_studio is not None:
        return (
            f"this looks like Label Studio's ({label_studio.name}): data=label_studio data.path={label_studio.parent}"
        )
    if cvat is not None:
        return f"this looks like CVAT's ({cvat.name}): data=cvat data.path={cvat}"
    if not any(is_label(p) for p in files if p.suffix.lower() == ".txt") and (other := other_format(files)):
        return said_of(other)
    if asked != "voc" and ".xml" in suffixes:
        return f"this looks like Pascal VOC: data=voc data.path={folder}"
    if rows := _other_rows([p for p in files if p.suffix.lower() == ".txt"][:SHOWN]):
        return rows
    if asked != "yolo" and ".txt" in suffixes:
        return f"the .txt files may be YOLO labels: data=yolo data.path={folder}"
    return ""


def encrypted_elsewhere(folder: Path) -> str:
    """The command that opens pictures which another system encrypted; "" where none lies here."""
    if not any(p.suffix.lower() == CBC for p in walk(folder).files[:MANY]):
        return ""
    return f"files .enc of AES-256-CBC are opened by: python -m src.data encrypt source={folder} out=NEW"


def looks_like_coco(file: Path) -> bool:
    """Whether the beginning of a JSON file has COCO's keys; those of annotations too, which may fill all of it."""
    head = head_of(file)
    keys = (b'"images"', b'"annotations"', b'"categories"', b'"file_name"', b'"image_id"', b'"coco_url"')
    datumaro = b'"items"' in head and b'"images"' not in head  # has categories and annotations, too
    return head[:1] == b"{" and sum(key in head for key in keys) >= 2 and not datumaro


def looks_like_label_studio(file: Path) -> bool:
    """Whether a JSON file begins as a list of Label Studio's tasks, or its shorter form."""
    head = head_of(file)
    createml = b'"coordinates"' in head and b'"result"' not in head  # a list of pictures with annotations, too
    return head[:1] == b"[" and not createml and (b'"annotations"' in head or b'"rectanglelabels"' in head)


def looks_like_cvat(file: Path) -> bool:
    """Whether an XML file begins as CVAT's own."""
    return b"<annotations" in head_of(file)


def _other_rows(files: Sequence[Path]) -> str:
    """What is said of text files whose first row another program wrote for another purpose; "" of others."""
    for file in files:
        tokens = head_of(file)[:4096].decode("utf-8", "replace").partition("\n")[0].split()
        if tokens and (why := why_not_yolo(tokens)):
            return f"{file.name}: {why}"
    return ""


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
