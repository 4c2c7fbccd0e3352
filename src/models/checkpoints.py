"""What checkpoints of every family have in common: files of `torch.save`, and tensors that can be hashed."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def hash_of_weights(weights: Mapping[str, Tensor]) -> str:
    """sha256 over the names, types, shapes and bytes of tensors: equal for bit-identical trainings."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        array = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def pickle_holds(path: Path, word: str, most: int) -> bool:
    """Whether the first `most` bytes of a checkpoint's pickle hold a word; they are read, not unpickled."""
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
            with archive.open(name) as stream:
                return word.encode() in stream.read(most)
    except Exception:  # damage shows in many ways; the loader tells it
        return False
