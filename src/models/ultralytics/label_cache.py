"""Labels of a split as Ultralytics reads them again and again, cached as plain arrays.

Ultralytics caches them as pickles, which run what they carry; nothing here is ever unpickled.
"""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from src.common.whole_files import write_bytes


def save_labels(prefix: str, path: Path, x: dict[str, Any], version: str) -> None:
    """Ultralytics' label cache without pickles; labels with outlines or key points are not cached."""
    x["version"] = version  # Ultralytics takes it out again
    labels = x["labels"]
    if any(len(label["segments"]) or label["keypoints"] is not None for label in labels):
        return
    plain = {key: x[key] for key in ("hash", "results", "msgs", "version")}
    plain["rows"] = [[label["im_file"], list(map(int, label["shape"])), len(label["cls"])] for label in labels]
    boxes = [np.concatenate([label["cls"], label["bboxes"]], 1) for label in labels]
    stream = io.BytesIO()
    np.savez(stream, boxes=np.concatenate(boxes).astype(np.float32), plain=np.array(json.dumps(plain)))
    with contextlib.suppress(OSError):  # a folder that can't be written to: the labels are read again next time
        write_bytes(path, stream.getvalue())


def load_labels(path: Path) -> dict[str, Any]:
    """What `save_labels` wrote; anything else raises, and Ultralytics then reads the labels again."""
    with np.load(path, allow_pickle=False) as saved:
        plain: dict[str, Any] = json.loads(str(saved["plain"]))
        boxes = saved["boxes"]
    labels, at = [], 0
    for file, shape, count in plain.pop("rows"):
        rows = boxes[at : at + count]
        at += count
        labels.append(
            {
                "im_file": file,
                "shape": tuple(shape),
                "cls": rows[:, :1].copy(),
                "bboxes": rows[:, 1:].copy(),
                "segments": [],
                "keypoints": None,
                "normalized": True,
                "bbox_format": "xywh",
            }
        )
    return {**plain, "labels": labels}
