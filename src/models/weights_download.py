"""Fetches a published weights file: what was cut off goes on, and what arrives is checked before it has its name.

A file is fetched into `.NAME.part` beside its place. When the connection breaks, or the process dies, the next attempt
asks for the rest (HTTP range). The whole file has to be an archive as `torch.save` writes it, with every checksum in it
right, and where its name ends in a hash, as torchvision's do, its content has to have that hash; files of other kinds
are checked by who asks for them. Nothing is unpickled here. A checksum is left beside it in the form of `sha256sum`.
"""

from __future__ import annotations

import logging
import os
import re
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from src.common.errors import UserError
from src.common.hashes import sha256_file
from src.common.redaction import redact_text
from src.common.whole_files import lock, write_text

log = logging.getLogger(__name__)

MIRROR = "DETSWEEP_WEIGHTS_URL"  # environment: a folder on a server that has the files under their own names
OURS = "DETSWEEP_SET_YOLO_OFFLINE"  # environment: YOLO_OFFLINE was set by this program, not by who started it
TIMEOUT_S = 5.0  # to connect, and between two parts
ATTEMPTS = 3
CHUNK = 1 << 20
SMALLEST = 100_000  # bytes; anything smaller is an error page
ZIP_MAGIC = b"PK\x03\x04"  # every checkpoint written by torch.save since 1.6 is a zip archive
HASHED = re.compile(r".*-([0-9a-f]{8,64})\.pth?")


def offline() -> bool:
    """Whether whoever started the program wants the network not to be asked."""
    asked = _yolo_offline() and OURS not in os.environ
    return asked or os.environ.get("DETSWEEP_OFFLINE") == "1"


def keep_offline() -> None:
    """Keep Ultralytics from the network, in this process and those it starts; `fetch` may ask it all the same."""
    if not _yolo_offline():
        os.environ[OURS] = "1"
    os.environ["YOLO_OFFLINE"] = "true"


def _yolo_offline() -> bool:
    return os.environ.get("YOLO_OFFLINE", "").lower() in ("1", "true")


Check = Callable[[Path, str], None]  # of a file and its name; raises ValueError with what is wrong with it


def fetch(name: str, target: Path, url: str, check: Check | None = None) -> bool:
    """Download a published weights file to `target`; False when it can't be had now.

    Args:
        name: of the file, in the folder that it is published in.
        target: its place. Two processes that want it at the same time fetch it once.
        url: of that folder; the environment variable `DETSWEEP_WEIGHTS_URL` names another one.
        check: of the whole file before it has its name; None: it has to be an archive of `torch.save`.
    """
    url = os.environ.get(MIRROR, "").rstrip("/") or url
    if offline() or not url or not name:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    try:
        with open(part, "ab") as stream:
            lock(stream.fileno())
            if target.is_file():  # whoever held the lock has fetched it: `part` is its file by now
                return True
            _complete(f"{url}/{name}", stream)
        (check or check_archive)(part, name)
        write_text(checksum_file(target), f"{sha256_file(part)}  {target.name}\n")
        part.replace(target)
    except ValueError as error:
        log.warning("%s from %s is no weights file: %s", name, redact_text(url), error)
        part.unlink(missing_ok=True)
        return False
    except OSError as error:
        log.info("%s can't be fetched from %s now (%s)", name, redact_text(url), error)
        if part.is_file() and not part.stat().st_size:
            part.unlink(missing_ok=True)
        return False
    return True


def _complete(address: str, stream: IO[bytes]) -> None:
    """Append to a file what it lacks; tries again where the connection breaks.

    Raises:
        OSError: it breaks again and again; what has arrived stays.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _append(address, stream)
            return
        except urllib.error.HTTPError:
            raise
        except OSError:
            if attempt == ATTEMPTS:
                raise


def _append(address: str, stream: IO[bytes]) -> None:
    have = stream.seek(0, os.SEEK_END)
    asked = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(asked, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # there is no rest: the file is whole, or another one than it was
            return
        raise
    with answer:
        if have and not str(answer.headers.get("Content-Range", "")).startswith(f"bytes {have}-"):
            stream.truncate(0)  # the server gives the whole
            have = 0
        wanted = have + int(answer.headers.get("Content-Length") or 0)
        while chunk := answer.read(CHUNK):
            stream.write(chunk)
        stream.flush()
        if stream.tell() < wanted:
            raise ConnectionError(f"{stream.tell()} of {wanted} bytes arrived")


def check_archive(path: Path, name: str) -> None:
    """Refuse a file that is not what `torch.save` writes, is damaged, or has another hash than its name says.

    Raises:
        ValueError: with the reason.
    """
    with open(path, "rb") as stream:
        if path.stat().st_size < SMALLEST or stream.read(len(ZIP_MAGIC)) != ZIP_MAGIC:
            raise ValueError("no archive of torch.save")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"the archive is damaged ({error})") from None
    if damaged:
        raise ValueError(f"the archive is damaged ({damaged})")
    named = HASHED.fullmatch(name)
    if named and not sha256_file(path).startswith(named[1]):
        raise ValueError("its content has another hash than its name says")


def checksum_file(path: Path) -> Path:
    """The checksum beside a weights file."""
    return path.with_name(f"{path.name}.sha256")


def check_kept(path: Path) -> None:
    """Hold a kept weights file against the checksum beside it; one that was put there by hand gets its checksum now.

    Raises:
        UserError: it has changed since.
    """
    beside = checksum_file(path)
    found = sha256_file(path)
    if not beside.is_file():
        try:
            write_text(beside, f"{found}  {path.name}\n")
        except OSError as error:
            log.info("no checksum can be left beside %s (%s)", path, error)
        return
    if beside.read_text(encoding="utf-8", errors="replace").split()[:1] != [found]:
        raise UserError(
            "the weights file is not the one that its checksum was made of: it is damaged or was replaced",
            value=path,
            remedy=f"remove {path} and {beside.name}, or {beside.name} alone where you put another file there",
        )
