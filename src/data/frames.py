"""Take pictures out of a video, every n-th frame or every t seconds, into a new folder to be labelled."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from src.common.errors import UserError
from src.common.hashes import sha256_file
from src.common.whole_files import whole_folder, write_text


def extract_frames(
    video: str | None, out: str | None, *, every: int | None, every_s: float | None, dry_run: bool
) -> dict[str, Any]:
    """Write the chosen frames as `out/images/*.jpg` and return the manifest.

    Raises:
        UserError: the video can't be read, an option is wrong, or `out` exists.
    """
    path = _video(video)
    if not out:
        raise UserError("out is not set", remedy="out=NEW_FOLDER")
    target = Path(out).expanduser().absolute()
    if target.exists():
        raise UserError("out exists already, and nothing is ever written over", value=target, remedy="out=NEW_FOLDER")
    _check_steps(every, every_s)
    manifest: dict[str, Any] = {
        "command": "frames",
        "source": str(path),
        "source_sha256": sha256_file(path),
        "options": {"every": every, "every_s": every_s},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if dry_run:
        frames = [{"frame": number, "time_s": time} for number, time, _ in _chosen(path, every, every_s, decode=False)]
        return {**manifest, "frames": frames, "dry_run": True}
    return _write(manifest, path, target, every, every_s)


def _video(video: str | None) -> Path:
    if not video:
        raise UserError("video is not set", remedy="python -m src.data frames video=FILE out=NEW_FOLDER every=30")
    path = Path(video).expanduser()
    if not path.is_file():
        raise UserError("video does not exist", value=video, remedy="video=FILE")
    return path


def _check_steps(every: int | None, every_s: float | None) -> None:
    if (every is None) == (every_s is None):
        raise UserError("set either every (frames) or every_s (seconds)", remedy="every=30 or every_s=1.0")
    if every is not None and every < 1:
        raise UserError("every must be at least 1", value=every, remedy="every=30")
    if every_s is not None and not (math.isfinite(every_s) and every_s > 0):
        raise UserError("every_s must be above 0", value=every_s, remedy="every_s=1.0")


def _chosen(path: Path, every: int | None, every_s: float | None, *, decode: bool) -> Iterator[tuple[int, float, Any]]:
    """Frame number, time and (with `decode`) pixels of each chosen frame."""
    import cv2

    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise UserError("video can't be read", value=path, remedy="a file that OpenCV decodes, e.g. MP4 or AVI")
        rate = capture.get(cv2.CAP_PROP_FPS) or 25.0
        due = 0.0
        number = 0
        while capture.grab():
            time = number / rate
            wanted = number % every == 0 if every else time + 1e-9 >= due
            if wanted:
                due += every_s or 0.0
                pixels = capture.retrieve()[1] if decode else None
                yield number, round(time, 6), pixels
            number += 1
        if not number:
            raise UserError("video holds no frame that can be read", value=path, remedy="another file")
    finally:
        capture.release()


def _write(
    manifest: dict[str, Any], path: Path, target: Path, every: int | None, every_s: float | None
) -> dict[str, Any]:
    import cv2

    with whole_folder(target) as aside:
        (aside / "images").mkdir(parents=True)
        frames = []
        for number, time, pixels in _chosen(path, every, every_s, decode=True):
            name = f"{path.stem}-{number:06d}.jpg"
            (aside / "images" / name).write_bytes(cv2.imencode(".jpg", pixels)[1].tobytes())
            frames.append({"frame": number, "time_s": time, "file": f"images/{name}"})
        manifest = {**manifest, "frames": frames}
        write_text(aside / "manifest.json", json.dumps(manifest, indent=1) + "\n")
    return manifest
