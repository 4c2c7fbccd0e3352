"""TensorRT engines, built from ONNX files whose types say everything.

Since version 10 networks may be strongly typed, and since 11 they always are: precision is not a builder flag any more
but what the ONNX file holds. Half precision comes from the float16 file, INT8 from explicit Q/DQ nodes with signed
activations and zero points of 0, which need no calibrator here: ONNX Runtime has calibrated them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.common.backends import Format
from src.common.errors import StageError, Unavailable
from src.export import onnx_precision, readback
from src.export.request import Built, Job, versions
from src.inference import spec_of

FORMAT = Format(
    precisions=("fp32", "fp16", "int8"),
    suffix=".engine",
    needs={"tensorrt": "tensorrt"},
    install='install the extra "tensorrt" on a machine with an NVIDIA GPU',
)
FILE = "model.engine"
BATCHES = (1, 4, 16)  # smallest, usual and largest batch that the engine is tuned for
WORKSPACE = 4 << 30  # bytes


@dataclass(frozen=True)
class EnginePlan:
    """What is asked of the builder; made and checked without a GPU."""

    onnx: Path
    input_name: str
    shapes: tuple[tuple[int, ...], ...]  # smallest, usual, largest
    tf32: bool  # TensorFloat-32 keeps 10 bits of mantissa: not what "fp32" says


def check_available() -> None:
    """Raises `Unavailable` where a GPU is missing."""
    import torch

    if not torch.cuda.is_available():
        raise Unavailable("tensorrt builds on the GPU that it runs on; none is here")


def tool_versions() -> dict[str, str]:
    """What decides the content of the file: an engine fits one GPU and one version only."""
    import torch

    return versions("torch", "onnx", "tensorrt") | {"gpu": torch.cuda.get_device_name(0)}


def build(job: Job, folder: Path) -> Built:
    """Plan, build, save."""
    work = plan(job, folder)
    path = folder / FILE
    path.write_bytes(_engine(work))
    base = job.base("onnx/fp32")
    shape, output = spec_of(base)
    facts = readback.onnx_facts(work.onnx)
    if work.onnx.parent == folder:
        work.onnx.unlink()
    return Built(path, shape, output, facts, base.names)


def plan(job: Job, folder: Path) -> EnginePlan:
    """The typed ONNX file that the engine is built from, and the shapes it is tuned for."""
    base = job.base("onnx/fp32")
    shape, _ = spec_of(base)
    if job.precision == "int8":
        source = folder / "explicit.onnx"
        inputs = onnx_precision.calibration_inputs(job, shape)
        per_channel = job.cfg.int8.weights == "channel"
        onnx_precision.static(Path(base.path), source, inputs, symmetric=True, per_channel=per_channel, kept=job.kept)
        check_explicit(source)
    else:
        source = Path(job.base(f"onnx/{job.precision}").path)
    batches = (shape.batch,) * len(BATCHES) if shape.batch else BATCHES
    return EnginePlan(source, "images", tuple((n, 3, *shape.size) for n in batches), tf32=False)


def check_explicit(path: Path) -> None:
    """Check that a Q/DQ file is one that TensorRT reads: signed bytes and zero points of 0.

    Raises:
        StageError: it isn't.
    """
    import onnx

    graph = onnx.load(str(path)).graph
    values = {t.name: t for t in graph.initializer}
    nodes = [n for n in graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")]
    if not nodes:
        raise StageError("export", "tensorrt/int8", "the ONNX file has no Q/DQ nodes")
    for node in nodes:
        zero = values.get(node.input[2]) if len(node.input) > 2 else None
        if zero is None or zero.data_type == onnx.TensorProto.INT32:  # biases
            continue
        if zero.data_type != onnx.TensorProto.INT8 or onnx.numpy_helper.to_array(zero).any():
            raise StageError("export", "tensorrt/int8", f"{node.name} is not symmetric int8")


def _engine(work: EnginePlan) -> bytes:
    """Serialised engine.

    Raises:
        StageError: TensorRT can't parse the file or build an engine from it.
    """
    import tensorrt as trt

    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(_network_flags(trt))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(work.onnx)):
        raise StageError("export", "tensorrt", str(parser.get_error(0)))
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE)
    if not work.tf32:
        config.clear_flag(trt.BuilderFlag.TF32)
    profile = builder.create_optimization_profile()
    profile.set_shape(work.input_name, *work.shapes)
    config.add_optimization_profile(profile)
    serialized = builder.build_serialized_network(network, config)
    if serialized is None:
        raise StageError("export", "tensorrt", "the builder gave no engine; its log is above")
    return bytes(serialized)


def _network_flags(trt: Any) -> int:
    """Ask for strong typing where it has to be asked for; in version 11 there is nothing else."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)
