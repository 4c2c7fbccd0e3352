"""Evaluation: matching, average precision, intervals and error analysis as pure functions on arrays."""

from __future__ import annotations

from src.evaluate.files import keep_truths, load_truths, save_truths, truth_file
from src.evaluate.in_depth import PRODUCTION, Subject, evaluate_in_depth
from src.evaluate.matching import MAX_DETS, Detected, Matches, Truth, match
from src.evaluate.metrics import Metrics, evaluate, summarise
from src.evaluate.resamples import ensure_resamples, load_resamples, save_resamples, trial_resamples
from src.evaluate.sweep import evaluate_sweep

__all__ = [
    "MAX_DETS",
    "PRODUCTION",
    "Detected",
    "Matches",
    "Metrics",
    "Subject",
    "Truth",
    "ensure_resamples",
    "evaluate",
    "evaluate_in_depth",
    "evaluate_sweep",
    "keep_truths",
    "load_resamples",
    "load_truths",
    "match",
    "save_resamples",
    "save_truths",
    "summarise",
    "trial_resamples",
    "truth_file",
]
