"""TensorFlow SavedModel, by onnx2tf from the float32 ONNX file; an extra with a lock of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from src.common.backends import Format
from src.export.request import Built, Job, versions
from src.inference import spec_of

FORMAT = Format(
    precisions=("fp32",),
    needs={"tensorflow": "tensorflow", "onnx2tf": "onnx2tf"},
    install="make setup EXTRAS=tensorflow",
)
FOLDER = "model_saved_model"


def tool_versions() -> dict[str, str]:
    """What decides the content of the files."""
    return versions("torch", "onnx", "onnxslim", "tensorflow", "onnx2tf")


def build(job: Job, folder: Path) -> Built:
    """Convert with a fixed batch of one: the converter moves channels last and needs all shapes for it."""
    from onnx2tf import onnx2tf

    # It compares layers on photographs that it would fetch from the network; noise serves as well.
    onnx2tf.download_test_image_data = _noise
    base = job.base("onnx/fp32")
    path, fixed = folder / FOLDER, folder / "fixed.onnx"
    shape, output = spec_of(base)
    _fix_shape(Path(base.path), fixed, (1, 3, *shape.size))
    onnx2tf.convert(
        input_onnx_file_path=str(fixed),
        output_folder_path=str(path),
        not_use_onnxsim=True,
        enable_batchmatmul_unfold=True,
        optimization_for_gpu_delegate=True,
        output_signaturedefs=True,
        verbosity="error",
    )
    fixed.unlink()
    return Built(path, replace(shape, batch=1), output, names=base.names)


def _fix_shape(source: Path, target: Path, sides: tuple[int, ...]) -> None:
    """Give an ONNX file a batch of one and the shapes that follow from it; without them layers are turned wrongly."""
    import onnx
    import onnxslim

    model = onnx.load(str(source))
    for axis, side in enumerate(sides):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = side
    for value in model.graph.output:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    del model.graph.value_info[:]
    onnx.save(onnx.shape_inference.infer_shapes(onnxslim.slim(model)), str(target))


def _noise() -> NDArray[np.float32]:
    """Images that the converter compares its layers on, [20, 128, 128, 3]."""
    return np.random.default_rng(0).random((20, 128, 128, 3), dtype=np.float32)
