"""Opens a model file for prediction: what it is, how its output is laid out, and the names of its classes.

A file that detsweep exported has a manifest beside it. Names come from, in this order: the configuration, the file
itself, and the record of the trial whose folder it lies in.
"""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from src.benchmark.model_files import check_shape, describe, format_of, kinds_of_files
from src.common import backends
from src.common.errors import Unavailable, UserError
from src.common.hashes import sha256_file
from src.common.whole_files import read_regular
from src.records.earlier import artifact_from
from src.records.schema import Artifact
from src.records.sweep_folder import TrialFolder
from src.runtime import availability, supports

MANIFEST = "manifest.json"
USUAL_SIDE = 640  # px, of a checkpoint that doesn't say its own: Ultralytics' default


@dataclass(frozen=True)
class Opened:
    """A model file and what prediction has to know of it."""

    artifact: Artifact
    names: list[str]  # by class id; empty when nothing tells

    @property
    def size(self) -> str:
        """Of the input, px: its side, or height x width."""
        height, width = self.artifact.input_shape[2:]
        return str(width) if height == width else f"{height} x {width}"

    @property
    def fixed_batch(self) -> int:
        """Images per call that the file insists on; 0 when any number will do."""
        return max(self.artifact.input_shape[0], 0)

    def name_of(self, class_id: int) -> str:
        """The name of a class, or its number where nothing tells."""
        return self.names[class_id] if class_id < len(self.names) else str(class_id)


def open_model(path: Path, *, imgsz: int | None, names: str | None, trust: bool, key: str = "model") -> Opened:
    """Find out what a model file is.

    Args:
        path: a .pt checkpoint, an exported file or folder, or the folder of an export.
        imgsz: input side of a checkpoint; null = as trained. Exported files have their own.
        names: a data.yaml with the names of the classes.
        trust: allow a checkpoint that needs unsafe unpickling.
        key: of the command, that names the file.

    Raises:
        UserError: the file is missing, or nothing says how to read it.
    """
    if not path.exists():
        remedy = f"{key}=PATH of a .pt file or an exported file"
        raise UserError(f"{key} names a file that does not exist", value=path, remedy=remedy)
    named = _names_from(Path(names)) if names else []
    if path.suffix == ".pt":
        opened = _checkpoint(path, imgsz, trust)
    else:
        opened = _exported(path, imgsz, named)
        check_shape(opened.artifact.input_shape, opened.artifact.path)
        if imgsz is not None and {imgsz} != set(opened.artifact.input_shape[2:]):
            raise UserError(
                f"this file takes images of {opened.size} px", value=f"imgsz={imgsz}", remedy="leave it out"
            )
    return Opened(opened.artifact, named or opened.names)


def _checkpoint(path: Path, imgsz: int | None, trust: bool) -> Opened:
    artifact = describe(path, "pytorch", "", imgsz, trust, fallback=USUAL_SIDE)
    return Opened(artifact, artifact.names)


def _exported(path: Path, imgsz: int | None, named: list[str]) -> Opened:
    manifest = next((p for p in (path / MANIFEST, path.parent / MANIFEST) if p.is_file()), None)
    if manifest is None:
        return _unknown_file(path, imgsz, named)
    try:
        artifact = artifact_from(json.loads(read_regular(manifest))["artifact"], "manifest")
        name = Path(artifact.path).name
        if artifact.input is not None and list(artifact.input.size) != artifact.input_shape[2:]:
            raise ValueError("two sizes")
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise UserError(
            "the manifest beside the model can't be read", value=manifest, remedy="export it again"
        ) from None
    file = manifest.parent / name  # the folder may have been moved since
    other = path.is_file() and path.name not in (name, MANIFEST)
    if other or not file.exists() or sha256_file(file) != artifact.sha256:
        raise UserError("the model is not the file that its manifest names", value=file, remedy="export it again")
    moved = Artifact(**{**vars(artifact), "path": str(file)})
    names = _onnx_names(file) if artifact.format == "onnx" else []
    names = moved.names or names
    return Opened(moved, names or _names_of_trial(manifest.parent) or _names_of_sibling(manifest.parent))


def _unknown_file(path: Path, imgsz: int | None, named: list[str]) -> Opened:
    """A file that another tool exported, as far as it tells about itself."""
    fmt = format_of(path)
    if fmt is None:
        raise UserError(
            "the model is of no known format, and there is no manifest.json beside it",
            value=path,
            remedy=kinds_of_files(),
        )
    artifact = describe(path, fmt, "", imgsz, trust=False, classes=len(named))
    return Opened(artifact, artifact.names)


def _onnx_names(path: Path) -> list[str]:
    """Class names that an exporter wrote into the file, read without starting an engine."""
    import onnx

    try:
        model = onnx.load(str(path), load_external_data=False)
        text = next((p.value for p in model.metadata_props if p.key == "names"), "{}")
        found = ast.literal_eval(text)
        return [str(found[i]) for i in range(len(found))]
    except Exception:  # damage shows in many ways; the engine tells it, names are a nicety
        return []


def _names_of_trial(folder: Path) -> list[str]:
    """From the record of the trial whose `artifacts/` the export lies in."""
    record = TrialFolder.of_artifact(folder).record
    try:
        return [str(n) for n in json.loads(read_regular(record))["dataset"]["class_names"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _names_of_sibling(folder: Path) -> list[str]:
    """From the ONNX export of the same checkpoint, which carries them."""
    sibling = folder.parent / "onnx-fp32" / "model.onnx"
    return _onnx_names(sibling) if sibling.is_file() else []


def _names_from(path: Path) -> list[str]:
    """As they are written: to YAML itself, `no` is False and 007 is 7.

    Raises:
        UserError: there are no names, or some are missing.
    """
    import yaml

    try:
        found = yaml.load(read_regular(path), yaml.BaseLoader)["names"]
        if isinstance(found, dict):
            by_id = {int(key): name for key, name in found.items()}
            found = [by_id[i] for i in range(len(by_id))]
        return [str(name) for name in found] if isinstance(found, list) else _no_names(path)
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, UnicodeDecodeError):
        return _no_names(path)


def _no_names(path: Path) -> NoReturn:
    raise UserError("names must be a data.yaml with a list of names", value=path) from None


def choose_runtime(artifact: Artifact, wanted: str | None) -> str:
    """The engine to use: the one asked for, else the first that runs this file here.

    Raises:
        UserError: no engine here runs the file, or the one asked for does not.
    """
    for engine in [wanted] if wanted else backends.by_preference():
        if engine not in backends.RUNTIMES:
            raise UserError("unknown runtime", value=engine, remedy=f"one of: {', '.join(backends.RUNTIMES)}")
        if not supports(engine, artifact.format, artifact.precision):
            if wanted:
                raise UserError(f"{engine} does not run {artifact.label}", value=engine, remedy="leave runtime out")
            continue
        try:
            availability(engine)
        except Unavailable as reason:
            if wanted:
                raise UserError(str(reason), value=f"runtime={engine}") from None
            continue
        return engine
    raise UserError(f"no engine here runs {artifact.label}", value=artifact.path, remedy="make setup")
