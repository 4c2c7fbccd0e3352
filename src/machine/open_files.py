"""How many loader processes the limit of open files allows: each batch on its way holds one file for every tensor."""

from __future__ import annotations

BASE = 160  # of the training itself: libraries, logs, the tracking store
PIPES = 8  # of a loader process
TENSORS = 4  # of a batch: images, classes, boxes, whose they are
VAL = 2  # times as many processes read val, with two batches ahead


def limit() -> int | None:
    """Open files that this process may have; None where the system tells of no limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def needed(workers: int, ahead: int) -> int:
    """Open files that a training with so many loader processes, each so many batches ahead, may come to."""
    return BASE + workers * (PIPES + TENSORS * ahead) + VAL * workers * (PIPES + TENSORS * 2)


def fitting(workers: int, ahead: int, files: int | None) -> tuple[int, str]:
    """As many loader processes as the limit allows, at most those asked for, and what to say where they are fewer.

    Args:
        workers: asked for.
        ahead: batches that each reads ahead.
        files: the limit; None = there is none.
    """
    if files is None or needed(workers, ahead) <= files:
        return workers, ""
    fit = max((n for n in range(workers) if needed(n, ahead) <= files), default=0)
    need = needed(workers, ahead)
    return fit, (
        f"{workers} loader processes may need {need} open files, and {files} are allowed: {fit} are started. "
        f"For all of them, type before the command: ulimit -n {-(-need // 1024) * 1024}"
    )
