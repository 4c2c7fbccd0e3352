"""Every store keeps the same promises: whole objects, one maker of a key, and calls that outlast its absence."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any, cast

import pytest

from src.common import retrying
from src.common.errors import UserError
from src.common.whole_files import aside_of
from src.objects import Objects, open_objects
from src.objects.opening import outlasting
from src.objects.protocol import AwayError
from tests.buckets import moto_bucket


@pytest.fixture(params=["file", "memory", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An empty store of each kind; S3 is moto's, in this process."""
    if request.param == "file":
        (tmp_path / "store").mkdir()
        yield open_objects(f"file://{tmp_path}/store", "store")
    elif request.param == "memory":
        yield open_objects(f"memory://{uuid.uuid4().hex}/prefix", "store")
    else:
        for _ in moto_bucket(monkeypatch):
            yield open_objects("s3://bucket/some/prefix", "store")


def test_objects_are_stored_found_and_fetched(objects: Objects, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"weights" * 1000)
    objects.put("sweep/contents/abc", source)
    objects.write("sweep/trials/0001.json", b"one")
    objects.write("sweep/trials/0001.json", b"two")
    objects.fetch("sweep/contents/abc", target)
    assert target.read_bytes() == source.read_bytes()
    assert (objects.size("sweep/contents/abc"), objects.size("sweep/contents/none")) == (7000, -1)
    assert (objects.read("sweep/trials/0001.json"), objects.read("sweep/trials/none")) == (b"two", None)
    assert objects.keys("sweep/trials/") == ["sweep/trials/0001.json"]
    assert objects.keys("other/") == []
    with pytest.raises(FileNotFoundError):
        objects.fetch("sweep/contents/none", target)


def test_a_key_has_one_maker(objects: Objects) -> None:
    assert objects.make("sweep/sweep.json", b"first")
    assert not objects.make("sweep/sweep.json", b"second")
    assert objects.read("sweep/sweep.json") == b"first"


def test_a_folder_shows_no_file_that_is_being_written(tmp_path: Path) -> None:
    found = open_objects(f"file://{tmp_path}", "store")
    aside_of(tmp_path / "trials").mkdir()
    found.write("trials/0001.json", b"1")
    aside_of(tmp_path / "trials/0002.json").write_bytes(b"ha")
    assert found.keys("trials/") == ["trials/0001.json"]


def test_a_folder_that_is_not_there_is_the_users_to_make(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        open_objects(f"file://{tmp_path}/typing-eror", "store")


def test_a_bucket_that_is_not_there_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in moto_bucket(monkeypatch):
        with pytest.raises(UserError, match="404"):
            open_objects("s3://another-bucket", "store")


def test_s3_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "boto3", None)
    with pytest.raises(UserError, match="boto3") as refused:
        open_objects("s3://bucket", "store")
    assert "EXTRAS=s3" in refused.value.remedy


class Away:
    """A store that answers the third time."""

    url = "test://"

    def __init__(self) -> None:
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any) -> bytes:
            self.asked += 1
            if self.asked < 3:
                raise AwayError("no answer")
            return b"here"

        return call


def test_a_store_that_is_away_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "PAUSES_S", (0.001,))
    assert outlasting(cast(Objects, Away()), 5.0).read("x") == b"here"
    with pytest.raises(AwayError):
        outlasting(cast(Objects, Away()), 0.0).read("x")
