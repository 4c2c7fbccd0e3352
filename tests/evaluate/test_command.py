"""The command line of `python -m src.evaluate`: several files stand there with commas, as the documents write them."""

from __future__ import annotations

import sys

import pytest

from src.evaluate import __main__ as command


@pytest.mark.parametrize(
    ("word", "expected"),
    [("artifacts=a.pt,b.onnx", "artifacts='a.pt,b.onnx'"), ("artifacts=[a.pt,b.onnx]", "artifacts=[a.pt,b.onnx]")],
)
def test_files_with_commas_between_them_are_no_sweep(word: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["evaluate", word, "data=digits"])
    monkeypatch.setattr(command, "application", lambda *_: None)
    command.main()
    assert sys.argv[1:] == [expected, "data=digits"]
