"""Find and read what describes a YOLO dataset: a data.yaml, Darknet's obj.data, or a classes.txt beside the pictures.

Class names are text as written: YAML's own idea of `yes`, `on`, `007` and `1e3` is no name that anybody chose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from src.common.errors import UserError
from src.common.whole_files import read_regular
from src.data.folders import find, inventory, is_hidden, names_in, spellings, split_of, walk
from src.data.hints import data_yaml, not_found, suggestion
from src.data.text_files import decode, read_lines, read_text
from src.data.types import Finding

YAML = 1 << 24  # bytes of a data.yaml at most
YAMLS = (".yaml", ".yml")
# Files that name the classes, one a line: labelImg and Label Studio, Darknet, Roboflow's Darknet export.
CLASS_FILES = ("classes.txt", "obj.names", "_darknet.labels", "predefined_classes.txt", "classes.names", "coco.names")


@dataclass
class Description:
    """What was read: the keys of a data.yaml (or made as if), the file that they come from, and what to say of it."""

    raw: dict[str, Any]
    file: Path
    findings: list[Finding] = field(default_factory=list)
    root: Path | None = None  # what paths are relative to, where that isn't the file's folder


def describe(path: Path) -> Description:
    """Read what `path` (a data.yaml, an obj.data, or a folder) describes.

    Raises:
        UserError: nothing there describes a dataset; says what is there and what is lacking.
    """
    if path.is_dir():
        return _in_folder(path)
    if not path.is_file():
        raise UserError("data.path does not exist", value=path, remedy="data.path=DIR/data.yaml of your dataset")
    if path.name.lower().endswith(".data"):
        return _darknet(path)
    if path.name.lower() in CLASS_FILES:
        return _by_classes(path.parent, [path])
    return Description(load_yaml(path), path)


def _in_folder(folder: Path) -> Description:
    file = _yaml_in(folder)
    if file is not None:
        return Description(load_yaml(file), file)
    darknet = [folder / n for n in _listed(folder) if n.lower().endswith(".data")]
    if len(darknet) == 1:
        return _darknet(darknet[0])
    nested = [p for n in _listed(folder) if (p := folder / n).is_dir() and _yaml_in(p) is not None]
    if len(nested) == 1:
        inner = _in_folder(nested[0])
        text = f"there is no data.yaml in {folder}: {inner.file} was read"
        inner.findings.append(Finding("warning", "layout-nested", text, str(folder)))
        return inner
    classes = _class_files(folder)
    if classes:
        return _by_classes(folder, classes)
    what = "data.path is a folder without one data.yaml (nor obj.data, nor classes.txt)"
    remedy = "data.path=DIR/data.yaml"
    if not suggestion(folder, "yolo") and walk(folder).images:
        remedy = f"write one: {data_yaml(folder)}"
    raise not_found(folder, "yolo", what, remedy)


def _listed(folder: Path) -> list[str]:
    return sorted(n for same in names_in(folder).values() for n in same if not is_hidden(n))


def _yaml_in(folder: Path) -> Path | None:
    """The data.yaml of a folder, or the only YAML file there that describes a dataset."""
    found = [folder / n for n in _listed(folder) if n.lower().endswith(YAMLS) and (folder / n).is_file()]
    named = [p for p in found if p.stem.lower() == "data"]
    if len(named) == 1 or len(found) == 1:
        return (named or found)[0]
    likely = [p for p in named or found if _describes(p)]
    return likely[0] if len(likely) == 1 else None


def _describes(file: Path) -> bool:
    try:
        raw = load_yaml(file)
    except UserError:
        return False
    return ("names" in raw or "nc" in raw) and any(key in raw for key in ("train", "val", "valid", "test"))


def load_yaml(file: Path) -> dict[str, Any]:
    """The keys of a data.yaml; `names` keeps its scalars as they are written.

    Raises:
        UserError: not UTF-8, not YAML, or no mapping.
    """
    try:
        text = decode(read_regular(file, YAML), file)
        raw = yaml.safe_load(text)
        twice = _twice(yaml.compose(text, Loader=yaml.SafeLoader))
        names = _names_as_written(text) if isinstance(raw, dict) else None
    except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError, RecursionError) as error:
        reason = getattr(error, "problem", None) or str(error).split("\n")[0]
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else str(file)
        remedy = "mend the file: https://yaml.org"
        if "escape" in str(error):
            remedy = "write paths of Windows in 'single quotes' or none: \"double\" ones make escapes of backslashes"
        raise UserError(f"{where}: not valid YAML ({reason})", remedy=remedy) from None
    if not isinstance(raw, dict):
        raise UserError(f"{file}: expected keys such as `names` and `train`", value=type(raw).__name__)
    if twice is not None:
        # YAML's reader keeps the last one, and a class or split would be lost without a word.
        raise UserError(f"{file}:{twice[1]}: the key `{twice[0][:60]}` is there twice", remedy="keep one of the two")
    return raw if names is None else {**raw, "names": names}


def _twice(node: yaml.Node | None) -> tuple[str, int] | None:
    """A key that a mapping has twice, of the file itself or of what its keys hold, and its line; None without one."""
    if not isinstance(node, yaml.MappingNode):
        return None
    seen: set[str] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if key.value in seen and key.value != "<<":
                return key.value, key.start_mark.line + 1
            seen.add(key.value)
    deeper = (_twice(value) for key, value in node.value if getattr(key, "value", None) == "names")
    return next((found for found in deeper if found), None)


def _names_as_written(text: str) -> list[str] | dict[str, str] | None:
    """The scalars below `names` as text; None when it is missing, or isn't a flat list or mapping of scalars."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(node, yaml.MappingNode):
        return None
    own = next((v for k, v in node.value if isinstance(k, yaml.ScalarNode) and k.value == "names"), None)
    if isinstance(own, yaml.SequenceNode) and all(map(_is_text, own.value)):
        return [item.value for item in own.value]
    if isinstance(own, yaml.MappingNode) and all(_is_text(k) and _is_text(v) for k, v in own.value):
        return {k.value: v.value for k, v in own.value}
    return None


