"""Which tracker a configuration asks for: none, a store at hand, or one over a network that may be away."""

from __future__ import annotations

import logging
from pathlib import Path

from src.common.errors import UserError
from src.config.schema import TrackingConfig
from src.track.beside import beside, check_also
from src.track.bucket import check_bucket, is_bucket
from src.track.protocol import NullTracker, Tracker
from src.track.remote import RemoteTracker
from src.track.store import MlflowTracker
from src.track.store_location import in_force

log = logging.getLogger(__name__)


def open_tracker(cfg: TrackingConfig, outputs: Path) -> Tracker:
    """The tracker that the configuration, or else MLflow's environment, asks for, with the places beside it.

    Raises:
        UserError: no store that MLflow writes to, a server that refuses us, or a place that can't be written to.
    """
    check_also(cfg)
    return beside(_main(cfg, outputs), cfg, outputs)


def _main(cfg: TrackingConfig, outputs: Path) -> Tracker:
    if not cfg.enabled:
        return NullTracker()
    cfg, said = in_force(cfg, outputs)
    log.info("tracking: %s", said)
    check_bucket(cfg)
    if cfg.artifacts is not None or not str(cfg.uri).startswith("sqlite"):  # over a network: it can be away
        return RemoteTracker(cfg, outputs)
    try:
        tracker = MlflowTracker(cfg, outputs)
        return RemoteTracker(cfg, outputs) if is_bucket(tracker.location) else tracker
    except UserError:
        raise
    except Exception as error:
        if not str(cfg.uri).startswith("sqlite:///"):
            raise
        raise UserError(
            f"the MLflow store can't be opened ({type(error).__name__})",
            value=cfg.uri,
            remedy="tracking.uri=sqlite:///FILE of a store, or one that does not exist yet",
        ) from None
