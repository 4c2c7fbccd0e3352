"""A database that goes away for a while: a restart, a failover, a broken connection must not cost a trial.

Without this, one refused connection ends the worker that asks for a trial, and fails the trial that reports an epoch.
A call whose answer was lost may be made twice. The study allows for that: a trial that was taken without its taker
knowing is given back by its missing lease, and telling a value twice changes nothing.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage

log = logging.getLogger(__name__)
T = TypeVar("T")

RETRY_S = 300.0
LOST_WITHIN = "8s2b"  # SQLAlchemy's code of a connection that was lost in the middle of a transaction
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0)  # the last one again and again
CACHED = ("_create_new_trial", "_set_trial_param", "_get_trials", "_get_best_trial_id")  # asked by Optuna's cache


def is_away(error: BaseException) -> bool:
    """Whether the database did not answer, as against refusing what it was asked."""
    from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, PendingRollbackError

    if isinstance(error, StorageInternalError) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if isinstance(error, PendingRollbackError):
        return error.code == LOST_WITHIN
    return isinstance(error, OperationalError | InterfaceError)


def retried(call: Callable[..., T], retry_s: float = RETRY_S) -> Callable[..., T]:
    """`call`, made again while the database is away."""

    @functools.wraps(call)
    def made(*args: Any, **kwargs: Any) -> T:
        begun = time.monotonic()
        for attempt in range(10**9):
            try:
                return call(*args, **kwargs)
            except Exception as error:
                pause = PAUSES_S[min(attempt, len(PAUSES_S) - 1)]
                if not is_away(error) or time.monotonic() - begun + pause > retry_s:
                    raise
                if attempt == 0:
                    log.warning("the study's database does not answer; trying for %.0f s", retry_s)
                time.sleep(pause)
        raise AssertionError("unreachable")

    return made


class PatientStorage(RDBStorage):
    """Optuna's database storage, whose every call outlasts a database that is away."""


for _name in (*(n for n in dir(BaseStorage) if not n.startswith("_")), *CACHED):
    setattr(PatientStorage, _name, retried(getattr(RDBStorage, _name)))