def _is_text(node: object) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag != "tag:yaml.org,2002:null"


def class_names(raw: dict[str, Any], file: Path) -> list[str]:
    """The `names` of a data.yaml, a list or a mapping from 0, or made up from `nc`.

    Raises:
        UserError: missing, empty, or a mapping whose ids aren't 0, 1, 2, …
    """
    names, count = raw.get("names"), raw.get("nc")
    if isinstance(count, str) and count.isdecimal() and len(count) < 9:
        count = int(count)
    if names is None and isinstance(count, int) and 0 < count <= 10_000:
        return [f"class_{i}" for i in range(count)]
    if isinstance(names, dict):
        numbered = {_number(key): name for key, name in names.items()}
        if len(numbered) != len(names) or sorted(numbered, key=str) != sorted(range(len(names)), key=str):
            raise UserError(
                f"{file}: `names` must number its classes 0, 1, 2, … without a gap",
                value=str(sorted(names, key=str))[:80],
                remedy="names: {0: cat, 1: dog}; give a number that is not used a name too, e.g. 1: unused",
            )
        names = [numbered[i] for i in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(n, (str, int, float)) for n in names):
        held = f"{names!r}"[:80] if names is not None else f"keys: {', '.join(map(str, raw))}"[:80]
        raise UserError(
            f"{file}: `names` is missing or not a list of class names", value=held, remedy="add `names: [cat, dog]`"
        )
    if isinstance(count, int) and count != len(names):
        raise UserError(
            f"{file}: `nc` is {count}, but `names` has {len(names)}", remedy="make them agree, or leave nc out"
        )
    return [str(name).strip() for name in names]


def _number(key: object) -> object:
    """A key that is a whole number, as text or not, as that number."""
    if isinstance(key, str) and key.strip().isdecimal() and len(key) < 9:
        return int(key)
    return key


def _darknet(file: Path) -> Description:
    """Darknet's obj.data: `classes`, `train`, `valid`, `names`, a key a line."""
    keys: dict[str, str] = {}
    for line in read_lines(file):
        key, found, value = line.partition("=")
        if found and not line.startswith("#"):
            keys[key.strip().lower()] = value.strip()
    named = next((p for s in spellings(keys.get("names", "")) if s and (p := find(file.parent / s))), None)
    if named is None or not named.is_file():
        raise not_found(
            file.parent, "yolo", f"{file.name} names no file of class names", "names = obj.names, a name a line"
        )
    raw: dict[str, Any] = {"names": _numbered(named)}
    if keys.get("classes", "").isdecimal():
        raw["nc"] = int(keys["classes"][:9])
    for key, word in (("train", "train"), ("val", "valid"), ("test", "test")):
        if keys.get(word):
            raw[key] = keys[word]
    return Description(raw, file)


def _numbered(file: Path) -> list[str]:
    """The names of a file by line: an empty line between two is a class without a name, not one class less."""
    return [line.strip() for line in read_text(file).strip().splitlines()]


def _class_files(folder: Path) -> list[Path]:
    """Files that name classes: of the folder, of `labels/`, or of its folders for splits."""
    places = [folder, *(folder / n for n in _listed(folder) if n.lower() in ("labels", "images") or split_of(n))]
    found = [place / n for place in places if place.is_dir() for n in _class_names_in(place)]
    return found[:1] if found and found[0].parent == folder else found


def _class_names_in(folder: Path) -> list[str]:
    same = names_in(folder)
    return [same[name][0] for name in CLASS_FILES if name in same]


def _by_classes(folder: Path, files: Sequence[Path]) -> Description:
    """A folder without a description but with the names of its classes: labelImg, Label Studio, Roboflow's Darknet.

    Raises:
        UserError: two files name other classes.
    """
    names = _numbered(files[0])
    for other in files[1:]:
        if _numbered(other) != names:
            raise UserError(
                f"{other}: other classes than {files[0]}", value=inventory(folder), remedy="make them the same"
            )
    raw: dict[str, Any] = {"names": names, **_split_folders(folder)}
    where = ", ".join(f"{key}: {value}" for key, value in raw.items() if key != "names")
    text = f"there is no data.yaml: classes are those of {files[0].name}, pictures those of {where}"
    return Description(raw, files[0], [Finding("warning", "layout-made", text, str(folder))], folder)


def _split_folders(folder: Path) -> dict[str, str]:
    """`train`, `val` and `test` as folders of `folder` or of its `images/`; all of it as train when there are none."""
    images = find(folder / "images")
    inner = images.name if images is not None and images.is_dir() and walk(images).images else ""
    for base in ([inner] if inner else []) + [""]:
        found: dict[str, str] = {}
        for name in _listed(folder / base):
            if (folder / base / name).is_dir() and split_of(name):
                found.setdefault(split_of(name), f"{base}/{name}" if base else name)
        if found:
            return found
    return {"train": inner or "."}
