"""A killed preparation's copy of a dataset is cleared by the next one, and a living one's is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.data import layout
from src.data.leftovers import preparing
from src.data.prepare import prepare
from tests.config.test_config import composed

CFG = composed("data.n_train=4", "data.n_val=2", "data.n_test=2", "data.size=64").data
KEPT = [".lock", ".scan"]


class Killed(BaseException):
    """Stands for SIGKILL."""


def killed(root: Path, patch: pytest.MonkeyPatch) -> list[str]:
    """Prepare as a process that is killed would: nothing is cleaned up; the names that it leaves."""

    def swap(*_: object) -> None:
        raise Killed

    with patch.context() as only:
        only.setattr(layout, "_swap", swap)
        only.setattr("shutil.rmtree", lambda *_, **__: None)
        only.setattr("tempfile.TemporaryDirectory.cleanup", lambda self: None)
        with pytest.raises(Killed):
            prepare(CFG, root)
    return names(root)


def names(root: Path) -> list[str]:
    return sorted(p.name for p in (root / "datasets").iterdir())


def test_what_a_killed_preparation_left_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(killed(tmp_path, monkeypatch)) >= 3, "a copy of the dataset is left"
    (tmp_path / "datasets" / ".digits-0123.0123abcd.old").mkdir()
    made = prepare(CFG, tmp_path)
    assert names(tmp_path) == [*KEPT, made.folder.name]


def test_what_a_living_one_writes_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tmp_path / "datasets"
    base.mkdir()
    with preparing(base):  # stands for another process
        theirs = killed(tmp_path, monkeypatch)
        made = prepare(CFG, tmp_path)
        assert names(tmp_path) == sorted([*theirs, made.folder.name])
    prepare(CFG, tmp_path)
    assert names(tmp_path) == [*KEPT, made.folder.name]
