"""The line that tells of an epoch: its losses, the rate, the metric, and how that stands to the best so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from src.common.history import loss_names

METRIC = "val/mAP50-95"


def figures(row: Mapping[str, float]) -> str:
    """Losses of training and the learning rate, as far as they are known."""
    parts = [f"{name.removeprefix('train/').removesuffix('_loss')} {row[name]:.3f}" for name in loss_names(row)]
    if "lr" in row:
        parts.append(f"lr {row['lr']:.3g}")
    return "  ".join(parts)


def standing(value: float, curve: Sequence[float]) -> str:
    """How a metric stands to those of the epochs before; nothing is said of the first one."""
    if not curve:
        return ""
    best = max(curve)
    if value > best:
        return f"new best, {value - best:+.3f}"
    epoch = curve.index(best) + 1
    return f"{value - best:+.3f} to the best, epoch {epoch}" if value < best else f"equals the best, epoch {epoch}"


def counted(epoch: int, epochs: int) -> str:
    """An epoch among all; those of a training that ends by the clock may be more than were thought."""
    return f"{epoch}/{epochs}" if epoch <= epochs else str(epoch)


def epoch_line(epoch: int, epochs: int, row: Mapping[str, float], curve: Sequence[float]) -> str:
    """One line of an epoch.

    Args:
        epoch: 1-based.
        epochs: of the training.
        row: its figures.
        curve: the metric of the epochs before.
    """
    value = row.get(METRIC, 0.0)
    note = standing(value, curve)
    parts = [
        f"epoch {counted(epoch, epochs)}",
        figures(row),
        f"val mAP50-95 {value:.3f}" + (f" ({note})" if note else ""),
    ]
    return "  ".join(part for part in parts if part)
