"""The examples of CONTRIBUTING.md, extracted from the page and run."""

from __future__ import annotations

import importlib
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import optuna
import pytest
from PIL import Image

from src import runtime
from src.common import backends
from src.common.errors import UserError
from src.config.checks import check
from src.config.schema import DataConfig, ExportConfig
from src.data import sources
from src.data.prepare import prepare
from src.export import export
from src.models.base import family
from src.records.schema import Checkpoint
from src.sweeper.sampler import make_sampler
from src.sweeper.space import Space
from tests.configurations import composed, typed
from tests.conftest import ROOT
from tests.predict.conftest import exported

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^```(?:python|yaml) (\S+)\n(.*?)^```$", PAGE, re.M | re.S))


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """The configuration with the YAML files of the page beside those that are there."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    for name, text in FILES.items():
        if name.startswith("conf/"):
            assert not (ROOT / name).exists(), "an example that exists already shows nothing"
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
    return tmp_path / "conf"


def module_of(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of the page, under a name of its own so that it stays out of `src`."""
    own = "example_" + Path(name).stem
    (folder / f"{own}.py").write_text(FILES[name])
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, own, raising=False)
    return importlib.import_module(own)


def test_every_example_is_seen() -> None:
    assert len(FILES) == 9
    assert PAGE.count("\n### Add a ") == 6


@pytest.mark.parametrize("name", ["v11s", "frcnn_small"])
def test_a_model(name: str, conf: Path) -> None:
    cfg = typed(f"model={name}", conf=conf)
    check(cfg)
    assert cfg.model.name == name
    assert family(cfg.model.family).name == cfg.model.family


def test_a_sampler(conf: Path) -> None:
    node = composed("hydra/sweeper/sampler=nsga2", conf=conf, hydra=True).hydra.sweeper.sampler
    space = Space({}, [], [], {})
    assert isinstance(make_sampler({str(k): node[k] for k in node}, space), optuna.samplers.NSGAIISampler)


def test_a_dataset_layout(conf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = module_of("src/data/table.py", tmp_path, monkeypatch).read_table
    folder = tmp_path / "photographs"
    folder.mkdir()
    rows = ["image,split,class,x1,y1,x2,y2"]
    for number, split in enumerate(["train", "train", "val", "test"]):
        pixels = np.random.default_rng(number).integers(0, 255, (64, 96, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        rows += [f"{number}.png,{split},cat,8,8,40,40", f"{number}.png,{split},dog,48,16,80,48"]
    (folder / "boxes.csv").write_text("\n".join(rows))
    monkeypatch.setitem(sources.KINDS, "table", lambda cfg, base: read(Path(cfg.path)))
    assert composed("data=table", conf=conf).data.kind == "table"
    ref = prepare(DataConfig(name="table", kind="table", path=str(folder)), tmp_path / "outputs").ref
    label = next((Path(ref.yaml).parent / "labels" / "val").glob("*.txt")).read_text().split()
    assert [float(x) for x in label[:5]] == pytest.approx([0, 0.25, 0.375, 1 / 3, 0.5], abs=1e-6)
    (folder / "boxes.csv").write_text("image,split\n0.png,train\n")
    with pytest.raises(UserError, match=r"boxes\.csv"):
        read(folder)


def test_a_runtime(
    conf: Path, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = exported(tmp_path_factory, "onnx/fp32")  # of a network that sees differences between pictures
    module = module_of("src/runtime/onnx_reference.py", tmp_path, monkeypatch)
    monkeypatch.setitem(backends.RUNTIMES, "onnx_reference", module.__name__)
    assert composed("runtime=onnx_reference", conf=conf).runtime.engines == ["onnx_reference"]
    x = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
    reference = runtime.load("onnxruntime", onnx, threads=1)
    expected, of_nothing = reference.run(x)[0], reference.run(x * 0)[0]
    found = runtime.load("onnx_reference", onnx, threads=1).run(x)[0]
    assert np.abs(found - expected).max() < 0.1 * np.abs(of_nothing - expected).max(), "the answer to this input"


def test_a_format(conf: Path, checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    module = module_of("src/export/exported.py", tmp_path, monkeypatch)
    monkeypatch.setitem(backends.FORMATS, "exported", module.__name__)
    targets = list(composed("export=exported", conf=conf).export.targets)
    made = export(checkpoint, targets[0], tmp_path / "artifacts", ExportConfig(name="test"))
    source = family(checkpoint.family).export_source(checkpoint)
    with torch.inference_mode():
        modules = source.module, torch.export.load(made.path).module()
        x = torch.rand(source.example().shape, generator=torch.Generator().manual_seed(0))
        expected, found, of_nothing = (first(m(y)) for m, y in ((modules[0], x), (modules[1], x), (modules[0], x * 0)))
    assert float((found - expected).abs().max()) < 0.1 * float((of_nothing - expected).abs().max())


def first(answer: Any) -> Any:
    """The first tensor of a module's answer."""
    return answer[0] if isinstance(answer, (tuple, list)) else answer
