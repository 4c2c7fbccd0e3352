"""What the tests of families share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.models.weights_server import Server, serving


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server of weights on loopback, which nothing keeps this process from asking."""
    for name in ("DETSWEEP_OFFLINE", "YOLO_OFFLINE", "DETSWEEP_WEIGHTS_URL"):
        monkeypatch.delenv(name, raising=False)
    with serving() as made:
        yield made
