"""Opens a model file for prediction: what it is, how its output is laid out, and the names of its classes.

A file that detsweep exported has a manifest beside it. Names come from, in this order: the configuration, the file
itself, and the record of the trial whose folder it lies in.
"""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.benchmark.foreign import SUFFIXES, describe, format_of
from src.errors import Unavailable, UserError
from src.files import read_regular
from src.records import Artifact, sha256_file
from src.runtime import ENGINES, availability, supports

MANIFEST = "manifest.json"
MOST_SIDE, MOST_BATCH = 8192, 1024
PREFERRED = ("onnxruntime", "openvino", "litert", "torchscript", "tensorrt", "tensorflow", "pytorch")


@dataclass(frozen=True)
class Opened:
    """A model file and what prediction has to know of it."""

    artifact: Artifact
    names: list[str]  # by class id; empty when nothing tells

    @property
    def imgsz(self) -> int:
        """Side of the square input, px."""
        return self.artifact.input_shape[-1]

    @property
    def fixed_batch(self) -> int:
        """Images per call that the file insists on; 0 when any number will do."""
        return max(self.artifact.input_shape[0], 0)

    def name_of(self, class_id: int) -> str:
        """The name of a class, or its number where nothing tells."""
        return self.names[class_id] if class_id < len(self.names) else str(class_id)


def open_model(path: Path, *, imgsz: int | None, names: str | None, trust: bool) -> Opened:
    """Find out what a model file is.

    Args:
        path: a .pt checkpoint, an exported file or folder, or the folder of an export.
        imgsz: input side of a checkpoint; null = as trained. Exported files have their own.
        names: a data.yaml with the names of the classes.
        trust: allow a checkpoint that needs unsafe unpickling.

    Raises:
        UserError: the file is missing, or nothing says how to read it.
    """
    if not path.exists():
        raise UserError("model does not exist", value=path, remedy="model=PATH of a .pt file or an exported file")
    if path.suffix == ".pt":
        opened = _checkpoint(path, imgsz, trust)
    else:
        opened = _exported(path, imgsz)
        check_shape(opened.artifact)
        if imgsz is not None and imgsz != opened.imgsz:
            raise UserError(
                f"this file takes images of {opened.imgsz} px", value=f"imgsz={imgsz}", remedy="leave it out"
            )
    return Opened(opened.artifact, _names_from(Path(names)) if names else opened.names)


def check_shape(artifact: Artifact) -> None:
    """Refuse a file whose input is no picture: what it says of itself is taken for nothing.

    Raises:
        UserError: naming the shape.
    """
    shape: Any = artifact.input_shape
    whole = isinstance(shape, list) and len(shape) == 4 and all(type(side) is int for side in shape)
    if not whole or shape[1] != 3 or shape[2] != shape[3] or not 1 <= shape[3] <= MOST_SIDE or shape[0] > MOST_BATCH:
        raise UserError(
            f"the model's input is no batch of square pictures of at most {MOST_SIDE} px",
            value=f"{artifact.path}: {str(shape)[:80]}",
            remedy="export it again with a fixed image size",
        )


def _checkpoint(path: Path, imgsz: int | None, trust: bool) -> Opened:
    from src.ultra import class_names, load_checkpoint

    model: Any = load_checkpoint(path, trust)
    trained = getattr(model, "args", None) or {}
    side = imgsz or int((trained if isinstance(trained, dict) else vars(trained)).get("imgsz", 640))
    head = "queries" if type(model.model[-1]).__name__ == "RTDETRDecoder" else "dense"
    return Opened(_artifact("pytorch", "fp32", path, [-1, 3, side, side], head), class_names(model))


def _artifact(fmt: str, precision: str, path: Path, shape: list[int], head: str) -> Artifact:
    return Artifact(fmt, precision, str(path), sha256_file(path), 0, shape, 0.0, "", head=head)


def _exported(path: Path, imgsz: int | None) -> Opened:
    manifest = next((p for p in (path / MANIFEST, path.parent / MANIFEST) if p.is_file()), None)
    if manifest is None:
        return _foreign(path, imgsz)
    try:
        artifact = Artifact(**json.loads(read_regular(manifest))["artifact"])
        name = Path(artifact.path).name
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise UserError(
            "the manifest beside the model can't be read", value=manifest, remedy="export it again"
        ) from None
    file = manifest.parent / name  # the folder may have been moved since
    if not file.exists() or sha256_file(file) != artifact.sha256:
        raise UserError("the model is not the file that its manifest names", value=file, remedy="export it again")
    moved = Artifact(**{**vars(artifact), "path": str(file)})
    names = _onnx_names(file) if artifact.format == "onnx" else []
    return Opened(moved, names or _names_of_trial(manifest.parent) or _names_of_sibling(manifest.parent))


def _foreign(path: Path, imgsz: int | None) -> Opened:
    """A file that another tool exported, as far as it tells about itself."""
    fmt = format_of(path)
    if fmt is None:
        raise UserError(
            "the model is of no known format, and there is no manifest.json beside it",
            value=path,
            remedy=f"a file of: {', '.join(SUFFIXES)}, or an OpenVINO folder",
        )
    artifact = describe(path, fmt, "", imgsz, trust=False)
    return Opened(artifact, _onnx_names(path) if fmt == "onnx" else [])


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
    record = folder.parent.parent / "record.json"
    try:
        return [str(n) for n in json.loads(read_regular(record))["dataset"]["class_names"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _names_of_sibling(folder: Path) -> list[str]:
    """From the ONNX export of the same checkpoint, which carries them."""
    sibling = folder.parent / "onnx-fp32" / "model.onnx"
    return _onnx_names(sibling) if sibling.is_file() else []


def _names_from(path: Path) -> list[str]:
    import yaml

    try:
        found = yaml.safe_load(read_regular(path))["names"]
        return [str(found[i]) for i in range(len(found))]
    except (OSError, yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError):
        raise UserError("names must be a data.yaml with a list of names", value=path) from None


def choose_runtime(artifact: Artifact, wanted: str | None) -> str:
    """The engine to use: the one asked for, else the first that runs this file here.

    Raises:
        UserError: no engine here runs the file, or the one asked for does not.
    """
    for engine in [wanted] if wanted else PREFERRED:
        if engine not in ENGINES:
            raise UserError("unknown runtime", value=engine, remedy=f"one of: {', '.join(ENGINES)}")
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
