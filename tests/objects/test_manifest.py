"""Lists of files come from elsewhere: no name of theirs leads out of the trial's folder."""

from __future__ import annotations

import json
from typing import Any

import pytest

from src.common.errors import StageError
from src.objects.manifest import Manifest, Stored, manifest_key, read_manifest, trial_of_key

FILE = Stored("a" * 64, 3)
GOOD = Manifest("s", 3, "finished", 2, {"trials/0003/record.json": FILE, "truths/0123456789abcdef-val.npz": FILE})


def changed(**values: Any) -> bytes:
    return json.dumps({**json.loads(GOOD.to_bytes()), **values}).encode()


def test_a_list_survives_the_store() -> None:
    assert read_manifest(GOOD.to_bytes(), "s", 3) == GOOD
    assert trial_of_key(manifest_key(3)) == 3
    assert trial_of_key("trials/../0003.json") is None


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/etc/passwd",
        "trials/0003/../../evil",
        "trials/0003",
        "trials/0003/",
        "trials/0003//x",
        "trials/0003/.hidden",
        "trials/0003/train/../../x",
        "trials/0004/record.json",
        "trials/0003/a\\..\\b",
        "trials/0003/a\0b",
        "sweep.json",
        "truths/x.npz",
        "truths/0123456789abcdef-val.npz/x",
        "record.json",
    ],
)
def test_a_name_that_is_no_file_of_the_trial_is_refused(name: str) -> None:
    with pytest.raises(StageError, match="can't be used"):
        read_manifest(changed(files={name: {"sha256": "a" * 64, "bytes": 1}}), "s", 3)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        changed(version=2),
        changed(sweep="t"),
        changed(trial=4),
        changed(state="running"),
        changed(epochs=None),
        changed(files=None),
        changed(files={"trials/0003/x": {"sha256": "../x", "bytes": 1}}),
        changed(files={"trials/0003/x": {"sha256": "a" * 64, "bytes": -1}}),
        changed(files={"trials/0003/x": {"sha256": "a" * 64}}),
    ],
)
def test_a_list_that_is_none_is_refused(content: bytes) -> None:
    with pytest.raises(StageError, match="can't be used"):
        read_manifest(content, "s", 3)
