"""Evaluation: matching, average precision, intervals and error analysis as pure functions on arrays."""

from __future__ import annotations

from src.evaluate.matching import MAX_DETS, Detected, Matches, Truth, match
from src.evaluate.metrics import Metrics, evaluate, summarise

__all__ = [
    "MAX_DETS",
    "Detected",
    "Matches",
    "Metrics",
    "Truth",
    "evaluate",
    "match",
    "summarise",
]
