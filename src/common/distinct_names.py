"""Short names for files that stay apart: every trial has a `best.pt`, and every exported file is a `model.onnx`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def distinct_names(files: Sequence[Path | str]) -> list[str]:
    """What each file is called in a table: its name, with as much of its path as tells it from the others.

    `trials/0000/train/weights/best.pt` beside that of trial 1 is `0000/…/best.pt`. A file that is given twice keeps its
    whole path, since nothing tells it apart.
    """
    parts = [Path(file).parts for file in files]
    tails = [_tail(own, [other for i, other in enumerate(parts) if i != place]) for place, own in enumerate(parts)]
    short = [
        tail[-1] if len(tail) == 1 else "/".join(tail if len(tail) == 2 else (tail[0], "…", tail[-1])) for tail in tails
    ]
    return [name if short.count(name) == 1 else str(Path(*tail)) for name, tail in zip(short, tails, strict=True)]


def _tail(own: tuple[str, ...], others: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    for length in range(1, len(own) + 1):
        if all(other[-length:] != own[-length:] for other in others):
            return own[-length:]
    return own
