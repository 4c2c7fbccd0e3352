"""Logs to MLflow: the only package that talks to it.

`store` writes to a database at hand, `remote` to a server, through a spool on disk that outlives the server's absences.
"""

from src.track.beside import check_also
from src.track.entries import EPOCH_METRIC
from src.track.names import plain, segments
from src.track.opening import open_tracker
from src.track.protocol import NullTracker, RunLog, Tracker
from src.track.remote import RemoteTracker
from src.track.spool import is_local
from src.track.store import MlflowRun, MlflowTracker, preload
from src.track.store_location import follow, store_uri, use

__all__ = [
    "EPOCH_METRIC",
    "MlflowRun",
    "MlflowTracker",
    "NullTracker",
    "RemoteTracker",
    "RunLog",
    "Tracker",
    "check_also",
    "follow",
    "is_local",
    "open_tracker",
    "plain",
    "preload",
    "segments",
    "store_uri",
    "use",
]
