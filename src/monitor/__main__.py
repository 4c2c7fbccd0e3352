"""`python -m src.monitor log=DIR profile=FILE`: a page on drift; `experiment=DIR`: a live comparison's verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from src.cli.command import application, quote_paths
from src.common.errors import EXIT_OK, UserError
from src.config.idle_keys import Idle, refuse_idle
from src.monitor.history import course_of
from src.monitor.log import read_log
from src.monitor.page import said, when, write_page
from src.monitor.profile import load_profile
from src.monitor.settings import MonitorConfig, check


@dataclass
class MonitorArgs:
    """Arguments of the command."""

    log: str | None = None  # folder of observations
    profile: str | None = None  # reference profile: profile.json of the registered model
    experiment: str | None = None  # folder of a live comparison
    labels: str | None = None  # corrected labels for it: a folder of YOLO text files named like the images
    out: str | None = None  # folder of the page; null = monitor/ in the log's, outcome/ in the experiment's
    monitor: MonitorConfig = field(default_factory=MonitorConfig)


IDLE: list[Idle[MonitorArgs]] = [
    Idle(
        "log profile",
        lambda a: not a.experiment,
        "is about drift, and a live comparison is concluded",
        "leave it out, or leave experiment out",
    ),
    Idle(
        "monitor.false_alarms_per_day monitor.window_s monitor.window_images monitor.most_images",
        lambda a: not a.experiment,
        "is about drift, and a live comparison is concluded",
        "leave it out",
    ),
    Idle(
        "monitor.workers monitor.log_mb monitor.file_mb monitor.pictures monitor.pictures_mb",
        lambda _: False,
        "is for the service that writes the log",
        "python -m src.serve monitor_log=DIR …",
    ),
]


def run(args: MonitorArgs) -> int:
    """Write what was asked for; returns the exit code."""
    refuse_idle(args, IDLE)
    out = _path(args.out) if args.out else None
    if args.experiment:
        from src.monitor.outcome import conclude

        return conclude(_path(args.experiment), _path(args.labels) if args.labels else None, out)
    if args.labels:
        raise UserError("labels belong to an experiment", value=f"labels={args.labels}", remedy="experiment=DIR")
    if not args.log or not args.profile:
        raise UserError("log or profile is not set", remedy="log=DIR profile=FILE, or experiment=DIR")
    return watch(_path(args.log), _path(args.profile), out, args.monitor)


def _path(word: str) -> Path:
    """A path as it was typed; `src.serve` takes `~` for the user's folder too."""
    return Path(word).expanduser()


def watch(log: Path, profile: Path, out: Path | None, settings: MonitorConfig) -> int:
    """Hold a log against a profile, write the page, and say what drifted."""
    check(settings)
    reference = load_profile(profile)
    observed, broken = read_log(log)
    course = course_of(reference, observed, settings, broken)
    page = write_page(course, out or log / "monitor", log)
    print(f"{course.images} images, {len(course.compared)} windows: {page}")
    for d in course.drifts:
        until = "still" if d.now else f"until {when(d.until)}"
        values = f"{d.strongest.reference:.4g} on val, {d.strongest.window:.4g} in the window"
        print(f"drift  {said(course, d.what)}: since {when(d.since)}, {until}; {values} (p = {d.strongest.p:.1g})")
    if course.compared and not course.drifts:
        print("nothing has drifted")
    return EXIT_OK


def main() -> None:
    """Run as a Hydra application."""
    quote_paths(("log", "profile", "experiment", "labels", "out"))
    application(run, "monitor", MonitorArgs)


if __name__ == "__main__":
    main()
