"""What the served model needs beside its file: runtime, device, threads and input as they were measured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from src.decide.choice import Decision

CONFIDENCE = 0.25  # where no best threshold is known


def plan_of(decision: Decision, threads: int | None = None) -> dict[str, Any]:
    """The plan of the recommended model, as plain data.

    Args:
        decision: with a recommended model.
        threads: of the served model; None = as many as it was measured with.
    """
    winner = decision.recommended
    assert winner is not None
    best = winner.best
    m = best.measurement
    confidence = best.val_depth.figures.get("threshold") if best.val_depth else None
    return {
        "runtime": winner.runtime,
        "runtime_version": m.runtime_version if m else "",
        "device": m.device if m else "cpu",
        "threads": threads or (m.threads if m else 1),
        "measured_threads": m.threads if m else None,
        "imgsz": best.trial.imgsz,
        "confidence": known_threshold(confidence),
        "class_names": best.trial.dataset.class_names if best.trial.dataset else [],
    }


def known_threshold(value: float | None) -> float:
    """A lowest score to serve with: NaN, which a model that learned nothing has, would be compared with every score."""
    return float(value) if value is not None and math.isfinite(value) else CONFIDENCE
