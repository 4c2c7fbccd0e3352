"""Rewrites reach the network: one is exact, the other is not, and what finds nothing is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src import runtime
from src.common.errors import UserError
from src.config.schema import ExportConfig
from src.export import export
from src.export.rewrite import rewritten
from src.models.base import ExportSource
from src.records.model_io import Input, layout
from src.records.schema import Artifact, Checkpoint
from tests.export.test_formats import LITERT

CFG = ExportConfig(name="test")


def source(*modules: Any) -> ExportSource:
    import torch

    network = torch.nn.Sequential(*modules).eval()
    return ExportSource(network, ["a"], Input(8, 8), layout("dense"), True, {})


def test_upsampling_by_copies_is_exact() -> None:
    import torch

    x = torch.rand(2, 5, 4, 6)
    layer = torch.nn.Upsample(scale_factor=2, mode="nearest")
    layer.f = -1  # type: ignore[assignment]
    plain = source(layer)
    expected = plain.module(x)
    other = rewritten(plain, ["upsample"])
    assert torch.equal(other.module(x), expected)
    assert not any(isinstance(m, torch.nn.Upsample) for m in other.module.modules())
    assert next(iter(other.module.children())).f == -1  # what Ultralytics notes on a layer
    assert other.metadata["rewritten"] == "upsample"


def test_hardswish_takes_the_place_of_every_silu() -> None:
    import torch

    shared = torch.nn.SiLU()
    other = rewritten(source(torch.nn.Sequential(shared, torch.nn.Identity()), shared), ["hardswish"])
    kinds = [type(m).__name__ for m in other.module.modules()]
    assert "SiLU" not in kinds
    x = torch.linspace(-4, 4, 101)
    assert torch.allclose(other.module(x), torch.nn.functional.hardswish(torch.nn.functional.hardswish(x)))


@pytest.mark.parametrize("name", ["upsample", "hardswish"])
def test_a_rewrite_without_anything_to_do_is_refused(name: str) -> None:
    import torch

    with pytest.raises(UserError, match=rf"export.rewrite={name} finds no"):
        rewritten(source(torch.nn.ReLU(), torch.nn.Upsample(scale_factor=2, mode="bilinear")), [name])


@pytest.mark.slow
@LITERT
def test_xnnpack_takes_the_whole_graph_after_the_rewrite(checkpoint: Checkpoint, tmp_path: Path) -> None:
    made = export(checkpoint, "litert/fp32", tmp_path / "new", replace(CFG, rewrite=["upsample"]))
    assert made.facts["not_delegated_before"] == "2 RESIZE_NEAREST_NEIGHBOR"
    assert made.facts["not_delegated"] == "none"
    assert made.facts["rewritten"] == "upsample"
    plain = export(checkpoint, "pytorch/fp32", tmp_path, CFG)
    x = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
    a, b = (runtime.load(e, f, threads=1).run(x)[0] for e, f in (("litert", made), ("pytorch", plain)))
    a[:, :4] *= 64
    assert np.abs(a - b).max() < 1e-2


@pytest.mark.slow
@LITERT
def test_float16_halves_the_file_and_keeps_the_boxes(checkpoint: Checkpoint, tmp_path: Path) -> None:
    whole, half = (export(checkpoint, f"litert/{p}", tmp_path, CFG) for p in ("fp32", "fp16"))
    assert half.size_bytes < 0.55 * whole.size_bytes
    assert float(half.facts["weights_f16"]) > 0.9
    x = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
    outputs: list[Artifact] = [whole, half]
    a, b = (runtime.load("litert", f, threads=1).run(x)[0] for f in outputs)
    assert 0 < np.abs(a - b).max() < 0.05
