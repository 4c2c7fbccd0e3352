"""The toy dataset, the same as that of torchvision's tests."""

from __future__ import annotations

from tests.models.torchvision.conftest import dataset as dataset  # a fixture
