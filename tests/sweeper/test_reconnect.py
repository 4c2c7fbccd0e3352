"""A database that is away for a while costs time, not trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.exc import IntegrityError, OperationalError, PendingRollbackError

from src.common import retrying
from src.sweeper.reconnect import PatientStorage, asked_again
from src.sweeper.space import parse_space
from src.sweeper.storage import open_storage
from src.sweeper.study import Study


def away() -> OperationalError:
    return OperationalError("SELECT 1", {}, Exception("connection refused"))


def committing() -> StorageInternalError:
    """As Optuna wraps it."""
    error = StorageInternalError("during the commit")
    error.__cause__ = away()
    return error


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "PAUSES_S", (0.01,))


def failing(*errors: Exception) -> Any:
    left = list(errors)

    def call(value: int) -> int:
        if left:
            raise left.pop(0)
        return value

    return call


def lost_within() -> StorageInternalError:
    """What the commit says of a connection that was lost before it, in the same transaction."""
    error = StorageInternalError("during the commit")
    error.__cause__ = PendingRollbackError("Can't reconnect until invalid transaction is rolled back.", code="8s2b")
    return error


def test_a_call_is_made_again_until_the_database_is_back() -> None:
    assert asked_again(failing(away(), committing(), lost_within(), away()))(7) == 7


@pytest.mark.parametrize(
    "error",
    [KeyError("trial"), IntegrityError("INSERT", {}, Exception("twice")), PendingRollbackError("a flush failed")],
)
def test_what_the_database_refuses_is_told_at_once(error: Exception) -> None:
    with pytest.raises(type(error)):
        asked_again(failing(error))(7)


def test_patience_ends() -> None:
    call = failing(*(away() for _ in range(1000)))
    with pytest.raises(OperationalError):
        asked_again(call, retry_s=0.2)(7)
    with pytest.raises(OperationalError):
        call(7)  # long before the database was back


def test_no_step_of_a_study_is_lost_to_a_broken_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every third connection fails, whatever it was for: that of a cached read, of a commit, of a report."""
    storage = open_storage(f"sqlite:///{tmp_path}/s.db", tmp_path / "unused")
    assert isinstance(storage, PatientStorage)
    study = Study(storage, parse_space({}, ["imgsz=32,64"], n_trials=None), {}, None)
    begun, refused = [0], [0]
    connect = type(storage.engine).connect

    def flaky(engine: Any) -> Any:
        begun[0] += 1
        if begun[0] % 3 == 0:
            refused[0] += 1
            raise away()
        return connect(engine)

    monkeypatch.setattr(type(storage.engine), "connect", flaky)
    study.lay_out()
    while (cell := study.claim()) is not None:
        cell.trial.report(0.5, 1)
        assert not cell.trial.should_prune()
        study.tell(cell, [1.0])
    assert study.unfinished() == 0
    assert refused[0] > 5


def test_slots_that_wait_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers on 60 slots: each sees all that the other does, and reads a slot when something happened to it."""
    read: list[int] = []
    whole = RDBStorage._get_trials

    def counted(*args: Any) -> Any:
        found = whole(*args)
        read.append(len(found))
        return found

    monkeypatch.setattr(RDBStorage, "_get_trials", counted)
    space = parse_space({}, ["imgsz=range(0,60)"], n_trials=None)
    one, other = (Study(open_storage(f"sqlite:///{tmp_path}/s.db", tmp_path / "x"), space, {}, None) for _ in range(2))
    one.lay_out()
    ran: list[int] = []
    while (cell := one.claim()) is not None and (theirs := other.claim()) is not None:
        assert {t.state.name for t in one._trials.all()[: len(ran)]} <= {"COMPLETE", "RUNNING"}
        ran += [cell.index, theirs.index]
        one.tell(cell, [0.5])
        other.tell(theirs, [0.5])
    assert sorted(ran) == list(range(60))
    for study in (one, other):
        fresh = study._storage.get_all_trials(study._study._study_id)
        assert [t.state for t in study._trials.all()] == [t.state for t in fresh]
        assert study.unfinished() == 0
    assert sum(read) < 10 * 60, "a look at 60 slots for each of 60 trials would be 3,600"
    one._study.enqueue_trial({"imgsz": 1}, user_attrs={"slot": 60})
    assert other.unfinished() == 1, "one that is new is seen"
