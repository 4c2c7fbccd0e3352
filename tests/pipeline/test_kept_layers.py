"""Names in `export.int8.keep` are held against an untrained network before anything is trained."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from src.common.errors import StageError, UserError
from src.config.exporting import Int8Config
from src.config.schema import AppConfig, ExportConfig
from src.pipeline import kept_layers
from src.pipeline.kept_layers import refuse_unknown_layers
from tests.conftest import Command

INPUTS: Any = SimpleNamespace(dataset=lambda cfg: SimpleNamespace(class_names=["cat"]), start=lambda cfg: None)


def graph(path: Path) -> Path:
    """A file with one convolution, /stem/Conv."""
    import onnx
    from onnx import helper, numpy_helper

    weight = numpy_helper.from_array(np.full((1, 3, 1, 1), 0.5, np.float32), "w")
    node = helper.make_node("Conv", ["x", "w"], ["y"], name="/stem/Conv")
    shape = [1, 3, 4, 4]
    ends = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s) for n, s in (("x", shape), ("y", [1, 1, 4, 4]))]
    onnx.save(helper.make_model(helper.make_graph([node], "g", ends[:1], ends[1:], [weight])), str(path))
    return path


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Targets that were exported, of a family whose networks have one convolution."""
    done: list[str] = []
    file = graph(tmp_path / "model.onnx")

    def export_one(_: object, target: str, *__: object) -> object:
        done.append(target)
        return SimpleNamespace(path=str(file))

    monkeypatch.setattr(kept_layers, "export_one", export_one)
    monkeypatch.setattr(kept_layers, "family", lambda name: SimpleNamespace(save_untrained=lambda *_: None))
    return done


def keeping(keep: Any, **keys: Any) -> AppConfig:
    return AppConfig(export=ExportConfig(name="x", int8=Int8Config(keep=keep)), **keys)


def test_a_name_of_no_layer_is_refused_with_the_nearest(exported: list[str]) -> None:
    refuse_unknown_layers([keeping(["/stem/Conv"])], INPUTS)
    with pytest.raises(UserError, match=r"export\.int8\.keep names a layer that is not there") as told:
        refuse_unknown_layers([keeping(["/stem/Conv", "/stm/Conv"])], INPUTS)
    assert told.value.value == "/stm/Conv"
    assert "/stem/Conv" in told.value.remedy


def test_nothing_is_exported_without_names_and_each_network_once(exported: list[str]) -> None:
    refuse_unknown_layers([keeping(None), keeping("auto"), keeping([])], INPUTS)
    assert exported == []
    refuse_unknown_layers([keeping(["/stem/Conv"], seed=s, imgsz=i) for s in (1, 2) for i in (32, 64)], INPUTS)
    assert exported == ["onnx/fp32"] * 2


def test_a_network_that_cant_be_exported_is_left_to_the_export(
    exported: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise StageError("export", "onnx/fp32", "broken")

    monkeypatch.setattr(kept_layers, "export_one", fails)
    refuse_unknown_layers([keeping(["/stem/Conv"])], INPUTS)


@pytest.mark.slow
def test_the_command_refuses_it_before_it_trains(tmp_path: Path, command: Command) -> None:
    small = ["data.n_train=8", "data.n_val=4", "data.n_test=4", "imgsz=32", "tracking=none", "model.weights=scratch"]
    words = [*small, "export=int8", "export.int8.keep=[/model.0/conv/Cnv]", f"outputs={tmp_path}"]
    done = command("src.run", *words, timeout=300)
    assert done.returncode == 2
    assert "/model.0/conv/Conv" in done.stderr
    assert not (tmp_path / "runs").exists()
