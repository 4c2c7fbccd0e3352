"""OpenVINO's own format, converted from the float32 ONNX file; INT8 by NNCF's calibration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from src.common.backends import Format
from src.export import readback
from src.export.onnx_precision import calibration_inputs, checked, counts_up
from src.export.request import Built, Job, quiet, versions
from src.inference import Input, spec_of

FORMAT = Format(
    precisions=("fp32", "fp16", "int8"),
    contents=("*.xml", "*.bin"),
    needs={"openvino": "openvino", "nncf": "nncf"},
    install='install the extra "openvino" (make setup)',
)
FOLDER = "model_openvino_model"  # the suffix by which Ultralytics' reader knows it


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
        model = _quantised(model, job, shape, transformer=output.queries)
    path = folder / FOLDER
    path.mkdir()
    ov.save_model(model, str(path / "model.xml"), compress_to_fp16=job.precision == "fp16")
    _write_metadata(Path(base.path), path)
    return Built(path, shape, output, readback.openvino_facts(path), base.names)


def _quantised(model: Any, job: Job, shape: Input, *, transformer: bool) -> Any:
    """Quantise all but the decoding after the last convolutions: see `src.export.onnx_precision`."""
    inputs, known = list(calibration_inputs(job, shape)), layers(model)
    with quiet():
        import nncf
        from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, QuantizationParameters

        rounding = QuantizationParameters(per_channel=job.cfg.int8.weights == "channel")
        kept = [known[name] for name in checked(job.kept, list(known))]
        return nncf.quantize(
            model,
            nncf.Dataset(inputs),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(inputs),
            model_type=nncf.ModelType.TRANSFORMER if transformer else None,
            ignored_scope=nncf.IgnoredScope(names=[*decoding(model), *kept], validate=False),
            advanced_parameters=AdvancedQuantizationParameters(weights_quantization_params=rounding),
        )


def layers(model: Any) -> dict[str, str]:
    """Convolutions by the name that ONNX gives them, with their own: a bias makes an operation of its own here."""
    names = [op.get_friendly_name() for op in model.get_ops() if "Convolution" in op.get_type_name()]
    return {name.removesuffix("/WithoutBiases"): name for name in names}


def decoding(model: Any) -> list[str]:
    """Names of the operations between the last convolutions and the output."""
    waiting = [result.input_value(0).get_node() for result in model.get_results()]
    found: dict[str, Any] = {}
    while waiting:
        op = waiting.pop()
        name, kind = op.get_friendly_name(), op.get_type_name()
        if name in found or kind in ("Constant", "Parameter") or (kind == "Convolution" and not _is_dfl(op)):
            continue
        found[name] = op
        waiting += [value.get_node() for value in op.input_values()]
    return sorted(found)


def _is_dfl(convolution: Any) -> bool:
    """Whether the weights are 0, 1, 2, …: the sum that turns a distribution into a distance."""
    constant = convolution.input_value(1).get_node()
    return constant.get_type_name() == "Constant" and counts_up(constant.data)


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
