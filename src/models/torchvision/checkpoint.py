"""Checkpoints of this family: plain tensors and data, so that loading one runs no code of the file.

A file is a dictionary with a marker, the architecture, the class names, the image size and the weights (float32). A
file of weights alone, as torchvision publishes them, is a start for a training and no detector by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.common.errors import UserError
from src.common.whole_files import whole_file
from src.models.base import Start
from src.models.checkpoints import hash_of_weights, pickle_holds
from src.models.networks import Built, Networks
from src.models.taken_over import Transfer
from src.models.torchvision.outputs import NETWORKS

if TYPE_CHECKING:
    from torch import Tensor, nn

LEAST = 0.1  # share of the network's numbers that a start must fill
MOST_PICKLE = 1 << 20  # bytes looked at for the marker: it comes first


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds."""

    architecture: str
    names: list[str]
    imgsz: int
    weights: dict[str, Tensor]


def save(path: Path, saved: Saved, of: Networks = NETWORKS) -> None:
    """Write a checkpoint whole or not at all."""
    import torch

    with whole_file(path) as aside:
        torch.save({"format": of.marker, **vars(saved)}, aside)


def recognises(path: Path, of: Networks = NETWORKS) -> bool:
    """Whether a file is a checkpoint of this family: its pickle, read as bytes, holds the marker."""
    return pickle_holds(path, of.marker, MOST_PICKLE)


def load(path: Path | str, of: Networks = NETWORKS) -> Saved:
    """Read a checkpoint; nothing but tensors and plain data is unpickled.

    Raises:
        UserError: the file is missing, damaged, or of another kind.
    """
    raw = _read(Path(path), of)
    if not isinstance(raw, dict) or raw.get("format") != of.marker:
        raise UserError(
            f"the checkpoint is none of a {of.family} detector trained here",
            value=path,
            remedy=f"choose the family that it is of, or a file that a training with model.family={of.family} wrote",
        )
    try:
        saved = Saved(str(raw["architecture"]), [str(n) for n in raw["names"]], int(raw["imgsz"]), dict(raw["weights"]))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"the checkpoint is damaged ({type(error).__name__})", value=path) from None
    if not of.knows(saved.architecture):
        raise UserError("the checkpoint is of an unknown architecture", value=f"{path}: {saved.architecture[:80]}")
    return saved


def network_of(saved: Saved, path: Path | str, imgsz: int | None = None, of: Networks = NETWORKS) -> nn.Module:
    """The network of a checkpoint with its weights, in evaluation mode.

    Raises:
        UserError: the weights do not fit the architecture that the file names.
    """
    network = of.build(saved.architecture, len(saved.names), imgsz or saved.imgsz)
    try:
        network.load_state_dict(saved.weights)
    except (RuntimeError, TypeError, AttributeError) as error:
        text = (str(error).splitlines() or [""])[0][:120]
        raise UserError(f"the checkpoint does not fit its own architecture ({text})", value=path) from None
    return network.eval()


def start_weights(path: Path, of: Networks = NETWORKS) -> dict[str, Tensor]:
    """Weights to start from: of a checkpoint of ours, or a published file of weights alone.

    Raises:
        UserError: the file is missing, damaged or of another kind.
    """
    raw = _read(path, of)
    if isinstance(raw, dict) and raw.get("format") == of.marker:
        return load(path, of).weights
    import torch

    if isinstance(raw, dict) and raw and all(isinstance(v, torch.Tensor) for v in raw.values()):
        return raw
    what = f"model.weights holds no weights of a {of.family} detector"
    raise UserError(what, value=path, remedy="another file, or model.weights=scratch")


def _read(path: Path, of: Networks) -> Any:
    import torch

    if not path.is_file():
        raise UserError("the checkpoint does not exist", value=path, remedy="give the path of a .pt file")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each kind of damage raises another type, and all of them mean the same to the user
        reason = "it holds objects that only unpickling could make" if "weights_only" in str(error).lower() else ""
        text = reason or (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise UserError(f"the checkpoint can't be read as one of the family {of.family}: {text}", value=path) from None


def begin(network: nn.Module, start: Start, built: Built, of: Networks) -> Transfer | None:
    """Take over what fits of the weights that a training starts from; None where it starts from nothing.

    Args:
        network: to fill.
        start: where training begins.
        built: what the network was built as.
        of: its family's networks.

    Raises:
        UserError: they are missing, damaged, of another kind, or next to nothing of them fits.
    """
    if start.path is None:
        return None
    if start.path.is_dir() and of.snapshots is not None:
        weights = of.snapshots.weights(start.path, *built)
    else:
        weights = start_weights(start.path, of)
    return fill(network, weights, start.path)


def fill(network: nn.Module, weights: dict[str, Tensor], path: Path | str = "") -> Transfer:
    """Take over every tensor whose name and shape fit; returns which those are, and which start anew.

    Raises:
        UserError: next to nothing fits: it is another architecture.
    """
    wanted = network.state_dict()
    fits = {n: v for n, v in weights.items() if n in wanted and wanted[n].shape == v.shape}
    total = sum(v.numel() for v in wanted.values())
    share = sum(v.numel() for v in fits.values()) / total
    if share < LEAST:
        raise UserError(
            f"model.weights holds another architecture: {share:.1%} of the network would be taken over from it",
            value=path,
            remedy="choose the model that it was trained as (model=…), or model.weights=scratch",
        )
    network.load_state_dict({**wanted, **fits})
    return Transfer(list(fits), [name for name in wanted if name not in fits])


def weights_hash(path: Path, of: Networks = NETWORKS) -> str:
    """sha256 over the names, types, shapes and bytes of a checkpoint's tensors."""
    return hash_of_weights(load(path, of).weights)
