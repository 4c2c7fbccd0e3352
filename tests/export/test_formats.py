"""Every format is what its name says, gives the source's output, and keeps the batch free where it can."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src import runtime
from src.benchmark import predict
from src.benchmark.verify import agreement
from src.common.errors import StageError, Unavailable, UserError
from src.config.schema import ExportConfig
from src.export import export, onnx_precision, readback
from src.export.request import Job
from src.inference import fit, load_image
from src.records.model_io import Input, layout
from src.records.schema import Artifact, Checkpoint
from tests.exported_models import artifact_of
from tests.tiny import make_checkpoint

Make = Callable[[str], Artifact]


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Artifacts of the tiny detector by target, made once."""
    return lambda target: artifact_of(tmp_path_factory, target)


def _needs(module: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(importlib.util.find_spec(module) is None, reason=f"{module} is not installed")


OPENVINO, LITERT, TENSORFLOW = _needs("openvino"), _needs("litert_torch"), _needs("onnx2tf")
CASES = [
    ("torchscript/fp32", "torchscript", 1e-3, 1e-4),
    ("onnx/fp32", "onnxruntime", 1e-2, 1e-4),
    ("onnx/fp16", "onnxruntime", 2.0, 0.05),
    ("onnx/int8", "onnxruntime", 20.0, 0.5),
    ("onnx/int8-dynamic", "onnxruntime", 20.0, 0.5),
    pytest.param("onnx/fp32", "openvino", 1e-2, 1e-4, marks=OPENVINO),
    pytest.param("openvino/fp32", "openvino", 1e-2, 1e-4, marks=OPENVINO),
    pytest.param("openvino/fp16", "openvino", 2.0, 0.05, marks=OPENVINO),
    pytest.param("openvino/int8", "openvino", 20.0, 0.5, marks=[OPENVINO, pytest.mark.slow]),
    pytest.param("litert/fp32", "litert", 1e-2, 1e-4, marks=[LITERT, pytest.mark.slow]),
    pytest.param("litert/int8", "litert", 20.0, 0.5, marks=[LITERT, pytest.mark.slow]),
    pytest.param("litert/int8-dynamic", "litert", 20.0, 0.5, marks=[LITERT, pytest.mark.slow]),
]


@pytest.mark.parametrize(("target", "engine", "box_px", "score"), CASES)
def test_output_is_the_sources(target: str, engine: str, box_px: float, score: float, make: Make) -> None:
    artifact = make(target)
    x = np.random.default_rng(0).random((4, 3, 64, 64), np.float32)
    expected = runtime.load("pytorch", make("pytorch/fp32"), threads=1).run(x)[0]
    session = runtime.load(engine, artifact, threads=1)
    output = np.concatenate([session.run(x[i : i + 1])[0] for i in range(4)])
    if artifact.output is not None and artifact.output.units == "unit":
        output[:, :4] *= 64
    error = np.abs(output - expected)
    assert error[:, :4].mean() < box_px
    assert error[:, 4:].max() < score
    assert output[:, 4:].max() > 0.2  # the scores are alive


@TENSORFLOW
@pytest.mark.slow
def test_a_saved_model_finds_what_its_source_finds(make: Make, images: list[str], tmp_path: Path) -> None:
    """In a process of its own, as in a benchmark: TensorFlow takes its threads before its first use only."""
    a = predict(make("pytorch/fp32"), "pytorch", images, threads=1, out=tmp_path / "a.npz")
    b = predict(make("savedmodel/fp32"), "tensorflow", images, threads=1, out=tmp_path / "b.npz")
    found = agreement(a, b)
    assert found["raw_score_error"] < 1e-4
    assert found["raw_box_error_px"] < 1e-2


@pytest.mark.slow
@pytest.mark.parametrize("yaml", ["yolo11n.yaml", "yolo12n.yaml", "yolov9t.yaml", "yolo26n.yaml", "rtdetr-l.yaml"])
def test_every_architecture_is_exported(yaml: str, tmp_path: Path, images: list[str]) -> None:
    checkpoint = make_checkpoint(tmp_path, yaml=yaml)
    x = np.random.default_rng(0).random((2, 3, 64, 64), np.float32)
    reference = export(checkpoint, "pytorch/fp32", tmp_path, ExportConfig(name="test"))
    expected = runtime.load("pytorch", reference, threads=1).run(x)[0]
    for target, engine in {"onnx/fp32": "onnxruntime", "torchscript/fp32": "torchscript"}.items():
        artifact = export(checkpoint, target, tmp_path, ExportConfig(name="test"))
        assert artifact.output == reference.output == layout("queries" if "rtdetr" in yaml else "dense", 3, "detect")
        assert artifact.input == reference.input == Input(64, 64, "stretch" if "rtdetr" in yaml else "letterbox")
        output = runtime.load(engine, artifact, threads=1).run(x)[0]
        if (
            "rtdetr" in yaml
        ):  # queries are picked by score: of those that tie, which they always do untrained, others may be
            apart = np.abs(output[:, :, None] - expected[:, None]).max(axis=-1).min(axis=1)
            assert np.mean(apart < 1e-2) > 0.95
        else:
            assert np.abs(output - expected).max() < 1e-2
    export(checkpoint, "onnx/int8", tmp_path, ExportConfig(name="test"), calibration=images)


@pytest.mark.parametrize("target", ["torchscript/fp32", "onnx/fp32", "onnx/fp16", "onnx/int8", "onnx/int8-dynamic"])
@pytest.mark.parametrize("batch", [1, 2, 4, 8])
def test_the_batch_is_free(target: str, batch: int, make: Make) -> None:
    engine = "torchscript" if "torchscript" in target else "onnxruntime"
    session = runtime.load(engine, make(target), threads=1)
    x = np.random.default_rng(0).random((batch, 3, 64, 64), np.float32)
    assert session.run(x)[0].shape == (batch, 7, 84)


@OPENVINO
@pytest.mark.parametrize("batch", [1, 2, 8])
def test_openvino_takes_any_batch_in_float32(batch: int, make: Make) -> None:
    session = runtime.load("openvino", make("openvino/fp32"), threads=1)
    assert session.run(np.zeros((batch, 3, 64, 64), np.float32))[0].shape == (batch, 7, 84)
    assert session.providers == ["CPU:f32"]  # the plugin would take bfloat16 where there is any


def test_facts_are_read_back_from_the_file(make: Make) -> None:
    static, dynamic, half = (make(f"onnx/{p}").facts for p in ("int8", "int8-dynamic", "fp16"))
    assert int(static["quantize_nodes"]) > 50
    assert int(static["integer_nodes"]) == 0
    assert int(dynamic["integer_nodes"]) > 50
    assert float(half["weights_f16"]) > 0.9
    assert float(static["weights_i8"]) > 0.9


def test_a_false_label_fails(make: Make) -> None:
    facts = readback.onnx_facts(Path(make("onnx/fp32").path))
    readback.check_label("onnx/fp32", facts)
    for label in ("onnx/fp16", "onnx/int8", "onnx/int8-dynamic"):
        with pytest.raises(StageError, match="not what its name says"):
            readback.check_label(label, facts)
    with pytest.raises(StageError, match="no quantised activations"):
        readback.check_label("onnx/int8", {"weights_i8": "1.0", "quantize_nodes": "0"})


def test_the_decoding_stays_float(make: Make) -> None:
    """The operators after the last convolutions take and give float32, and the distance sum keeps its weights."""
    import onnx

    source = Path(make("onnx/fp32").path)
    assert len(onnx_precision.unquantised(source)) == 1
    graph = onnx.load(make("onnx/int8").path).graph
    made_by = {output: node for node in graph.node for output in node.output}
    last = made_by[graph.output[0].name]
    assert last.op_type == "Concat"
    assert all(made_by[name].op_type != "DequantizeLinear" for name in last.input)


def test_static_int8_needs_images(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="calibration"):
        export(checkpoint, "onnx/int8", tmp_path, ExportConfig(name="test"))


def test_images_to_calibrate_on_are_fitted_in_as_the_network_takes_them(
    checkpoint: Checkpoint, images: list[str], tmp_path: Path
) -> None:
    job = Job(checkpoint, "onnx", "int8", ExportConfig(name="test"), tuple(images), False, tmp_path)
    stretched, boxed = Input(64, 96, "stretch", mean=[0.5] * 3), Input(64, 96)
    first = [next(onnx_precision.calibration_inputs(job, shape)) for shape in (stretched, boxed)]
    assert [x.shape for x in first] == [(1, 3, 64, 96)] * 2
    for x, shape in zip(first, (stretched, boxed), strict=True):
        assert np.array_equal(x[0], fit(load_image(images[0]), shape)[0])
    assert not np.array_equal(first[0] + 0.5, first[1])


@pytest.mark.parametrize("fmt", ["onnx", "tensorrt", pytest.param("openvino", marks=OPENVINO)])
def test_a_stretching_network_is_calibrated_on_stretched_images(
    fmt: str, make: Make, checkpoint: Checkpoint, images: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from src.export import onnx, openvino, tensorrt

    class FoundError(Exception):
        """Carries the input that is calibrated for."""

    def found(job: Job, shape: Input) -> None:
        raise FoundError(shape)

    own = replace(make("onnx/fp32"), input=Input(64, 64, "stretch"))
    monkeypatch.setattr(Job, "base", lambda self, target: own)
    monkeypatch.setattr(onnx_precision, "calibration_inputs", found)
    monkeypatch.setattr(openvino, "calibration_inputs", found)
    job = Job(checkpoint, fmt, "int8", ExportConfig(name="test"), tuple(images), False, tmp_path)
    with pytest.raises(FoundError) as caught:
        {"onnx": onnx.build, "openvino": openvino.build, "tensorrt": tensorrt.plan}[fmt](job, tmp_path)
    assert caught.value.args == (Input(64, 64, "stretch"),)


@pytest.mark.parametrize(("text", "expected"), [("flags : avx512_vnni", True), ("flags : avx2", False)])
def test_vnni_is_read_from_the_processor(text: str, expected: bool, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert onnx_precision.has_vnni(tmp_path / "cpuinfo") is expected
    assert not onnx_precision.has_vnni(tmp_path / "missing")


@pytest.mark.parametrize(
    ("target", "missing"),
    [("tensorrt/fp32", "tensorrt"), ("savedmodel/fp32", "tensorflow"), ("litert/fp32", "litert_torch")],
)
def test_a_missing_library_is_unavailable(
    target: str, missing: str, checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else real(name))
    with pytest.raises(Unavailable, match=r"install the extra|make setup EXTRAS"):
        export(checkpoint, target, tmp_path, ExportConfig(name="test"))
    assert list(tmp_path.iterdir()) == []


class TestTensorRtWithoutGpu:
    """What can be known of an engine before there is a GPU."""

    def test_the_plan_of_int8_is_an_explicit_symmetric_graph(
        self, checkpoint: Checkpoint, images: list[str], tmp_path: Path
    ) -> None:
        from src.export import tensorrt

        job = Job(checkpoint, "tensorrt", "int8", ExportConfig(name="t"), tuple(images), False, tmp_path)
        plan = tensorrt.plan(job, tmp_path)
        assert plan.shapes == ((1, 3, 64, 64), (4, 3, 64, 64), (16, 3, 64, 64))
        assert not plan.tf32
        facts = readback.onnx_facts(plan.onnx)
        assert int(facts["quantize_nodes"]) > 50

    def test_unsigned_activations_are_refused(self, make: Make) -> None:
        from src.export import tensorrt

        with pytest.raises(StageError, match="not symmetric"):
            tensorrt.check_explicit(Path(make("onnx/int8").path))
        with pytest.raises(StageError, match="no Q/DQ"):
            tensorrt.check_explicit(Path(make("onnx/fp32").path))

    def test_half_precision_comes_from_the_file(self, checkpoint: Checkpoint, tmp_path: Path) -> None:
        from src.export import tensorrt

        job = Job(checkpoint, "tensorrt", "fp16", ExportConfig(name="t"), (), False, tmp_path)
        assert float(readback.onnx_facts(tensorrt.plan(job, tmp_path).onnx)["weights_f16"]) > 0.9

    def test_strong_typing_is_asked_for_where_it_must_be(self) -> None:
        from types import SimpleNamespace as Namespace

        from src.export.tensorrt import _network_flags

        assert _network_flags(Namespace(NetworkDefinitionCreationFlag=Namespace(STRONGLY_TYPED=3))) == 8
        assert _network_flags(Namespace(NetworkDefinitionCreationFlag=Namespace())) == 0


@pytest.mark.gpu
@pytest.mark.parametrize(("precision", "score"), [("fp32", 1e-2), ("fp16", 0.05), ("int8", 0.5)])
@pytest.mark.parametrize("batch", [1, 4])
def test_tensorrt_gives_the_sources_output(precision: str, score: float, batch: int, make: Make) -> None:
    try:
        artifact = make(f"tensorrt/{precision}")
    except Unavailable as error:
        pytest.skip(str(error))
    x = np.random.default_rng(0).random((batch, 3, 64, 64), np.float32)
    expected = runtime.load("pytorch", make("pytorch/fp32"), threads=1).run(x)[0]
    output = runtime.load("tensorrt", artifact, threads=1, device="cuda").run(x)[0]
    assert np.abs(output - expected)[:, 4:].max() < score


@pytest.mark.gpu
def test_pytorch_and_onnxruntime_on_the_gpu(make: Make) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    x = np.random.default_rng(0).random((2, 3, 64, 64), np.float32)
    expected = runtime.load("pytorch", make("pytorch/fp32"), threads=1).run(x)[0]
    session = runtime.load("pytorch", make("pytorch/fp32"), threads=1, device="cuda:0")
    assert session.providers == ["cuda"]
    assert np.abs(session.run(x)[0] - expected)[:, 4:].max() < 1e-2
