"""Real services on loopback, each started by the test that needs it and gone with it."""

from __future__ import annotations

import pytest

from deploy import services
from deploy.services import free_port
from src.common.errors import UserError

__all__ = ["Postgres", "free_port"]


class Postgres(services.Postgres):
    """A PostgreSQL server; the test is skipped where it is not installed."""

    def __init__(self) -> None:
        try:
            super().__init__()
        except UserError as error:
            pytest.skip(str(error))
