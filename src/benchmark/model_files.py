"""Model files in a folder, whoever made them, as artifacts: what they are is read from the files themselves.

What can't be read from a file comes from what its maker wrote into it (Ultralytics adds the image size, the names and
the kind of head), and what isn't there either must be given. How its output is to be read is settled here, before
anything runs on it: see `src.inference.layout`. A file that is not understood is a `Failure` of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from src.benchmark.file_metadata import Facts, probe_of, reader_of
from src.common import backends
from src.common.errors import UserError
from src.common.hashes import sha256_file
from src.inference.layout import resolve
from src.inference.types import LayoutError
from src.records.model_io import Input, Output
from src.records.schema import Artifact, Failure

MOST_SIDE, MOST_BATCH = 8192, 1024
SIZE_REMEDY = "export it again with a fixed image size, or say imgsz=640"


@dataclass
class Found:
    """The model files of a folder."""

    artifacts: list[Artifact] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)  # files that are not understood, and why


def discover(folder: Path, *, imgsz: int | None = None, trust: bool = False, classes: int = 0) -> Found:
    """Find the model files of a folder and its subfolders, in order of their paths.

    Args:
        folder: where they lie; a single file is taken too.
        imgsz: side of the input, px, for files that don't say theirs.
        trust: allow checkpoints that need unsafe unpickling.
        classes: number of classes of the dataset, for files that hold no names.

    Raises:
        UserError: there is none, or not one that is understood.
    """
    files = model_files(folder)
    sources = _sources([path for path, fmt in files if fmt == "pytorch"])
    found, reasons = Found(), []
    for path, fmt in files:
        try:
            source = sources.get(path.with_suffix("")) or (next(iter(sources.values())) if len(sources) == 1 else "")
            found.artifacts.append(describe(path, fmt, source, imgsz, trust, classes))
        except UserError as reason:
            text = f"failed, because {reason.what}" + (f" ({reason.value})" if reason.value is not None else "")
            found.failures.append(Failure("read", name_below(folder, path), "error", text))
            reasons.append(reason)
    if not found.artifacts:
        if len(reasons) == 1:
            raise reasons[0]
        listed = "\n".join(f"  {failure.target}: {failure.message}" for failure in found.failures[:20])
        raise UserError(f"none of the {len(reasons)} model files is understood\n{listed}", value=folder)
    return found


def model_files(folder: Path) -> list[tuple[Path, str]]:
    """Paths that look like model files, with their formats.

    Raises:
        UserError: there are none.
    """
    found = [(path, fmt) for path in _candidates(folder) if (fmt := format_of(path)) is not None]
    if not found:
        raise UserError(
            "no model files in the folder",
            value=folder,
            remedy=f"a folder with {kinds_of_files()}",
        )
    return found


def name_below(folder: Path, path: Path) -> str:
    """How a file is called in tables: its path below the folder."""
    return path.relative_to(folder).as_posix() if path != folder and path.is_relative_to(folder) else path.name


def _sources(checkpoints: Sequence[Path]) -> dict[Path, str]:
    """Hashes of the checkpoints by path without suffix: an export lies beside its source under the same name."""
    return {path.with_suffix(""): sha256_file(path) for path in checkpoints}


def _candidates(folder: Path) -> Sequence[Path]:
    if not folder.exists():
        raise UserError("the folder does not exist", value=folder, remedy="artifacts=DIR with model files in it")
    if folder.is_file() or format_of(folder) is not None:
        return [folder]
    inside = sorted(p for p in folder.rglob("*") if not _hidden(p.relative_to(folder)))
    return [path for path in inside if not path.parent.is_dir() or format_of(path.parent) is None]


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def format_of(path: Path) -> str | None:
    """The format that a path looks like, or None."""
    if path.is_dir():
        holds = (name for name, patterns in backends.folders().items() if all(any(path.glob(p)) for p in patterns))
        return next(holds, None)
    return backends.suffixes().get(path.suffix.lower())


def kinds_of_files() -> str:
    """What a model may be, in words: the suffixes of files, then the formats that are folders."""
    return f"files of: {', '.join(backends.suffixes())}, or folders of: {', '.join(backends.folders())}"


def describe(
    path: Path, fmt: str, source: str, imgsz: int | None, trust: bool, classes: int = 0, fallback: int = 0
) -> Artifact:
    """One model file as an artifact.

    Args:
        path: the file, or the folder of an OpenVINO model.
        fmt: its format.
        source: hash of the checkpoint that it was made from; "" = not known.
        imgsz: side of the input, px, for checkpoints and for files that don't say theirs.
        trust: allow a checkpoint that needs unsafe unpickling.
        classes: number of classes, where the file holds no names.
        fallback: side of the input where neither the file nor the caller says one.

    Raises:
        UserError: it is damaged, its input size is not known, or its output is none that is understood.
    """
    try:
        facts = reader_of(fmt)(path, trust)
        shape = _input_shape(facts, imgsz, fallback)
        check_shape(shape, path)
        fitted, output = _read(facts, shape, classes)
    except UserError:
        raise
    except LayoutError as error:
        raise UserError(f"the model's output is not understood: {error}", value=path) from None
    except Exception as error:  # readers are foreign code, and each fails in its own way on a damaged file
        text = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise UserError(
            f"the file is no {fmt} model that can be read ({text})", value=path, remedy="remove it"
        ) from None
    size = sum(p.stat().st_size for p in path.rglob("*") if p.is_file()) if path.is_dir() else path.stat().st_size
    return Artifact(
        format=fmt,
        precision=facts.precision,
        path=str(path),
        sha256=sha256_file(path),
        size_bytes=size,
        input_shape=shape,
        export_s=0.0,
        source_sha256=source,
        names=list(facts.declared.names),
        family=facts.family,
        input=fitted,
        output=output,
    )


def _read(facts: Facts, shape: list[int], classes: int) -> tuple[Input, Output]:
    """What a file takes and answers with: as its family says, else as the file and its outputs tell.

    Raises:
        LayoutError: the outputs are none that is understood.
    """
    height, width = shape[2:]
    if facts.known is not None:
        fitted, output = facts.known
        return replace(fitted, height=height, width=width), output
    found = resolve(facts.declared, facts.tensors, (height, width), probe_of(facts, shape), classes)
    return Input(height, width, found.resize, batch=max(shape[0], 0)), found.output


def _input_shape(facts: Facts, imgsz: int | None, fallback: int) -> list[int]:
    """Shape of the input: as the graph says, else as the maker says, else as given; -1 for a free batch."""
    shape = [int(side) for side in facts.shape]
    if len(shape) != 4:
        return shape
    free = [side <= 0 for side in shape[2:]]
    if imgsz and facts.resizable:
        return [*shape[:2], imgsz, imgsz]
    given = (imgsz, imgsz) if imgsz and facts.declared.size is None else None
    told = given or facts.declared.size or (fallback, fallback)
    sides = [int(told[i]) if free[i] else shape[2 + i] for i in range(2)]
    # Suppression inside a file is unrolled over the batch it was made for: of more images, the rest gets no boxes.
    free_batch = (facts.declared.batch or 1) if facts.declared.nms else -1
    return [shape[0] if shape[0] > 0 else free_batch, shape[1], *sides]


def check_shape(shape: list[int], path: Path | str) -> None:
    """Refuse an input that is no batch of pictures of a sensible size: what a file says of itself is taken for nothing.

    Raises:
        UserError: naming the shape.
    """
    whole = isinstance(shape, list) and len(shape) == 4 and all(type(side) is int for side in shape)
    if whole and shape[1] == 3 and 0 in shape[2:]:
        raise UserError("the file doesn't say the size of its input", value=f"{path}: {shape}", remedy=SIZE_REMEDY)
    if not whole or shape[1] != 3 or not all(1 <= s <= MOST_SIDE for s in shape[2:]) or shape[0] > MOST_BATCH:
        raise UserError(
            f"the model's input is no batch of pictures [n, 3, h, w] of at most {MOST_SIDE} px",
            value=f"{path}: {str(shape)[:80]}",
            remedy=SIZE_REMEDY,
        )


def notes_on(artifact: Artifact, names: list[str]) -> list[str]:
    """What a reader of the row has to know about how a file was read."""
    notes = []
    output = artifact.output or Output()
    if output.rotated:
        notes.append("an OBB model: each box is the upright one around it")
    elif output.task in ("segment", "pose"):
        notes.append(f"a {output.task} model: its boxes alone are judged")
    if output.layout in ("listed", "indexed") and not output.queries:
        notes.append("it chooses its boxes by itself: thresholds inside the file bound its accuracy")
    if artifact.names and artifact.names != names:
        notes.append(f"its {len(artifact.names)} class names are not the {len(names)} of the dataset; ids are compared")
    return notes
