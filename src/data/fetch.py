"""Fetch files over HTTP for the explicit download commands: whole or not at all, with limits, and no key sent astray.

A server that redirects elsewhere (Kaggle does, to a store) gets no credentials of ours along.
"""

from __future__ import annotations

import base64
import urllib.error
import urllib.request
import zipfile
from collections.abc import Collection, Iterator
from http.client import HTTPException, HTTPMessage
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit

from src.common.errors import UserError
from src.common.redaction import redact_text
from src.common.whole_files import whole_file

TIMEOUT_S = 30.0  # to connect, and between two parts
PART = 1 << 20  # bytes read at once
GB = 1 << 30


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects; credentials stay with the server that they are for."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        """The next request, without the key where it goes to another host."""
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None and urlsplit(newurl).netloc != urlsplit(req.full_url).netloc:
            following.remove_header("Authorization")
        return following


def basic(user: str, password: str) -> str:
    """The header of HTTP's basic authentication."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


def opened(url: str, authorization: str = "") -> Any:
    """The answer to a request, to be read.

    Raises:
        UserError: the server refuses, or can't be reached; the key is not in the message.
    """
    request = urllib.request.Request(url, headers={"Authorization": authorization} if authorization else {})
    try:
        return urllib.request.build_opener(_Redirects).open(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        why = {401: "the key is refused", 403: "the key may not read it", 404: "there is no such thing"}
        reason = why.get(error.code, error.reason)
        raise UserError(f"the server answers {error.code}: {reason}", value=redact_text(url)) from None
    except (OSError, ValueError, HTTPException) as error:
        reason = redact_text(str(error))[:160]
        remedy = "check the network (a proxy is taken from https_proxy)"
        raise UserError(f"can't be downloaded ({reason})", value=redact_text(url), remedy=remedy) from None


def fetch(url: str, target: Path, *, authorization: str = "", most: float) -> int:
    """Download to a file, which appears whole; returns its bytes.

    Args:
        url: of the file.
        target: the file to write.
        authorization: header with the key; "" for none.
        most: bytes.

    Raises:
        UserError: as `opened`, or it is larger than `most`, or it breaks off.
    """
    size = 0
    with opened(url, authorization) as answer, whole_file(target) as aside, open(aside, "wb") as stream:
        stated = answer.headers.get("Content-Length")
        try:
            while part := answer.read(PART):
                size += len(part)
                if size > most:
                    what = f"the download is larger than {most / GB:g} GB"
                    raise UserError(what, value=redact_text(url), remedy="max_gb=… allows more")
                stream.write(part)
        except (OSError, HTTPException) as error:
            raise _broken_off(url, error) from None
        if stated is not None and size != int(stated):
            raise UserError(f"the download broke off after {size} of {stated} bytes", value=redact_text(url))
    return size


def _broken_off(url: str, error: Exception) -> UserError:
    return UserError(f"the download broke off ({redact_text(str(error))[:120]})", value=redact_text(url))


def lines(url: str) -> Iterator[str]:
    """The lines of a text file, as they arrive: one of gigabytes takes no memory."""
    with opened(url) as answer:
        try:
            for line in answer:
                yield line.decode("utf-8", "replace").rstrip("\r\n")
        except (OSError, HTTPException) as error:
            raise _broken_off(url, error) from None


def unpack(archive: Path, folder: Path, most: float, wanted: Collection[str] | None = None) -> int:
    """Unpack a ZIP archive; returns the number of files. Nothing in it can land elsewhere or fill the disk.

    Args:
        archive: the file.
        folder: where to; made where it is not there.
        most: bytes, unpacked.
        wanted: folders `a/b` at whatever depth; only files right in one of these are taken, to the folder of that
            name. None for all files.

    Raises:
        UserError: it is none, is damaged, leads out of the folder, or unpacks to more than `most` bytes.
    """
    left, count = most, 0
    try:
        with zipfile.ZipFile(archive) as packed:
            for entry in packed.infolist():
                parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
                if wanted is not None:
                    parts = parts[-3:] if "/".join(parts[-3:-1]) in wanted else ()
                if entry.is_dir() or (wanted is not None and not parts):
                    continue
                if not parts or any(p in ("..", "/") or ":" in p for p in parts):
                    raise UserError("the archive holds a path that leads out of it", value=entry.filename[:120])
                target, written = folder.joinpath(*parts), 0
                target.parent.mkdir(parents=True, exist_ok=True)
                with packed.open(entry) as source, open(target, "wb") as stream:
                    while part := source.read(PART):
                        written += len(part)
                        if written > left:  # what an archive states of its sizes is not believed
                            what = f"the archive unpacks to more than {most / GB:g} GB"
                            raise UserError(what, value=archive.name, remedy="max_gb=… allows more")
                        stream.write(part)
                left, count = left - written, count + 1
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise UserError(f"the archive can't be unpacked ({str(error)[:120]})", value=archive.name) from None
    return count
