"""How much memory the requests under way may hold: their bytes, and the pictures that are decoded from them.

A limit on the size of each request is no limit on all of them: hundreds of connections may hold one each.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable

from src.predict.engine import Image
from src.serve.refusals import Refusal


class Held:
    """An account of bytes, kept by several threads.

    Args:
        most: bytes.
    """

    def __init__(self, most: int) -> None:
        self.most, self._now = most, 0
        self._lock = threading.Lock()
        self._given: deque[int] = deque()  # no lock: a picture may be freed at any moment, also while one is held

    @property
    def now(self) -> int:
        """Bytes that are held."""
        with self._lock:
            return self._settled()

    def take(self, count: int) -> None:
        """Note bytes before they are held.

        Raises:
            Refusal: they would be too many.
        """
        with self._lock:
            if self._settled() + count > self.most:
                text = "requests under way hold as much memory as they may"
                raise Refusal(503, "busy", text, "come again after the seconds of Retry-After")
            self._now += count

    def give(self, count: int) -> None:
        """Note that bytes are held no longer."""
        self._given.append(count)

    def picture(self, count: int, decode: Callable[[], Image]) -> Image:
        """A picture that counts for as long as anything refers to it.

        Args:
            count: bytes that it takes.
            decode: makes it.

        Raises:
            Refusal: it would be too much.
        """
        self.take(count)
        try:
            image = decode()
        except BaseException:
            self.give(count)
            raise
        weakref.finalize(image, self.give, count).atexit = False
        return image

    def _settled(self) -> int:
        while self._given:
            self._now -= self._given.popleft()
        return self._now
