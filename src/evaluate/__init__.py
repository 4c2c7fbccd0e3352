"""Evaluation: matching, average precision, intervals and error analysis as pure functions on arrays."""

from __future__ import annotations

from src.evaluate.files import keep_ground_truth, load_ground_truth, save_ground_truth
from src.evaluate.in_depth import PRODUCTION, Subject, evaluate_in_depth
from src.evaluate.matching import MAX_DETS, Detected, GroundTruth, Matches, match
from src.evaluate.metrics import Metrics, evaluate, summarise
from src.evaluate.resamples import ensure_resamples, load_resamples, save_resamples, trial_resamples
from src.evaluate.sweep import evaluate_sweep

__all__ = [
    "MAX_DETS",
    "PRODUCTION",
    "Detected",
    "GroundTruth",
    "Matches",
    "Metrics",
    "Subject",
    "ensure_resamples",
    "evaluate",
    "evaluate_in_depth",
    "evaluate_sweep",
    "keep_ground_truth",
    "load_ground_truth",
    "load_resamples",
    "match",
    "save_ground_truth",
    "save_resamples",
    "summarise",
    "trial_resamples",
]
