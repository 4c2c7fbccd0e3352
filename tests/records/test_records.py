"""Records survive the way to disk and back, and a damaged one says where it is damaged."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.common.hashes import hash_of, sha256_file
from src.common.whole_files import write_text
from src.records.parsing import RecordError
from src.records.schema import Failure, SweepRecord
from src.records.store import from_json, load, save, to_json


def sweep(**changes: object) -> SweepRecord:
    values: dict[str, object] = {
        "sweep": "s",
        "kind": "grid",
        "command": "c",
        "run_id": "r",
        "identity": "i",
        "space": {"imgsz": "320,416"},
        "n_trials": 2,
        "objective": "val/mAP50-95",
        "decision": {"min_map": None},
        "started_at": "2026-01-01T00:00:00+00:00",
        "failures": [Failure("train", "v8n", "error", "boom")],
    }
    return SweepRecord(**{**values, **changes})  # type: ignore[arg-type]


def test_a_record_comes_back_equal(tmp_path: Path) -> None:
    save(tmp_path / "a" / "r.json", sweep())
    assert load(SweepRecord, tmp_path / "a" / "r.json") == sweep()
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["r.json"]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"schema_version": 99}, "schema version 99"),
        ({"n_trials": "two"}, "n_trials"),
        ({"n_trials": True}, "n_trials"),
        ({"surprise": 1}, "surprise"),
        ({"failures": [{"stage": "train"}]}, "target"),
        ({"failures": [{"stage": "t", "target": "t", "kind": "odd", "message": ""}]}, "kind"),
        ({"space": []}, "space"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, object], names: str) -> None:
    raw = {**json.loads(to_json(sweep())), **change}
    with pytest.raises(RecordError, match=names):
        from_json(SweepRecord, json.dumps(raw))


def test_a_missing_field_is_named() -> None:
    raw = json.loads(to_json(sweep()))
    del raw["kind"]
    with pytest.raises(RecordError, match="kind"):
        from_json(SweepRecord, json.dumps(raw))


@given(st.text())
def test_no_text_makes_the_parser_raise_anything_else(text: str) -> None:
    with pytest.raises(RecordError):
        from_json(SweepRecord, text)


def test_values_that_json_lacks_become_null() -> None:
    text = to_json(sweep(decision={"a": math.nan, "b": [math.inf]}))
    assert json.loads(text)["decision"] == {"a": None, "b": [None]}


def test_a_failed_write_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError("the disk is full")

    path = tmp_path / "r.json"
    write_text(path, "old")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="full"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


def test_a_name_that_is_no_unicode_is_written_as_an_escape(tmp_path: Path) -> None:
    write_text(tmp_path / "r.txt", "a\udcff")
    assert (tmp_path / "r.txt").read_text() == "a\\udcff"


def test_hashes_follow_content_and_not_place(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.bin").write_bytes(b"1")
    assert sha256_file(tmp_path / "a") == sha256_file(tmp_path / "b")
    (tmp_path / "b" / "x.bin").write_bytes(b"2")
    assert sha256_file(tmp_path / "a") != sha256_file(tmp_path / "b")
    assert hash_of({"a": 1, "b": 2}) == hash_of({"b": 2, "a": 1}) != hash_of({"a": 2, "b": 1})


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "9" * 400, "-" + "9" * 20])
def test_a_number_that_no_json_has_or_no_library_takes_is_refused(value: str) -> None:
    """A look's figures are copied into decision.json as they are: a NaN was a traceback there."""
    record = SweepRecord(
        "s", "grid", "c", "", "i", {}, 1, "val/mAP50-95", {"margin": 0.125}, "2026-01-01T00:00:00+00:00"
    )
    with pytest.raises(RecordError, match="not valid JSON"):
        from_json(SweepRecord, to_json(record).replace("0.125", value))
