"""The registered model as MLflow loads it: images in, a table of detections out.

MLflow keeps this file's code with the model ("models from code"), so loading one unpickles nothing. The file runs as a
script when the model is saved and loaded; the rest of the package travels beside it. Only what the model's runtime
needs is imported: an ONNX file on ONNX Runtime is served without PyTorch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc import PythonModel  # type: ignore[attr-defined]

COLUMNS = ["image", "x1", "y1", "x2", "y2", "score", "class_id", "class_name"]


class Detector(PythonModel):  # type: ignore[misc]
    """An exported detector behind its engine."""

    def load_context(self, context: Any) -> None:
        """Open the artifact named in `detsweep.json` on the runtime, device and threads that were measured."""
        from src.records.earlier import artifact_from
        from src.runtime import load

        self.plan = json.loads(Path(context.artifacts["plan"]).read_text(encoding="utf-8"))
        places = {"path": context.artifacts["model"], "input_shape": shape_of(self.plan)}
        self.artifact = artifact_from({**self.plan["artifact"], **places})
        device = self.plan.get("device", "cpu")
        self.session = load(self.plan["runtime"], self.artifact, threads=self.plan["threads"], device=device)

    # MLflow would take a type on `model_input` for a schema of its own; the signature says what goes in.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        """Detections in image px for RGB images uint8 [n, h, w, 3].

        `params` may hold `confidence`; otherwise the threshold of the best F1 on val counts.
        """
        confidence = (params or {}).get("confidence")
        threshold = float(self.plan["confidence"] if confidence is None else confidence)
        detect = self._detector(threshold)
        rows: list[list[Any]] = []
        for index, image in enumerate(np.asarray(model_input, dtype=np.uint8)):
            found = detect([detect.prepare(image)])[0]
            for box, score, c in zip(found.boxes, found.scores, found.classes, strict=True):
                name = name_of(self.plan["class_names"], int(c))
                rows.append([index, *(float(v) for v in box), float(score), int(c), name])
        return pd.DataFrame(rows, columns=COLUMNS)

    def _detector(self, confidence: float) -> Any:
        """Images to boxes by the path that accuracy was measured with."""
        from src import inference

        thresholds = inference.Thresholds(conf=confidence, multi_label=False)
        return inference.Detector(self.session, self.artifact, thresholds)


def shape_of(plan: dict[str, Any]) -> list[int]:
    """Shape of the input [n, c, h, w]; sides that the file leaves free are those of the training."""
    batch, channels, *sides = plan["artifact"]["input_shape"]
    return [batch, channels, *(side if side > 0 else int(plan["imgsz"]) for side in sides)]


def name_of(names: Sequence[str], number: int) -> str:
    """A class's name; its number where the file knows classes that the names don't cover."""
    return str(names[number]) if 0 <= number < len(names) else str(number)


mlflow.models.set_model(Detector())
