"""A safetensors file is believed when its header agrees with its size to the byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from src.models.safetensors_file import LONGEST_HEADER, entries

GOOD: dict[str, Any] = {
    "__metadata__": {"format": "pt"},
    "b": {"dtype": "F32", "shape": [2, 3], "data_offsets": [4, 28]},
    "a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]},
}


def written(path: Path, header: object, size: int = 28, length: int | None = None) -> Path:
    """A file with a header and so many bytes behind it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + bytes(size))
    return path


def test_tensors_come_in_the_order_of_their_places(tmp_path: Path) -> None:
    found = entries(written(tmp_path / "x", GOOD))
    assert [(e.name, e.shape, e.begin, e.end) for e in found] == [("a", (2,), 0, 4), ("b", (2, 3), 4, 28)]


def test_what_the_library_writes_is_read(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"w": torch.ones(3, 2), "n": torch.tensor(1), "empty": torch.ones(0, 4)}, tmp_path / "x")
    assert {e.name: e.shape for e in entries(tmp_path / "x")} == {"w": (3, 2), "n": (), "empty": (0, 4)}


def changed(**tensor: object) -> dict[str, Any]:
    """The good header with another description of its second tensor."""
    return {**GOOD, "b": {**GOOD["b"], **tensor}}


@pytest.mark.parametrize(
    ("header", "size"),
    [
        (GOOD, 27),  # cut off
        (GOOD, 29),  # something behind it
        (changed(shape=[2, 4]), 28),
        (changed(dtype="F64"), 28),
        (changed(dtype="PICKLE"), 28),
        (changed(data_offsets=[0, 24]), 28),  # lies over the first
        (changed(data_offsets=[5, 29]), 29),  # leaves a gap
        (changed(data_offsets=[4, -1]), 28),
        (changed(shape=[-2, -3]), 28),
        (changed(shape=[2.0, 3]), 28),
        (changed(shape=None), 28),
        ({"__metadata__": {}}, 0),
        ([], 0),
        (b"<html>", 100),
        (b"[" * 100_000, 100),
        (b"\xff\xfe", 100),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path: Path, header: object, size: int) -> None:
    with pytest.raises(ValueError, match=r"tensor|header"):
        entries(written(tmp_path / "x", header, size))


@pytest.mark.parametrize("length", [10**6, LONGEST_HEADER + 1, 2**63, 2**64 - 1])
def test_a_length_beyond_the_file_is_refused_before_it_is_read(tmp_path: Path, length: int) -> None:
    with pytest.raises(ValueError, match="its header would be"):
        entries(written(tmp_path / "x", GOOD, 28, length))


@pytest.mark.parametrize("size", [0, 3, 7])
def test_a_stump_is_refused(tmp_path: Path, size: int) -> None:
    (tmp_path / "x").write_bytes(b"\1" * size)
    with pytest.raises(ValueError, match="its header would be"):
        entries(tmp_path / "x")
