"""Files with commas between them reach the command as they are typed."""

from __future__ import annotations

import sys

import pytest

from src.evaluate import __main__ as entry


@pytest.mark.parametrize(
    ("typed", "given"),
    [("artifacts=a.pt,b.onnx", "artifacts='a.pt,b.onnx'"), ("artifacts=[a.pt,b.onnx]", "artifacts=[a.pt,b.onnx]")],
)
def test_several_files_are_one_value(typed: str, given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["evaluate", typed, "split=test"])
    monkeypatch.setattr(entry, "application", lambda *words: None)
    entry.main()
    assert sys.argv[1:] == [given, "split=test"]
