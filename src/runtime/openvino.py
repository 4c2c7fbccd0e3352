"""OpenVINO, on its own files and on ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from src.common.backends import ANY, Engine
from src.common.errors import Unavailable, UserError
from src.records.schema import Artifact
from src.runtime.protocol import Float

ENGINE = Engine(
    runs={"openvino": ANY, "onnx": ("fp32", "fp16", "int8")},
    needs={"openvino": "openvino"},
    install='install the extra "openvino" (make setup)',
    packages=(("openvino",),),
    preference=20,
)


class OpenVinoSession:
    """A model compiled once for every shape of input that it meets: fixed shapes run faster than a free batch axis."""

    name = "openvino"

    def __init__(
        self, core: Any, model: Any, config: dict[str, Any], version: str, device: str, shape: tuple[int, ...]
    ) -> None:
        self._core, self._model, self._config = core, model, config
        self._requests: dict[tuple[int, ...], Any] = {}
        self.version = version
        self.device = device
        self._dynamic = model.input(0).partial_shape.is_dynamic
        compiled = self._request(shape if self._dynamic else tuple(model.input(0).shape)).get_compiled_model()
        precision = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        self.providers = [f"{item}:{precision}" for item in compiled.get_property("EXECUTION_DEVICES")]

    def _request(self, shape: tuple[int, ...]) -> Any:
        if shape not in self._requests:
            model = self._model
            if self._dynamic:
                model = model.clone()
                model.reshape(list(shape))
            self._requests[shape] = self._core.compile_model(model, "CPU", self._config).create_infer_request()
        return self._requests[shape]

    def run(self, x: Float) -> list[Float]:
        """Run one batch. The input is shared, not copied; the output is copied, since the next call writes over it."""
        outputs = self._request(x.shape).infer({0: x}, share_inputs=True, share_outputs=True)
        return [np.array(outputs[i], np.float32) for i in range(len(outputs))]


def _config(core: Any, artifact: Artifact, threads: int) -> dict[str, Any]:
    """Options for one stream.

    Left alone, the plugin runs float32 files in bfloat16 where the processor has it: faster, up to 4 px off here, and
    not what the label says. So arithmetic is what the file's precision says or, where the processor has no float16,
    float32.
    """
    half = artifact.precision == "fp16" and "FP16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f16" if half else "f32",
    }


def load(artifact: Artifact, threads: int, device: str, trust: bool) -> OpenVinoSession:
    """Read and compile for the lowest latency.

    Raises:
        UserError: the file is damaged or of another kind.
        Unavailable: another device than the processor is asked for.
    """
    import openvino as ov

    if device != "cpu":
        raise Unavailable("openvino runs on the processor here; use device=cpu")
    path = Path(artifact.path)
    source = next(iter(sorted(path.glob("*.xml"))), path) if path.is_dir() else path
    try:
        core = ov.Core()
        config = _config(core, artifact, threads)
        model = core.read_model(str(source))
        shape = (max(artifact.input_shape[0], 1), *artifact.input_shape[1:])
        return OpenVinoSession(core, model, config, ov.__version__, device, shape)
    except RuntimeError as error:
        text = next((line for line in str(error).splitlines()[::-1] if line.strip()), "")
        raise UserError(
            f"OpenVINO can't load the file ({text.strip()})", value=artifact.path, remedy="export it again"
        ) from None
