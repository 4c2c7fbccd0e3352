"""Calls to something that may be away for a while, made again until it is back."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

log = logging.getLogger(__name__)
T = TypeVar("T")

RETRY_S = 300.0
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0)  # the last one again and again


def retried(
    call: Callable[..., T], is_away: Callable[[BaseException], bool], what: str, retry_s: float = RETRY_S
) -> Callable[..., T]:
    """`call`, made again while `is_away` says of its errors that nobody answered.

    Args:
        call: may be made twice: its answer may have been lost.
        is_away: told of what it raised.
        what: does not answer, for the message.
        retry_s: seconds after which the last error is passed on.
    """

    @functools.wraps(call)
    def made(*args: Any, **kwargs: Any) -> T:
        begun = time.monotonic()
        for attempt in range(10**9):
            try:
                return call(*args, **kwargs)
            except Exception as error:
                pause = PAUSES_S[min(attempt, len(PAUSES_S) - 1)]
                if not is_away(error) or time.monotonic() - begun + pause > retry_s:
                    raise
                if attempt == 0:
                    log.warning("%s does not answer; trying for %.0f s", what, retry_s)
                time.sleep(pause)
        raise AssertionError("unreachable")

    return made
