"""Keys of `monitor`: how often it may cry wolf, how long a window lasts, what is written down."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

from src.common.errors import UserError
from src.config.ranges import ABOVE_0, LONGEST_S, MOST_THREADS, refuse_outside


@dataclass
class MonitorConfig:
    """Group of keys `monitor`, of the service and of `python -m src.monitor`."""

    false_alarms_per_day: float = 1.0  # expected number, over all tests together, while nothing changes
    window_s: float = 600.0  # shortest time of a window
    window_images: int = 50  # a window lasts until it has so many
    most_images: int = 500  # of a window that are tested: beyond, a random sample of it
    workers: int = 1  # processes that watch the same service side by side: they share the false alarms
    log_mb: float = 256.0  # of all observations; the oldest file goes first
    file_mb: float = 16.0  # of one file of observations
    pictures: bool = False  # keep pictures of what was observed, too
    pictures_mb: float = 100.0  # of all pictures; the oldest goes first


MOST_MB = 1e9  # a petabyte
RANGES: dict[str, tuple[float, float]] = {
    "false_alarms_per_day": (ABOVE_0, 1_000_000),
    "window_s": (ABOVE_0, LONGEST_S),
    "window_images": (1, 10_000_000),
    "most_images": (1, 10_000_000),  # they are kept in memory
    "workers": (1, MOST_THREADS),
    "log_mb": (ABOVE_0, MOST_MB),
    "file_mb": (ABOVE_0, MOST_MB),
    "pictures_mb": (ABOVE_0, MOST_MB),
}


def check(settings: MonitorConfig) -> None:
    """Refuse what makes no sense.

    Raises:
        UserError: naming the key, its value and the remedy.
    """
    ranges = {f"monitor.{key}": (getattr(settings, key), low, high) for key, (low, high) in RANGES.items()}
    refuse_outside(ranges, SimpleNamespace(monitor=MonitorConfig()))
    # A file that is not asked for is as small as the quota wants it.
    if settings.log_mb < settings.file_mb != MonitorConfig.file_mb:
        raise UserError(
            "monitor.file_mb must be at most monitor.log_mb, the quota of all files together",
            value=f"monitor.file_mb={settings.file_mb:g}, monitor.log_mb={settings.log_mb:g}",
            remedy=f"monitor.file_mb={settings.log_mb / 16:g}",
        )
    if settings.most_images < settings.window_images:
        raise UserError(
            "monitor.most_images must be at least monitor.window_images",
            value=f"monitor.most_images={settings.most_images}",
            remedy=f"monitor.most_images={max(500, settings.window_images)}",
        )
