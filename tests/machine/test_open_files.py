"""As many loader processes as the limit of open files allows, and the command that raises it."""

from __future__ import annotations

import builtins
from typing import Any

import pytest

from src.machine import open_files
from src.machine.open_files import fitting, needed


def test_workers_are_lowered_to_what_fits_and_it_is_said() -> None:
    enough = needed(8, 4)
    assert fitting(8, 4, enough) == (8, "")
    assert fitting(8, 4, None) == (8, "")
    fit, told = fitting(8, 4, needed(5, 4) + 1)
    assert fit == 5
    assert "5 are started" in told
    assert "ulimit -n 1024" in told
    assert fitting(2, 4, 10)[0] == 0, "then the training reads by itself"


def test_the_limit_is_that_of_this_process() -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lower = min(soft, 700) if soft != resource.RLIM_INFINITY else 700
    resource.setrlimit(resource.RLIMIT_NOFILE, (lower, hard))
    try:
        assert open_files.limit() == lower
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_where_the_system_has_no_such_limit_nothing_is_lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "resource":
            raise ImportError(name)
        return plain(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert open_files.limit() is None
