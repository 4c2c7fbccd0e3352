"""The registered model as MLflow loads it: images in, a table of detections out.

MLflow keeps this file's code with the model ("models from code"), so loading one unpickles nothing. The file runs as a
script when the model is saved and loaded; the rest of the package travels beside it.
"""

from __future__ import annotations

import json
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
        """Open the artifact named in `detsweep.json` with its engine."""
        from src.records import Artifact
        from src.runtime import load

        self.plan = json.loads(Path(context.artifacts["plan"]).read_text(encoding="utf-8"))
        self.artifact = Artifact(**{**self.plan["artifact"], "path": context.artifacts["model"]})
        self.session = load(self.plan["runtime"], self.artifact, threads=self.plan["threads"])

    # MLflow would take a type on `model_input` for a schema of its own; the signature says what goes in.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        """Detections in image px for RGB images uint8 [n, h, w, 3].

        `params` may hold `confidence`; otherwise the threshold of the best F1 on val counts.
        """
        from src import inference

        confidence = float((params or {}).get("confidence") or self.plan["confidence"])
        thresholds = inference.Thresholds(conf=confidence, multi_label=False)
        detector = inference.Detector(self.session, self.artifact, thresholds)
        rows: list[list[Any]] = []
        for index, image in enumerate(np.asarray(model_input, dtype=np.uint8)):
            found = detector([detector.prepare(image)])[0]
            for box, score, c in zip(found.boxes, found.scores, found.classes, strict=True):
                name = self.plan["class_names"][int(c)]
                rows.append([index, *(float(v) for v in box), float(score), int(c), name])
        return pd.DataFrame(rows, columns=COLUMNS)


mlflow.models.set_model(Detector())
