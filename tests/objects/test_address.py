"""Addresses of stores: what is taken, and that no key is taken or shown."""

from __future__ import annotations

import pytest

from src.common.errors import UserError
from src.objects import open_objects
from src.objects.address import parse_address


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("s3://bucket", ("s3", "bucket", "")),
        ("s3://my-bucket/team/sweeps/", ("s3", "my-bucket", "team/sweeps")),
        ("file:///srv/store", ("file", "", "srv/store")),
        ("memory://here", ("memory", "here", "")),
    ],
)
def test_an_address_is_taken_apart(text: str, found: tuple[str, str, str]) -> None:
    address = parse_address(text, "store")
    assert (address.scheme, address.host, address.path) == found
    assert address.url == text.rstrip("/")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("bucket/prefix", "no scheme"),
        ("", "no scheme"),
        ("S3://bucket", "no scheme"),
        ("s3://", "no bucket"),
        ("s3://UPPER/x", "no bucket"),
        ("s3://bucket/../other", "plain name"),
        ("s3://bucket/a//b", "plain name"),
        ("file://host/folder", "no folder"),
        ("file:///a/../b", "plain name"),
    ],
)
def test_what_is_none_is_refused(text: str, why: str) -> None:
    with pytest.raises(UserError, match=f"store.*{why}"):
        parse_address(text, "store")


@pytest.mark.parametrize(
    "text", ["s3://AKIAKEY:topsecret@bucket/x", "s3://topsecret@bucket", "s3://bucket/x?token=topsecret", "topsecret@x"]
)
def test_keys_in_an_address_are_refused_and_not_shown(text: str) -> None:
    with pytest.raises(UserError) as refused:
        parse_address(text, "store")
    assert "topsecret" not in str(refused.value)
    assert "AKIAKEY" not in str(refused.value)


@pytest.mark.parametrize("text", ["nosuchscheme://x/y", "gs://bucket/x"])
def test_a_scheme_that_nothing_here_reaches_is_told(text: str) -> None:
    if text.startswith("gs"):
        try:
            import gcsfs  # type: ignore[import-untyped,import-not-found,unused-ignore]  # noqa: F401
        except ImportError:
            pass
        else:
            pytest.skip("gcsfs is installed")
    with pytest.raises(UserError, match="store"):
        open_objects(text, "store")
