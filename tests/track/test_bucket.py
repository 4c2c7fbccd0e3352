"""Files of runs in S3: keys from the environment, and everything that is wrong told before anything is trained."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from src.common.errors import UserError
from src.config.schema import TrackingConfig
from src.track import open_tracker
from src.track.bucket import check_bucket, check_location
from tests.buckets import moto_bucket


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A bucket of moto's, in this process."""
    yield from moto_bucket(monkeypatch)


def config(artifacts: str | None, outputs: Path) -> TrackingConfig:
    return TrackingConfig(name="local", uri=f"sqlite:///{outputs}/mlflow.db", artifacts=artifacts, system_metrics=False)


class Client:
    """Knows of one experiment."""

    def __init__(self, location: str) -> None:
        self.artifact_location = location

    def get_experiment(self, _: str) -> Client:
        return self


@pytest.mark.parametrize("artifacts", ["/var/files", "file:///var/files", "s3://KEY:topsecret@bucket/x"])
def test_what_is_no_bucket_is_refused(artifacts: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tracking\.artifacts") as refused:
        check_bucket(config(artifacts, tmp_path))
    assert "topsecret" not in str(refused.value)


def test_a_bucket_that_is_not_there_is_refused(bucket: Any, tmp_path: Path) -> None:
    check_bucket(config("s3://bucket/mlflow", tmp_path))
    with pytest.raises(UserError, match="404"):
        check_bucket(config("s3://another/mlflow", tmp_path))


def test_an_experiment_whose_files_are_elsewhere_is_refused(tmp_path: Path) -> None:
    client = Client("s3://bucket/mlflow/1")
    check_location(client, "1", config(None, tmp_path))
    check_location(client, "1", config("s3://bucket/mlflow", tmp_path))
    with pytest.raises(UserError, match="elsewhere"):
        check_location(client, "1", config("s3://bucket/ml", tmp_path))


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(UserError, match="boto3") as refused:
        check_bucket(config("s3://bucket/mlflow", tmp_path))
    assert "EXTRAS=s3" in refused.value.remedy


@pytest.mark.slow
def test_files_of_a_run_go_to_the_bucket_and_stay_there_later(bucket: Any, tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    file.write_bytes(b"weights")
    for artifacts in ("s3://bucket/mlflow", None):  # what an experiment has once, it keeps
        tracker = open_tracker(config(artifacts, tmp_path), tmp_path)
        run = tracker.start("trial", tags={"n": str(artifacts)})
        run.files([file], "weights")
        run.end()
        tracker.close()
    keys = [o["Key"] for o in bucket.list_objects_v2(Bucket="bucket", Prefix="mlflow/")["Contents"]]
    assert len([key for key in keys if key.endswith("artifacts/weights/weights.pt")]) == 2, keys
    assert not (tmp_path / "mlartifacts").exists()
