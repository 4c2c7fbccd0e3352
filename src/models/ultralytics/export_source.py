"""The network that every format is made from: the checkpoint, fused, in the mode that exports one output tensor."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.models.base import ExportSource
from src.models.ultralytics.checkpoint import class_names, load_checkpoint
from src.models.ultralytics.outputs import input_of, is_alone, output_of
from src.records.model_io import Input, Output
from src.records.schema import Checkpoint

if TYPE_CHECKING:
    from torch import nn


def export_source(checkpoint: Checkpoint, *, trust: bool = False, fmt: str = "onnx") -> ExportSource:
    """Load a checkpoint and make it ready for export to `fmt`.

    Detectors that come with two heads (YOLO26) are exported with the one that Ultralytics validates by default, the
    one-to-many head: so accuracy stays comparable.
    """
    model = copy.deepcopy(_fused(checkpoint.path, checkpoint.sha256, trust))
    for module in model.modules():
        _enter_export_mode(module, fmt)
    _fix_anchors(model, checkpoint.imgsz)
    shape, output = input_of(model, checkpoint.imgsz), output_of(model)
    return ExportSource(
        module=model,
        names=class_names(model),
        input=shape,
        output=output,
        dynamic_batch=True,
        metadata=_metadata(model, shape, output),
        free_size=functools.partial(_with_free_size, model),
    )


def _with_free_size(model: nn.Module) -> nn.Module:
    """The same network, whose heads make their grid anew for every input."""
    for module in model.modules():
        if getattr(module, "export", False):
            module.dynamic = True  # type: ignore[assignment]
    return model


def _metadata(model: Any, shape: Input, output: Output) -> dict[str, str]:
    """Entries for the exported file under the names that Ultralytics' own reader looks for."""
    entries: dict[str, Any] = {
        "description": "detector exported by detsweep",
        "author": "detsweep",
        "license": "AGPL-3.0 License (https://ultralytics.com/license)",
        "stride": int(model.stride.max()),
        "task": "detect",
        "head": type(model.model[-1]).__name__,
        "batch": 1,
        "imgsz": list(shape.size),
        "names": dict(enumerate(class_names(model))),
        "channels": 3,
        "end2end": output.layout == "listed" and not output.queries,
    }
    return {key: str(value) for key, value in entries.items()}


_loaded: dict[tuple[str, str], nn.Module] = {}  # the network that a training has just loaded, by path and sha256
_written: dict[str, tuple[tuple[int, int], str]] = {}  # its path -> the file's state and sha256


def hand_over_network(path: str, sha256: str, model: nn.Module) -> None:
    """Spare the evaluation of a checkpoint the reading of what is loaded; the network is no longer the caller's."""
    _loaded.clear()
    _loaded[path, sha256] = model
    _written.clear()
    _written[path] = _state(path), sha256


def at_hand(path: str) -> nn.Module | None:
    """A copy of the network, fused, of a checkpoint that was handed over last and is still the same file."""
    state, sha256 = _written.get(path, ((0, 0), ""))
    return copy.deepcopy(_fused(path, sha256, False)) if sha256 and state == _state(path) else None


def _state(path: str) -> tuple[int, int]:
    try:
        found = Path(path).stat()
    except OSError:
        return -1, -1
    return found.st_mtime_ns, found.st_size


@functools.lru_cache(maxsize=1)
def _fused(path: str, sha256: str, trust: bool) -> nn.Module:
    """The checkpoint's network with batch norms folded; kept, since several formats are made of one checkpoint."""
    model: Any = _loaded.pop((path, sha256), None) or load_checkpoint(path, trust)
    if hasattr(model, "end2end") and not is_alone(model):
        model.end2end = False
    for parameter in model.parameters():
        parameter.requires_grad = False
    fused: nn.Module = model.fuse(verbose=False).eval()
    return fused


def _fix_anchors(model: nn.Module, imgsz: int) -> None:
    """Call once, so that the head keeps its anchors for this size: tracing then sees constants, not arithmetic."""
    import torch

    with torch.no_grad():
        model(torch.zeros(1, 3, imgsz, imgsz))


def _enter_export_mode(module: Any, fmt: str) -> None:
    """One output tensor instead of a tuple, and channel splits as plain slices, which make a cleaner graph."""
    name = type(module).__name__
    if hasattr(module, "export") and hasattr(module, "num_queries" if name == "RTDETRDecoder" else "anchors"):
        module.export = True
        module.format = fmt
        module.dynamic = False
        module.shape = None
    if hasattr(module, "forward_split"):
        module.forward = module.forward_split
