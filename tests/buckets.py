"""A bucket of moto's in this process, for tests of what is kept in S3."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


def moto_bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of a store that holds the empty bucket `bucket`; the test is skipped where moto is not installed."""
    boto3, moto = pytest.importorskip("boto3"), pytest.importorskip("moto")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "of-the-test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with moto.mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="bucket")
        yield client
