"""OpenVINO's own format, converted from the float32 ONNX file; INT8 by NNCF's calibration."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from src.common.backends import Format
from src.export import readback
from src.export.onnx_precision import calibration_inputs, checked, layers
from src.export.request import Built, Job, quiet, versions
from src.inference import Input, spec_of

FORMAT = Format(
    precisions=("fp32", "fp16", "int8"),
    contents=("*.xml", "*.bin"),
    needs={"openvino": "openvino", "nncf": "nncf"},
    install='install the extra "openvino" (make setup)',
)
FOLDER = "model_openvino_model"  # the suffix by which Ultralytics' reader knows it
PRODUCTS = ("Convolution", "GroupConvolution", "MatMul")
BIASED = "/WithoutBiases"  # of a product whose sum has the layer's name


def tool_versions() -> dict[str, str]:
    """What decides the content of the files."""
    return versions("torch", "onnx", "onnxslim", "openvino", "nncf")


def build(job: Job, folder: Path) -> Built:
    """Convert, quantise when asked to, and save with the weights in the asked type."""
    import openvino as ov

    base = job.base("onnx/fp32")
    shape, output = spec_of(base)
    model: Any = ov.convert_model(base.path)
    if job.precision == "int8":
        model = _quantised(model, job, Path(base.path), shape, transformer=output.queries)
    path = folder / FOLDER
    path.mkdir()
    ov.save_model(model, str(path / "model.xml"), compress_to_fp16=job.precision == "fp16")
    _write_metadata(Path(base.path), path)
    return Built(path, shape, output, readback.openvino_facts(path), base.names)


def _quantised(model: Any, job: Job, base: Path, shape: Input, *, transformer: bool) -> Any:
    """Quantise all but the decoding after the last layers that are rounded: see `src.export.onnx_precision`."""
    inputs, known = list(calibration_inputs(job, shape)), operations(model, base)
    with quiet():
        import nncf
        from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, QuantizationParameters

        rounding = QuantizationParameters(per_channel=job.cfg.int8.weights == "channel")
        kept = [known[name] for name in checked(job.kept, list(known))]
        return nncf.quantize(
            model.clone(),  # without what conversion left behind: NNCF stumbles over operations that nobody asks for
            nncf.Dataset(inputs),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(inputs),
            model_type=nncf.ModelType.TRANSFORMER if transformer else None,
            ignored_scope=nncf.IgnoredScope(names=[*decoding(model, known.values()), *kept], validate=False),
            advanced_parameters=AdvancedQuantizationParameters(weights_quantization_params=rounding),
        )


def operations(model: Any, source: Path) -> dict[str, str]:
    """The layers of an ONNX file that are rounded, by their names there, with those of the operations made of them.

    A bias makes an operation of its own, which takes the layer's name; what answers takes that of its output.
    """
    import onnx

    answers = {node.name: node.output[0] for node in onnx.load(str(source), load_external_data=False).graph.node}
    own = {op.get_friendly_name() for op in model.get_ops() if op.get_type_name() in PRODUCTS}
    found = {}
    for layer in layers(source):
        names = (layer + BIASED, layer, answers[layer] + BIASED, answers[layer])
        if name := next((name for name in names if name in own), ""):
            found[layer] = name
    return found


def decoding(model: Any, rounded: Iterable[str]) -> list[str]:
    """Names of the operations between the last of some operations and the output."""
    waiting, last = [result.input_value(0).get_node() for result in model.get_results()], set(rounded)
    found: dict[str, Any] = {}
    while waiting:
        op = waiting.pop()
        name = op.get_friendly_name()
        if name in found or name in last or op.get_type_name() in ("Constant", "Parameter"):
            continue
        found[name] = op
        waiting += [value.get_node() for value in op.input_values()]
    return sorted(found)


def _write_metadata(source: Path, folder: Path) -> None:
    """What a reader has to know, in the file that Ultralytics' reader looks for."""
    import onnx
    import yaml

    model = onnx.load(str(source), load_external_data=False)
    entries = {
        p.key: yaml.safe_load(p.value) if p.key in ("imgsz", "names", "stride") else p.value
        for p in model.metadata_props
    }
    entries["batch"], entries["channels"] = 1, 3
    entries["end2end"] = entries.get("end2end") == "True"
    (folder / "metadata.yaml").write_text(yaml.safe_dump(entries), encoding="utf-8")
