"""The toy dataset, shared by the tests of this room."""

from __future__ import annotations

import pytest

from src.data import resolve
from src.records.schema import DatasetRef
from tests.models.transformers.toy import DATA
from tests.models.ultralytics.toy import toy


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DatasetRef:
    """Four images to train on, four to validate."""
    return resolve(toy(*DATA).data, tmp_path_factory.getbasetemp() / "transformers-data")
