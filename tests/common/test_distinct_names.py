"""Files of the same name are told apart by what differs in their paths."""

from __future__ import annotations

import pytest

from src.common.distinct_names import distinct_names


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["a/model.onnx", "b.pt"], ["model.onnx", "b.pt"]),
        (["x/onnx-fp32/model.onnx", "x/onnx-int8/model.onnx"], ["onnx-fp32/model.onnx", "onnx-int8/model.onnx"]),
        (
            ["/o/trials/0000/train/weights/best.pt", "/o/trials/0001/train/weights/best.pt", "/o/v8.pt"],
            ["0000/…/best.pt", "0001/…/best.pt", "v8.pt"],
        ),
        (["a/x/b.pt", "a/y/b.pt", "c/x/b.pt", "c/y/b.pt"], ["a/x/b.pt", "a/y/b.pt", "c/x/b.pt", "c/y/b.pt"]),
        (["/o/best.pt", "/o/best.pt"], ["/o/best.pt", "/o/best.pt"]),
        (["best.pt", "old/best.pt"], ["best.pt", "old/best.pt"]),
        ([], []),
    ],
)
def test_names_differ_where_the_files_do(files: list[str], names: list[str]) -> None:
    assert distinct_names(files) == names
