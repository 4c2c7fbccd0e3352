"""Whether an exported file keeps its source's accuracy: one rule for sweeps and for folders of files."""

from __future__ import annotations

from src.records.schema import AccuracyGate


def accuracy_gate(value: float, reference: float, *, max_loss: float, warn_below: float) -> AccuracyGate:
    """Hold an artifact's mAP50-95 against its source's on the same images (MLPerf's rule: at least 99 %).

    Args:
        value: of the artifact.
        reference: of its source; nothing can be lost of 0.
        max_loss: share that export may cost (`decision.max_export_loss`): within it the file passes.
        warn_below: share that must be left for a warning instead of a failure.
    """
    share = value / reference if reference > 0 else 1.0
    if share >= 1 - max_loss:
        return "pass"
    return "warn" if share >= warn_below else "fail"
