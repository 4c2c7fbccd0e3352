"""Champion and challenger live: the calls of a service, in any number of its processes and threads.

    experiment = Experiment(folder, ExperimentPlan("autumn", champion="4", challenger="6"))
    arm = experiment.choose(client)                       # who answers, and is shown
    experiment.record(image, {arm: detections}, {arm: 12.3})
    experiment.feedback(image, boxes, classes)            # corrected labels, whenever they come
    experiment.verdict()

Everything is in the folder: after a kill, or in another process, the same calls go on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from src.common.errors import UserError
from src.monitor.events import Event, Events
from src.monitor.plan import CHALLENGER, CHAMPION, ExperimentPlan, check, load_plan, place_of, save_plan
from src.monitor.tally import ARMS, Tally, boxes_from
from src.monitor.verdict import LiveVerdict, verdict_of

log = logging.getLogger(__name__)
MOST_BYTES = 1 << 29  # of the file of events; beyond, nothing more is recorded


class Answer(Protocol):
    """Detections of one image: `boxes` [n, 4] x1, y1, x2, y2 in px, `scores` [n] and `classes` [n]."""

    @property
    def boxes(self) -> NDArray[Any]: ...
    @property
    def scores(self) -> NDArray[Any]: ...
    @property
    def classes(self) -> NDArray[Any]: ...


class Experiment:
    """A live comparison of two models.

    Args:
        folder: of the experiment; nothing else lies in it.
        plan: what it is; None = the one that the folder holds.

    Raises:
        UserError: there is no plan, it makes no sense, or the folder holds another one.
    """

    def __init__(self, folder: Path, plan: ExperimentPlan | None = None) -> None:
        if plan is not None:
            check(plan)
            save_plan(folder, plan)
        self.folder = folder
        self.plan = plan or load_plan(folder)
        self._tally = Tally(self.plan)
        self._events = Events(folder, self._tally.apply)
        self._lock = threading.Lock()
        self._full = False
        self._events.catch_up()

    @property
    def shadow(self) -> bool:
        """Whether both models answer every image."""
        return self.plan.mode == "shadow"

    @property
    def stopped(self) -> str:
        """Why the challenger was taken away; "" while it runs."""
        return self._tally.stopped

    @property
    def share(self) -> float:
        """Share of keys that the challenger answers now."""
        return self._tally.share

    def choose(self, key: str) -> str:
        """The arm that answers a request and is shown: `champion` or `challenger`."""
        return CHALLENGER if place_of(self.plan.name, key) < self._tally.share else CHAMPION

    def record(
        self,
        image: str,
        answers: Mapping[str, Answer | None],
        latency_ms: Mapping[str, float] | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        """Note what was answered; may begin a canary's next step, or stop it.

        Args:
            image: what its labels will be known by.
            answers: by arm; None where the model failed. In a shadow, both.
            latency_ms: by arm.
            size: width and height of the image, px; labels in YOLO's form need it.

        Raises:
            OSError: the disk takes no more.
        """
        latencies = {arm: float(v) for arm, v in (latency_ms or {}).items() if np.isfinite(v)}
        rows = {arm: None if found is None else _rows(found) for arm, found in answers.items() if arm in ARMS}
        more = {"size": [int(v) for v in size]} if size else {}
        self._note({"event": "image", "image": image, "answers": rows, "latency_ms": latencies, **more})

    def waits_for(self, image: str) -> bool:
        """Whether labels of an image would count."""
        with self._lock:
            self._events.catch_up()
            return self._tally.knows(image)

    def recorded(self, image: str) -> bool:
        """Whether an image was recorded lately, by whichever process; its labels may have come already."""
        with self._lock:
            self._events.catch_up()
            return image in self._tally.recent

    def size_of(self, image: str) -> tuple[int, int] | None:
        """Width and height of an image that waits for labels, where they were recorded."""
        with self._lock:
            found = self._tally.waiting.get(image)
            return found.size if found else None

    def feedback(self, image: str, boxes: Sequence[Sequence[float]], classes: Sequence[int]) -> None:
        """Corrected labels of an image that was answered; each image counts once.

        Args:
            image: as it was recorded.
            boxes: x1, y1, x2, y2 in px of the image.
            classes: of each box.

        Raises:
            UserError: the labels are malformed, or the image isn't waiting for any.
            OSError: the disk takes no more.
        """
        if len(boxes) != len(classes):
            raise UserError(
                "feedback needs one class for each box", value=f"{len(boxes)} boxes, {len(classes)} classes"
            )
        try:
            rows = [[*map(float, box), float(c)] for box, c in zip(boxes, classes, strict=True)]
            boxes_from(rows)
        except (ValueError, TypeError, OverflowError) as error:
            raise UserError(f"feedback is malformed ({error})", value=image) from None
        with self._lock, self._events.appending() as append:
            if not self._tally.knows(image) and self._tally.stopped:
                raise UserError(f"the comparison has ended ({self._tally.stopped}), and takes no further labels")
            if not self._tally.knows(image):
                raise UserError(
                    "feedback is for an image that isn't waiting for labels",
                    value=image,
                    remedy="the name that the answer came with; each image once, and soon",
                )
            append({"event": "label", "image": image, "boxes": rows, "when": time.time()})
            self._react(append)

    def verdict(self) -> LiveVerdict:
        """What can be said now; looking is free, at any time."""
        with self._lock:
            self._events.catch_up()
            return verdict_of(self._tally)

    def stop(self, reason: str) -> None:
        """Take the challenger away by hand: every key meets the champion from now on."""
        self._note({"event": "stop", "reason": reason})

    def _note(self, event: Event) -> None:
        if self._events.size > MOST_BYTES:
            if not self._full:
                log.warning("the live comparison is full (%d MB): further answers are not recorded", MOST_BYTES >> 20)
            self._full = True
            return
        with self._lock, self._events.appending() as append:
            append({**event, "when": time.time()})
            self._react(append)

    def _react(self, append: Any) -> None:
        """Stop or step, where it is due."""
        if reason := self._tally.reason_to_stop():
            append({"event": "stop", "reason": reason, "when": time.time()})
        elif self._tally.step_is_due:
            append({"event": "step", "step": self._tally.step + 1, "when": time.time()})


def _rows(found: Answer) -> list[list[float]]:
    table = np.column_stack([np.asarray(found.boxes, np.float64).reshape(-1, 4), found.classes, found.scores])
    return [[round(float(v), 4) for v in row] for row in table]
