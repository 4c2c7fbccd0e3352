"""How much is measured: values that make no sense are refused before anything runs, by both commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.common.errors import EXIT_USAGE, UserError
from src.config.checks import check_benchmark
from src.config.schema import BenchmarkConfig
from tests.conftest import run_command


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("precision", -0.01),
        ("precision", 1.0),
        ("precision", float("nan")),
        ("extra_seconds", -1.0),
        ("extra_seconds", float("inf")),
        ("max_seconds", 0.0),
        ("min_seconds", -1.0),
        ("min_samples", 0),
        ("rounds", 0),
        ("warmup", -1),
        ("batches", [0]),
        ("batches", []),
    ],
)
def test_an_effort_that_makes_no_sense_is_refused(key: str, value: object) -> None:
    cfg = BenchmarkConfig(name="test")
    check_benchmark(cfg)
    setattr(cfg, key, value)
    with pytest.raises(UserError, match=f"benchmark.{key}"):
        check_benchmark(cfg)


@pytest.mark.parametrize(
    ("module", "words"),
    [("src.run", ()), ("src.benchmark", ("artifacts=nowhere",))],
)
def test_it_ends_in_exit_code_2_with_key_value_and_remedy(module: str, words: tuple[str, ...], tmp_path: Path) -> None:
    done = run_command(module, *words, "benchmark.precision=5", f"outputs={tmp_path}")
    assert done.returncode == EXIT_USAGE
    assert "benchmark.precision" in done.stderr
    assert "5" in done.stderr
    assert "benchmark.precision=0.05" in done.stderr
    assert "Traceback" not in done.stderr
