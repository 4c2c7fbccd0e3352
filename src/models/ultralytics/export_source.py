"""The network that every format is made from: the checkpoint, fused, in the mode that exports one output tensor."""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from src.models.ultralytics.checkpoint import class_names, load_checkpoint
from src.records.schema import Checkpoint

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Source:
    """A network ready to be traced, with what a reader of the exported file has to know."""

    model: nn.Module
    head: str  # layout of the output, a key of src.inference.types.LAYOUTS
    names: list[str]
    stride: int
    imgsz: int
    decoder: str  # class of the head, as Ultralytics names it

    def example(self, batch: int = 1) -> Tensor:
        """An input to trace with, [batch, 3, imgsz, imgsz]."""
        import torch

        return torch.zeros(batch, 3, self.imgsz, self.imgsz)

    def metadata(self) -> dict[str, str]:
        """Entries for the exported file under the names that Ultralytics' own reader looks for."""
        entries: dict[str, Any] = {
            "description": "detector exported by detsweep",
            "author": "detsweep",
            "license": "AGPL-3.0 License (https://ultralytics.com/license)",
            "stride": self.stride,
            "task": "detect",
            "head": self.decoder,
            "batch": 1,
            "imgsz": [self.imgsz, self.imgsz],
            "names": dict(enumerate(self.names)),
            "channels": 3,
            "end2end": self.head == "end2end",
        }
        return {key: str(value) for key, value in entries.items()}


def load_source(checkpoint: Checkpoint, *, trust: bool = False, fmt: str = "onnx") -> Source:
    """Load a checkpoint and make it ready for export to `fmt` (Ultralytics' name of the format).

    Detectors that come with two heads (YOLO26) are exported with the one that Ultralytics validates by default, the
    one-to-many head: so accuracy stays comparable.
    """
    model = copy.deepcopy(_fused(checkpoint.path, checkpoint.sha256, trust))
    decoder: Any = model.model[-1]  # type: ignore[index]
    for module in model.modules():
        _enter_export_mode(module, fmt)
    _fix_anchors(model, checkpoint.imgsz)
    return Source(
        model=model,
        head=head_of(model),
        names=class_names(model),
        stride=int(model.stride.max()),  # type: ignore[operator]
        imgsz=checkpoint.imgsz,
        decoder=type(decoder).__name__,
    )


def head_of(model: nn.Module) -> str:
    """Layout of a loaded detector's output."""
    decoder: Any = model.model[-1]  # type: ignore[index]
    if type(decoder).__name__ == "RTDETRDecoder":
        return "queries"
    return "end2end" if getattr(decoder, "end2end", False) else "dense"


@functools.lru_cache(maxsize=1)
def _fused(path: str, sha256: str, trust: bool) -> nn.Module:
    """The checkpoint's network with batch norms folded; kept, since several formats are made of one checkpoint."""
    model: Any = load_checkpoint(path, trust)
    if hasattr(model, "end2end"):
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
