"""What requests hold is counted for as long as it is there."""

from __future__ import annotations

import numpy as np
import pytest

from src.predict.engine import Image
from src.serve.held import Held
from src.serve.refusals import Refusal


def blank() -> Image:
    return np.zeros((10, 10, 3), np.uint8)


def test_a_picture_counts_until_nothing_refers_to_it() -> None:
    held = Held(500)
    first = held.picture(300, blank)
    view = first[:5]
    with pytest.raises(Refusal) as told:
        held.picture(300, blank)
    assert (told.value.status, told.value.headers["Retry-After"]) == (503, "1")
    del first
    assert held.now == 300, "a part of it is still looked at"
    del view
    assert held.now == 0
    held.picture(300, blank)


def test_a_picture_that_can_not_be_decoded_counts_no_longer() -> None:
    held = Held(500)
    with pytest.raises(ZeroDivisionError):
        held.picture(300, lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    assert held.now == 0


def test_bytes_are_taken_and_given_back() -> None:
    held = Held(100)
    held.take(60)
    with pytest.raises(Refusal):
        held.take(60)
    held.give(60)
    held.take(100)
    assert held.now == 100
