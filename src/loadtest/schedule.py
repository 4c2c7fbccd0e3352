"""When requests are due: independent arrivals at a mean rate, as from many users who don't know of each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def poisson(rate: float, seconds: float, seed: int) -> NDArray[np.float64]:
    """Arrival times of a Poisson process, s from the start, ascending.

    Args:
        rate: mean number of requests a second.
        seconds: length.
        seed: of the random numbers.
    """
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.exponential(1 / rate, int(rate * seconds + 6 * (rate * seconds) ** 0.5 + 10)))
    return times[times < seconds]
