"""`python -m src.track tracking.uri=http://…`: send what waits on disk for a tracking server.

Also done at the end of every sweep and by the next start of its command. Records of finished trials get the server's
run ids.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from src.cli.command import application
from src.common.errors import EXIT_FAILED, EXIT_OK, UserError
from src.common.redaction import redact_text
from src.config.schema import TrackingConfig
from src.records.sweep_folder import all_folders, sweeps_folder
from src.track.remote import RemoteTracker
from src.track.store_location import in_force


@dataclass
class TrackArgs:
    """Arguments of the command."""

    outputs: str = "outputs"
    seconds: float = 600.0  # to go on sending, at most
    tracking: TrackingConfig = field(default_factory=lambda: TrackingConfig(name="local"))


def run(args: TrackArgs) -> int:
    """Send, and return 0 when nothing is left.

    Raises:
        UserError: no server is named, or it refuses the user or the password.
    """
    outputs = Path(args.outputs)
    cfg, said = in_force(args.tracking, outputs)
    uri = str(cfg.uri)
    if uri.startswith("sqlite"):
        raise UserError(
            "tracking.uri must name the server that the records wait for",
            value=redact_text(uri),
            remedy="tracking.uri=http://HOST:PORT as in the sweep's command, or MLFLOW_TRACKING_URI",
        )
    print(f"tracking: {said}")
    tracker = RemoteTracker(cfg, outputs)
    left = tracker.deliver(sweeps_folder(outputs), args.seconds)
    for folder in all_folders(outputs):
        tracker.deliver(folder.path, 0)
    tracker.close(0)
    print("everything has been sent" if not left else f"{left} entries still wait for the server")
    return EXIT_FAILED if left else EXIT_OK


def main() -> None:
    """Run as a Hydra application."""
    application(run, "track", TrackArgs)


if __name__ == "__main__":
    main()
