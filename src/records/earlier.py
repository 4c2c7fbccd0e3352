"""Records of earlier versions, brought to the shape of today's before they are parsed.

Until families of detectors had a protocol, an artifact named the layout of its output (`head`), with the number of
classes, the task and the outputs that count beside it. Only the standard library is imported here, as in records.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from src.records.model_io import LAYOUTS, layout, resize_of
from src.records.parsing import RecordError, parse
from src.records.schema import Artifact, FinalistRecord

OLD = ("head", "classes", "task", "outputs")  # fields of an artifact that `Output` holds now


def upgraded(cls: type[Any], raw: dict[str, Any], source: str) -> dict[str, Any]:
    """The parsed JSON of a record of type `cls` as today's fields have it.

    Raises:
        RecordError: an artifact names a layout that is not known.
    """
    artifacts = raw.get("artifacts")
    if cls is not FinalistRecord or not isinstance(artifacts, list):
        return raw
    return {**raw, "artifacts": [_upgraded(item, f"{source}.artifacts[{i}]") for i, item in enumerate(artifacts)]}


def artifact_from(raw: Any, source: str = "artifact") -> Artifact:
    """An artifact from parsed JSON, also of earlier versions: manifests and plans of served models hold one each.

    Raises:
        RecordError: a field is missing, unknown or of the wrong type, or the layout is not known.
    """
    return parse(Artifact, _upgraded(raw, source), source)


def _upgraded(raw: Any, source: str) -> Any:
    if not isinstance(raw, dict) or not any(name in raw for name in OLD):
        return raw
    name, shape = raw.get("head", "dense"), raw.get("input_shape")
    if not isinstance(name, str) or name not in LAYOUTS:
        raise RecordError(f"{source}.head: the layout {str(name)[:40]!r} is not known; one of: {', '.join(LAYOUTS)}")
    if not isinstance(shape, list) or len(shape) != 4 or not all(isinstance(side, int) for side in shape):
        raise RecordError(f"{source}.input_shape: expected four whole numbers")
    names, task, picks = raw.get("names", []), raw.get("task", ""), raw.get("outputs", [])
    classes = raw.get("classes") or (len(names) if isinstance(names, list) else 0)
    output = {**dataclasses.asdict(layout(name)), "classes": classes, "task": task, "picks": picks}
    batch, _, height, width = (max(side, 0) for side in shape)  # -1: any
    fitted = {"height": height, "width": width, "resize": resize_of(name), "batch": batch}
    rest = {key: value for key, value in raw.items() if key not in OLD}
    return {**rest, "input": fitted, "output": output}
