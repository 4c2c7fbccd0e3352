"""The Flask application that guides to serving a detector write: `python -m benchmarks._flask_app MODEL PORT FOLDER`.

A file of Ultralytics' (`.pt`, or what it reads as ONNX) behind Flask's own server, as it comes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from src.models.ultralytics.checkpoint import prepare_environment


def main(path: str, port: int, folder: str, conf: float) -> None:
    """Serve until ended."""
    prepare_environment(Path(folder))  # nothing is fetched or installed meanwhile
    from flask import Flask, Response, jsonify, request
    from PIL import Image
    from ultralytics.models import YOLO

    app, model = Flask(__name__), YOLO(path, task="detect")

    @app.get("/health")
    def health() -> Response:
        return jsonify(ready=True)

    @app.post("/predict")
    def predict() -> Response:
        image = Image.open(request.files["image"].stream)
        results: Any = model.predict(image, imgsz=320, conf=conf, rect=path.endswith(".pt"), verbose=False)
        found = results[0]
        return jsonify(
            [
                {"box": box.xyxy[0].tolist(), "score": float(box.conf), "class": found.names[int(box.cls)]}
                for box in found.boxes
            ]
        )

    app.run(host="127.0.0.1", port=port)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4]))
