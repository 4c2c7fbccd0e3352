"""What is kept of a prediction: JSON in COCO's results format, YOLO text files, CSV, drawn pictures and videos.

Everything is written into a folder aside, which is renamed when the run is over: a folder of results is whole.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from src.common.csv_cells import cell
from src.common.errors import UserError
from src.common.whole_files import aside_of
from src.inference import Detections
from src.predict.draw import draw
from src.predict.model import Opened
from src.predict.sources import Frame

KINDS = ("json", "txt", "csv", "pictures", "video")


class Writer(Protocol):
    """Takes one frame at a time."""

    def add(self, frame: Frame, found: Detections) -> None:
        """Keep a frame's detections."""
        ...

    def close(self) -> None:
        """Finish the files."""
        ...


def label_of(frame: Frame) -> str:
    """Name of a frame in the results: that of the picture, or of the video with the frame's number."""
    return frame.name if frame.number < 0 else f"{frame.name}_{frame.number:06d}"


class Json:
    """`predictions.json`: a list of objects as COCO's evaluation reads them.

    `image_id` is a number where the picture's name is one; `category_id` is the class id of the model, from 0; `bbox`
    is x, y, width, height in px.
    """

    def __init__(self, folder: Path) -> None:
        self._stream = open(folder / "predictions.json", "w", encoding="utf-8")  # noqa: SIM115 - closed by close()
        self._between = "[\n"

    def add(self, frame: Frame, found: Detections) -> None:
        """A line for each box."""
        label = label_of(frame)
        stem = label.rpartition("/")[2]
        identity: int | str = int(stem) if stem.isdecimal() else label
        for (x1, y1, x2, y2), score, class_id in found.rows():
            row = {
                "image_id": identity,
                "category_id": class_id,
                "bbox": [round(v, 3) for v in (x1, y1, x2 - x1, y2 - y1)],
                "score": round(score, 5),
                "file_name": label,
            }
            self._stream.write(self._between + json.dumps(row))
            self._between = ",\n"

    def close(self) -> None:
        """End the list."""
        self._stream.write("[]\n" if self._between == "[\n" else "\n]\n")
        self._stream.close()


class Csv:
    """`predictions.csv`: a row for each box."""

    HEADER = ("image", "frame", "time_s", "class", "name", "score", "x1", "y1", "x2", "y2")

    def __init__(self, folder: Path, opened: Opened) -> None:
        self._stream = open(folder / "predictions.csv", "w", encoding="utf-8", newline="")  # noqa: SIM115
        self._rows = csv.writer(self._stream)
        self._rows.writerow(self.HEADER)
        self._opened = opened

    def add(self, frame: Frame, found: Detections) -> None:
        """Rows of a frame."""
        place = (cell(frame.name), frame.number if frame.number >= 0 else "", f"{frame.time_s:.3f}")
        for box, score, class_id in found.rows():
            corners = (f"{value:.2f}" for value in box)
            name = cell(self._opened.name_of(class_id))
            self._rows.writerow((*place, class_id, name, f"{score:.5f}", *corners))

    def close(self) -> None:
        """Finish the file."""
        self._stream.close()


class Txt:
    """`labels/<name>.txt`: class, centre and size as shares of the picture, score; empty when nothing is found."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "labels"

    def add(self, frame: Frame, found: Detections) -> None:
        """The file of a frame."""
        height, width = frame.image.shape[:2]
        lines = []
        for (x1, y1, x2, y2), score, class_id in found.rows():
            shares = (x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height
            lines.append(f"{class_id} {' '.join(f'{v:.6f}' for v in shares)} {score:.5f}\n")
        path = self._folder / f"{label_of(frame)}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines), encoding="utf-8")

    def close(self) -> None:
        """Nothing is open."""


class Pictures:
    """`pictures/<name>.jpg` with the boxes drawn in; frames of videos too."""

    def __init__(self, folder: Path, opened: Opened) -> None:
        self._folder = folder / "pictures"
        self._opened = opened

    def add(self, frame: Frame, found: Detections) -> None:
        """Draw and save a frame."""
        import cv2

        path = self._folder / f"{label_of(frame)}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        ok, content = cv2.imencode(".jpg", draw(frame.image, found, self._opened.name_of))
        assert ok
        path.write_bytes(content.tobytes())

    def close(self) -> None:
        """Nothing is open."""


class Video:
    """`<name>.mp4` with the boxes drawn in, for every video; pictures are left out.

    Args:
        folder: where to write.
        opened: names the classes.
        fps: frames per second of each video by its name; streams get 25.
    """

    def __init__(self, folder: Path, opened: Opened, fps: dict[str, float]) -> None:
        self._folder, self._opened, self._fps = folder, opened, fps
        self._open: tuple[str, Any] | None = None

    def add(self, frame: Frame, found: Detections) -> None:
        """Draw and append a frame."""
        if frame.number < 0:
            return
        if self._open is None or self._open[0] != frame.name:
            self.close()
            self._open = frame.name, self._start(frame)
        self._open[1].write(draw(frame.image, found, self._opened.name_of))

    def _start(self, frame: Frame) -> Any:
        import cv2

        path = self._folder / f"{frame.name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = frame.image.shape[:2]
        code = cv2.VideoWriter.fourcc(*"mp4v")
        writer = cv2.VideoWriter(str(path), code, self._fps.get(frame.name, 25.0), (width, height))
        if not writer.isOpened():
            raise UserError("a video can't be written", value=path.name, remedy="save=[pictures] instead of video")
        return writer

    def close(self) -> None:
        """Finish the current file."""
        if self._open is not None:
            self._open[1].release()
            self._open = None


def make_writers(kinds: Sequence[str], folder: Path, opened: Opened, fps: dict[str, float]) -> list[Writer]:
    """A writer for each kind asked for."""
    makers: dict[str, Any] = {
        "json": lambda: Json(folder),
        "txt": lambda: Txt(folder),
        "csv": lambda: Csv(folder, opened),
        "pictures": lambda: Pictures(folder, opened),
        "video": lambda: Video(folder, opened, fps),
    }
    return [makers[kind]() for kind in dict.fromkeys(kinds)]


class Aside:
    """A folder that appears whole under its name, or not at all.

    An interruption counts as an end: what was predicted until then is kept.
    """

    def __init__(self, target: Path) -> None:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise UserError(
                "out exists already, and nothing is ever written over", value=target, remedy="out=NEW_FOLDER"
            )
        self.target = target
        self.folder = aside_of(target)
        self.writers: list[Writer] = []

    def __enter__(self) -> Aside:
        """Make the folder aside."""
        self.folder.mkdir(parents=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Put it in place, or take it away."""
        for writer in self.writers:
            writer.close()
        if error is None or isinstance(error, KeyboardInterrupt):
            if self.target.is_dir():
                self.target.rmdir()
            self.folder.rename(self.target)
        shutil.rmtree(self.folder, ignore_errors=True)
