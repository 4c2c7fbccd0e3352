"""Numbers of a picture: what they react to, what they don't, and that they cost little."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from src.monitor.features import ANSWER, PICTURE, Observation, Seen, features, observation

RNG = np.random.default_rng(0)
SCENE = cv2.GaussianBlur(RNG.integers(0, 255, (1080, 1920, 3), dtype=np.uint8), (0, 0), 1.5)
NOTHING = SimpleNamespace(scores=np.zeros(0), classes=np.zeros(0, np.int64))


def test_what_the_numbers_react_to() -> None:
    own = features(np.asarray(SCENE, np.uint8))
    brighter = features(np.clip(SCENE.astype(int) + 30, 0, 255).astype(np.uint8))
    assert brighter["brightness"] == pytest.approx(own["brightness"] + 30, abs=1)
    assert brighter["sharpness"] == pytest.approx(own["sharpness"], rel=0.02)
    blurred = features(np.asarray(cv2.GaussianBlur(SCENE, (0, 0), 1.0), np.uint8))
    assert blurred["sharpness"] < 0.6 * own["sharpness"]
    assert blurred["brightness"] == pytest.approx(own["brightness"], abs=1)
    assert (own["pixels"], own["aspect"]) == (1080 * 1920, 1920 / 1080)


@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (127, 300), (128, 128), (129, 131), (3000, 40)])
def test_a_picture_of_any_shape_has_numbers(shape: tuple[int, int]) -> None:
    found = features(np.full((*shape, 3), 90, np.uint8))
    assert list(found) == list(PICTURE)
    assert (found["brightness"], found["contrast"], found["sharpness"]) == (90, 0, 0)


def test_the_order_of_channels_can_be_told() -> None:
    red = np.zeros((300, 400, 3), np.uint8)
    red[:, :, 0] = 200
    assert features(red)["brightness"] == pytest.approx(0.299 * 200, abs=1)
    assert features(np.ascontiguousarray(red[:, :, ::-1]), bgr=True) == features(red)


def test_the_seams_between_patches_are_left_out() -> None:
    ramp = np.tile(np.linspace(0, 255, 1000).astype(np.uint8)[None, :, None], (1000, 1, 3))
    assert features(ramp)["sharpness"] < 1


def test_confidences_of_no_detection_are_not_known() -> None:
    one = observation(np.asarray(SCENE, np.uint8), NOTHING, Seen(5.0, "gate", "k", 3.0), "a.jpg")
    assert [one.values[name] for name in ANSWER[:1]] == [0.0]
    assert all(math.isnan(one.values[name]) for name in ANSWER[1:])
    again = Observation.from_json(json.loads(json.dumps(one.as_json())))
    assert (again.source, again.key, again.picture, again.latency_ms, again.classes) == ("gate", "k", "a.jpg", 3.0, ())
    assert math.isnan(again.values["confidence_max"])


WRONG: list[dict[str, Any]] = [
    *({"when": value} for value in (None, True, -1.0, 1e300, math.nan)),
    {"values": []},
    {"values": {"a": "b"}},
    {"classes": None},
]


@pytest.mark.parametrize("change", WRONG)
def test_what_is_no_observation_is_refused(change: dict[str, Any]) -> None:
    raw = observation(np.asarray(SCENE, np.uint8), NOTHING, Seen(5.0)).as_json()
    with pytest.raises((ValueError, TypeError, AttributeError)):
        Observation.from_json(raw | change)
