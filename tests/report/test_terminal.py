"""The end of a command says what was asked for and is not there; how the rest looks is in test_page_one.py."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from src.records.schema import Failure
from src.report import load_decision
from src.report.terminal import summary
from tests.report.factory import Sweep, finalist, study, trial


def printed(sweep: Sweep, folder: Path) -> str:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(summary(load_decision(sweep.write(folder))))
    lines = console.export_text().splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    return " ".join(" ".join(lines).split())


def test_what_cant_be_run_is_said_once_for_all_trials(tmp_path: Path) -> None:
    text = printed(study(), tmp_path)
    assert text.count("openvino is not installed") == 1
    assert "skipped: benchmark of openvino/fp32, trial " in text


@pytest.mark.parametrize("score", [0.012, 0.5])
def test_a_file_that_could_not_be_made_is_said_with_the_remedy(score: float, tmp_path: Path) -> None:
    reason = "the network has an operator of opset 16\n  value:  export.opset=13\n  remedy: export.opset=16"
    one = trial(0, score=score)
    text = printed(Sweep([one], [finalist(one, failures=[Failure("export", "onnx/fp32", "error", reason)])]), tmp_path)
    assert "failed: export of onnx/fp32, trial 0: the network has an operator" in text
    assert "value: export.opset=13; remedy: export.opset=16" in text


def test_many_reasons_are_cut(tmp_path: Path) -> None:
    one = trial(0)
    many = [Failure("export", f"onnx/{i}", "error", "no") for i in range(11)]
    assert "and 3 more" in printed(Sweep([one], [finalist(one, failures=many)]), tmp_path)
