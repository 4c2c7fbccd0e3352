"""Placeholder of the image cache."""

from __future__ import annotations

from typing import Any


def extended(build: Any, img_path: str, mode: str, batch: int | None) -> Any:
    """Ultralytics' dataset."""
    return build(img_path, mode, batch)
