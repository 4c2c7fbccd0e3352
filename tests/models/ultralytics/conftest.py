"""The toy dataset, shared by the tests of this room."""

from __future__ import annotations

import pytest

from src.records.schema import DatasetRef
from tests.models.ultralytics.toy import toy_dataset


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DatasetRef:
    return toy_dataset(tmp_path_factory)
