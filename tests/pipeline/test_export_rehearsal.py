"""What an export could only refuse after the training is held against an untrained network before it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from src.common.errors import StageError, UserError
from src.config.exporting import Int8Config
from src.config.schema import AppConfig, ExportConfig
from src.pipeline import export_rehearsal
from src.pipeline.export_rehearsal import rehearse_export
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

    monkeypatch.setattr(export_rehearsal, "export_one", export_one)
    monkeypatch.setattr(export_rehearsal, "family", lambda name: SimpleNamespace(save_untrained=lambda *_: None))
    return done


def keeping(keep: Any, **keys: Any) -> AppConfig:
    return AppConfig(export=ExportConfig(name="x", int8=Int8Config(keep=keep)), **keys)


def test_a_name_of_no_layer_is_refused_with_the_nearest(exported: list[str]) -> None:
    rehearse_export([keeping(["/stem/Conv"])], INPUTS)
    with pytest.raises(UserError, match=r"export\.int8\.keep names a layer that is not there") as told:
        rehearse_export([keeping(["/stem/Conv", "/stm/Conv"])], INPUTS)
    assert told.value.value == "/stm/Conv"
    assert "/stem/Conv" in told.value.remedy


def test_nothing_is_exported_without_names_and_each_network_once(exported: list[str]) -> None:
    rehearse_export([keeping(None), keeping("auto"), keeping([])], INPUTS)
    assert exported == []
    rehearse_export([keeping(["/stem/Conv"], seed=s, imgsz=i) for s in (1, 2) for i in (32, 64)], INPUTS)
    assert exported == ["onnx/fp32"] * 2


def test_a_network_that_cant_be_exported_is_left_to_the_export(
    exported: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise StageError("export", "onnx/fp32", "broken")

    monkeypatch.setattr(export_rehearsal, "export_one", fails)
    rehearse_export([keeping(["/stem/Conv"])], INPUTS)


def asking(targets: list[str], **keys: Any) -> AppConfig:
    return AppConfig(export=ExportConfig(name="x", targets=targets, **keys))


@pytest.mark.parametrize(
    ("cfg", "times"),
    [
        (asking(["onnx/fp32"], opset=13), 1),
        (asking(["openvino/fp16"], opset=13), 1),
        (asking(["onnx/fp32"], dynamic="size"), 1),
        (asking(["litert/fp32"], rewrite=["upsample"]), 1),
        (asking(["onnx/fp32"]), 0),
        (asking(["onnx/fp32"], opset=18), 0),
        (asking(["torchscript/fp32"], opset=13), 0),
    ],
)
def test_what_a_network_may_not_allow_is_rehearsed(cfg: AppConfig, times: int, exported: list[str]) -> None:
    rehearse_export([cfg, cfg], INPUTS)
    assert exported == ["onnx/fp32"] * times


def test_what_the_exporter_refuses_names_the_model(exported: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object) -> None:
        raise UserError("an operator is newer", value="export.opset=13", remedy="export.opset=16")

    monkeypatch.setattr(export_rehearsal, "export_one", refuses)
    with pytest.raises(UserError, match=r"model=\S+: an operator is newer") as told:
        rehearse_export([asking(["onnx/fp32"], opset=13)], INPUTS)
    assert (told.value.value, told.value.remedy) == ("export.opset=13", "export.opset=16")


@pytest.mark.slow
def test_the_command_refuses_it_before_it_trains(tmp_path: Path, command: Command) -> None:
    small = ["data.n_train=8", "data.n_val=4", "data.n_test=4", "imgsz=32", "tracking=none", "model.weights=scratch"]
    words = [*small, "export=int8", "export.int8.keep=[/model.0/conv/Cnv]", f"outputs={tmp_path}"]
    done = command("src.run", *words, timeout=300)
    assert done.returncode == 2
    assert "/model.0/conv/Conv" in done.stderr
    assert not (tmp_path / "runs").exists()
