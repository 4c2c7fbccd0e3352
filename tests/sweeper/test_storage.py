"""A journal that nobody here wrote is refused; a database may be opened by several machines at the same moment."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
import pytest

from src.sweeper.storage import _TAIL, open_storage

BAD = b"no json\n"


def journal(folder: Path) -> Path:
    """A study of one trial with an attribute, which is a line longer than what is read back at a time."""
    path = folder / "study.log"
    study = optuna.create_study(study_name="s", storage=open_storage(None, path))
    study.ask().set_user_attr("long", "x" * 2 * _TAIL)
    return path


def test_a_sound_journal_is_opened_also_while_its_last_line_is_being_written(tmp_path: Path) -> None:
    path = journal(tmp_path)
    assert len(path.read_bytes().splitlines()[-1]) > 2 * _TAIL
    for rest in (b"", b'{"op_code":'):
        with open(path, "ab") as stream:
            stream.write(rest)
        assert len(optuna.load_study(study_name="s", storage=open_storage(None, path)).trials) == 1


@pytest.mark.parametrize("whole", [False, True], ids=["bad line alone", "bad line behind a study"])
@pytest.mark.parametrize("bad", [BAD, b"\n", b"\0" * 40 + b"\n", b'"' + b"x" * 3 * _TAIL + b"\n"])
def test_a_bad_last_line_is_refused_and_left_as_it_is(tmp_path: Path, whole: bool, bad: bytes) -> None:
    path = journal(tmp_path) if whole else tmp_path / "study.log"
    with open(path, "ab") as stream:
        stream.write(bad)
    before = path.read_bytes()
    with pytest.raises(json.JSONDecodeError):
        open_storage(None, path)
    assert path.read_bytes() == before


def test_several_may_make_a_databases_tables_at_the_same_moment(tmp_path: Path) -> None:
    many = 4
    together = threading.Barrier(many)

    def opened(url: str) -> int:
        together.wait()
        return len(open_storage(url, tmp_path / "unused").get_all_studies())

    with ThreadPoolExecutor(many) as threads:
        assert list(threads.map(opened, [f"sqlite:///{tmp_path}/study.db"] * many)) == [0] * many
