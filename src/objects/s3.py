"""An S3-compatible store, by boto3; keys, region and endpoint come from the environment, as boto3 reads them.

s3fs would do too, but it holds botocore back to versions that boto3 does not go with.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from src.common.errors import UserError
from src.common.redaction import redact_text
from src.objects.address import Address
from src.objects.protocol import AwayError

CONNECT_S, ANSWER_S = 5, 20  # seconds without a sign of life after which a call counts as lost
BUSY = ("SlowDown", "RequestTimeout", "RequestTimeTooSkewed", "Throttling", "InternalError", "ServiceUnavailable")
TAKEN = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
MISSING = ("NoSuchKey", "NotFound", "404")


class S3:
    """A bucket, below a prefix.

    Args:
        address: of the store.
        key: of the configuration, for messages.

    Raises:
        UserError: boto3 is not installed.
    """

    def __init__(self, address: Address, key: str) -> None:
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise UserError(f"{key}=s3://… needs boto3", value=address.url, remedy="make setup EXTRAS=s3") from None
        self.url, self._key = address.url, key
        self._bucket, self._prefix = address.host, f"{address.path}/" if address.path else ""
        settings = Config(connect_timeout=CONNECT_S, read_timeout=ANSWER_S, retries={"total_max_attempts": 2})
        with self._usable():
            self._client = boto3.client("s3", config=settings)

    def check(self) -> None:
        """Ask for the bucket."""
        with self._usable():
            self._client.head_bucket(Bucket=self._bucket)

    def put(self, key: str, file: Path) -> None:
        """Upload a file, in parts where it is large; it is there when all of it is."""
        with _translated(key):
            self._client.upload_file(str(file), self._bucket, self._prefix + key)

    def write(self, key: str, content: bytes) -> None:
        """Store bytes."""
        with _translated(key):
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=content)

    def make(self, key: str, content: bytes) -> bool:
        """Store bytes where there is no object yet."""
        try:
            with _translated(key):
                self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=content, IfNoneMatch="*")
        except FileExistsError:
            return False
        return True

    def size(self, key: str) -> int:
        """Bytes of an object; -1 where there is none."""
        try:
            with _translated(key):
                answer = self._client.head_object(Bucket=self._bucket, Key=self._prefix + key)
        except FileNotFoundError:
            return -1
        return int(answer["ContentLength"])

    def read(self, key: str) -> bytes | None:
        """An object's content."""
        try:
            with _translated(key):
                return bytes(self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)["Body"].read())
        except FileNotFoundError:
            return None

    def fetch(self, key: str, file: Path) -> None:
        """Download an object."""
        with _translated(key):
            self._client.download_file(self._bucket, self._prefix + key, str(file))

    def keys(self, prefix: str) -> list[str]:
        """Keys below a prefix."""
        with _translated(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix
            )
            return sorted(o["Key"].removeprefix(self._prefix) for page in pages for o in page.get("Contents", []))

    @contextlib.contextmanager
    def _usable(self) -> Iterator[None]:
        """Make what goes wrong at the beginning the user's to mend."""
        try:
            yield
        except Exception as error:
            reason = redact_text(f"{type(error).__name__}: {error}")[:300]
            raise UserError(
                f"{self._key} can't be used ({reason})",
                value=self.url,
                remedy="make the bucket beforehand; keys and endpoint in the environment: AWS_ACCESS_KEY_ID, "
                "AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL",
            ) from None


@contextlib.contextmanager
def _translated(key: str) -> Iterator[None]:
    """Make botocore's errors those of the protocol."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError, Boto3Error) as error:
        raise _error(error, key) from None


def _error(error: Any, key: str) -> OSError:
    from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError, ResponseStreamingError

    cause = error if isinstance(error, ClientError) else error.__context__
    said = redact_text(f"{key}: {type(error).__name__}: {error}")[:500]
    if isinstance(cause, ClientError):
        code = str(cause.response.get("Error", {}).get("Code", ""))
        status = int(cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if code in MISSING:
            return FileNotFoundError(said)
        if code in TAKEN:
            return FileExistsError(said)
        return AwayError(said) if status >= 500 or status == 429 or code in BUSY else OSError(said)
    lost = (HTTPClientError, IncompleteReadError, ResponseStreamingError)
    return AwayError(said) if isinstance(error, lost) or isinstance(cause, lost) else OSError(said)
