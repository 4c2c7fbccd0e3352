"""What an experiment knows so far: a pure fold over its events.

Labels wait for nothing: they count when they come. Detections wait for their labels, those of the last `MOST_WAITING`
images; a label that comes later is refused. Memory is bounded.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.evaluate.matching import match
from src.monitor.f1 import Counts, Labelled
from src.monitor.features import finite
from src.monitor.plan import CHALLENGER, CHAMPION, ExperimentPlan
from src.monitor.sequence import FEWEST, one_sided

ARMS = (CHAMPION, CHALLENGER)
MOST_WAITING = 10_000  # images whose labels may still come
MOST_LATENCIES = 10_000  # the latest ones of each arm
MOST_BOXES = 10_000  # of an image
MOST_DONE = 100_000  # labelled images that are remembered, so that none counts twice


@dataclass(frozen=True)
class Boxes:
    """Boxes of one image: [n, 4] x1, y1, x2, y2 in px, with classes [n], and scores [n] (1 for labels)."""

    boxes: NDArray[np.float64]
    classes: NDArray[np.int64]
    scores: NDArray[np.float64]


def boxes_from(raw: Any) -> Boxes:
    """Boxes from plain data: rows of x1, y1, x2, y2, class, and for detections a score.

    Raises:
        ValueError, TypeError: it is none.
    """
    if not isinstance(raw, list):
        raise TypeError("boxes must be a list of rows")
    if len(raw) > MOST_BOXES:  # it is read again at every start, and matching takes memory for all pairs
        raise ValueError(f"{len(raw)} boxes in an image, more than {MOST_BOXES}")
    rows = [[finite(v) for v in row] for row in raw]
    if any(len(row) not in (5, 6) or row[4] < 0 or row[4] != int(row[4]) or row[4] > 1e6 for row in rows):
        raise ValueError("a row of boxes is x1, y1, x2, y2, class, and a score")
    table = np.array([row if len(row) == 6 else [*row, 1.0] for row in rows], np.float64).reshape(-1, 6)
    return Boxes(table[:, :4], table[:, 4].astype(np.int64), table[:, 5])


def counts_of(found: Boxes, labels: Boxes, iou: float) -> Counts:
    """What of one image's detections is right, by COCO's greedy matching within each class."""
    classes = 1 + int(max(found.classes.max(initial=0), labels.classes.max(initial=0)))
    matched = match([found], [labels], classes, thresholds=np.array([iou])).matched[:, 0]
    right = int((matched >= 0).sum())
    return Counts(right, len(matched) - right, len(labels.classes) - right)


@dataclass
class Arm:
    """One model, without labels."""

    images: int = 0
    failures: int = 0
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_LATENCIES))

    @property
    def failed(self) -> float:
        """Share of images that it could not answer."""
        return self.failures / self.images if self.images else math.nan

    @property
    def variance(self) -> float:
        """Of a failure, with one further image that differs."""
        return self.failed * (1 - self.failed) + 1 / self.images


@dataclass(frozen=True)
class Waiting:
    """An image whose labels may still come."""

    answers: dict[str, Boxes]  # by arm
    size: tuple[int, int] | None  # width and height, px, where they were recorded


@dataclass
class Tally:
    """The state of an experiment."""

    plan: ExperimentPlan
    arms: dict[str, Arm] = field(default_factory=lambda: {arm: Arm() for arm in ARMS})
    step: int = 0  # of a canary
    step_begun: int = 0  # images of the challenger when the step began
    stopped: str = ""  # why, once the challenger was taken away
    agreeing: float = 0.0  # twice the detections that both have
    answered: float = 0.0  # detections of both, over the images that both answered
    both: int = 0  # images that both answered
    labelled: Labelled = field(default_factory=lambda: Labelled(False))
    waiting: OrderedDict[str, Waiting] = field(default_factory=OrderedDict)
    done: OrderedDict[str, None] = field(default_factory=OrderedDict)
    recent: OrderedDict[str, None] = field(default_factory=OrderedDict)  # images recorded, with or without an answer

    def __post_init__(self) -> None:
        self.labelled = Labelled(self.plan.mode == "shadow")

    @property
    def share(self) -> float:
        """Share of keys that the challenger answers now."""
        if self.stopped or self.plan.mode == "shadow":
            return 0.0
        return self.plan.steps[self.step] if self.plan.mode == "canary" else self.plan.share

    def apply(self, event: dict[str, Any]) -> None:
        """Take an event.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: it is none.
        """
        {"image": self._image, "label": self._label, "step": self._step, "stop": self._stop}[event["event"]](event)

    def knows(self, image: str) -> bool:
        """Whether a label of this image would count."""
        return image in self.waiting

    @property
    def step_is_due(self) -> bool:
        """Whether the canary's next step begins."""
        more = self.plan.mode == "canary" and not self.stopped and self.step + 1 < len(self.plan.steps)
        return more and self.arms[CHALLENGER].images - self.step_begun >= self.plan.step_images

    def reason_to_stop(self) -> str:
        """Why the challenger has to be taken away now; "" where nothing speaks against it."""
        if self.stopped:
            return ""
        found = self.labelled.difference(self.plan.alpha)
        if found.at_most < 0 and found.at_least <= -self.plan.margin:
            return f"its F1 is worse: {found.value:+.3f}, at most {found.at_most:+.3f}"
        old, new = self.arms[CHAMPION], self.arms[CHALLENGER]
        if self.plan.mode != "shadow" and min(old.images, new.images) >= FEWEST:
            images = old.images + new.images
            variance = images * (old.variance / old.images + new.variance / new.images)
            if new.failed - old.failed - one_sided(variance, images, self.plan.alpha) > 0:
                return f"it fails more often: {new.failed:.1%} of its images, against {old.failed:.1%}"
        return ""

    def _image(self, event: dict[str, Any]) -> None:
        answers = {arm: boxes_from(event["answers"][arm]) for arm in ARMS if event["answers"].get(arm) is not None}
        tried = [arm for arm in ARMS if arm in event["answers"]]
        latencies = {arm: finite(v) for arm, v in event.get("latency_ms", {}).items() if arm in ARMS}
        for arm in tried:
            self.arms[arm].images += 1
            self.arms[arm].failures += arm not in answers
        for arm, value in latencies.items():
            self.arms[arm].latencies.append(value)
        if len(answers) == 2:
            self._agree(answers[CHAMPION], answers[CHALLENGER])
        image = str(event["image"])
        self.recent[image] = None
        while len(self.recent) > MOST_WAITING:
            self.recent.popitem(last=False)
        if image not in self.done and self._complete(answers):
            size = event.get("size")
            self.waiting[image] = Waiting(answers, (int(size[0]), int(size[1])) if size else None)
            self.waiting.move_to_end(image)
            while len(self.waiting) > MOST_WAITING:
                self.waiting.popitem(last=False)

    def _complete(self, answers: dict[str, Boxes]) -> bool:
        return len(answers) == (2 if self.labelled.paired else 1)

    def _agree(self, one: Boxes, other: Boxes) -> None:
        self.both += 1
        self.agreeing += 2 * counts_of(one, other, self.plan.iou).right
        self.answered += len(one.classes) + len(other.classes)

    def _label(self, event: dict[str, Any]) -> None:
        labels, image = boxes_from(event["boxes"]), str(event["image"])
        answers = self.waiting.pop(image).answers
        found = [counts_of(answers[arm], labels, self.plan.iou) if arm in answers else None for arm in ARMS]
        self.labelled.add(*found)
        self.done[image] = None
        while len(self.done) > MOST_DONE:
            self.done.popitem(last=False)

    def _step(self, event: dict[str, Any]) -> None:
        self.step = min(int(event["step"]), len(self.plan.steps) - 1)
        self.step_begun = self.arms[CHALLENGER].images

    def _stop(self, event: dict[str, Any]) -> None:
        self.stopped = str(event["reason"])
