"""A database that goes away for a while: a restart, a failover, a broken connection must not cost a trial.

Without this, one refused connection ends the worker that asks for a trial, and fails the trial that reports an epoch.
A call whose answer was lost may be made twice. The study allows for that: a trial that was taken without its taker
knowing is given back by its missing lease, and telling a value twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import TypeVar

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState

from src.common.retrying import RETRY_S, retried

T = TypeVar("T")

LOST_WITHIN = "8s2b"  # SQLAlchemy's code of a connection that was lost in the middle of a transaction
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


def asked_again(call: Callable[..., T], retry_s: float = RETRY_S) -> Callable[..., T]:
    """`call`, made again while the database is away."""
    return retried(call, is_away, "the study's database", retry_s)


class PatientStorage(RDBStorage):
    """Optuna's database storage, whose every call outlasts a database that is away.

    A study is laid out beforehand, so most of its trials wait. Optuna's cache reads every unfinished one again at every
    look: half a second for a thousand. Here those that still wait are passed over, since nothing about them changes.
    """

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        """The trials that the cache asks for, less those that it has as they are.

        Args:
            study_id: of the study.
            states: None for all.
            included_trial_ids: those that were unfinished when the cache last looked.
            trial_id_greater_than: the last finished one that it knows.
        """
        if states is not None or not included_trial_ids:
            return super()._get_trials(study_id, states, included_trial_ids, trial_id_greater_than)
        changed = self._changed(study_id, included_trial_ids, trial_id_greater_than)
        if not changed:
            return []
        # The base reads what is included as far as it is not greater than this, and all that is.
        return super()._get_trials(study_id, None, changed, max(trial_id_greater_than, *included_trial_ids))

    def _changed(self, study_id: int, unfinished: set[int], finished: int) -> set[int]:
        """Ids of trials that are new, or wait no longer."""
        from optuna.storages._rdb.models import TrialModel as Row
        from sqlalchemy import and_, or_, select

        older = {trial for trial in unfinished if trial < finished}
        begun = and_(Row.state != TrialState.WAITING, or_(Row.trial_id > finished, Row.trial_id.in_(older)))
        fresh = Row.trial_id > max(finished, *unfinished)
        reading = self.engine.execution_options(isolation_level="AUTOCOMMIT")  # without BEGIN and ROLLBACK: one way
        with reading.connect() as connection:
            rows = connection.execute(select(Row.trial_id).where(Row.study_id == study_id, or_(begun, fresh)))
            return {trial for (trial,) in rows}


for _name in (*(n for n in dir(BaseStorage) if not n.startswith("_")), *CACHED):
    setattr(PatientStorage, _name, asked_again(getattr(PatientStorage, _name)))
