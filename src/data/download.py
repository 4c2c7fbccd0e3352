"""Fetch COCO128 as Ultralytics publishes it, when no local folder is named and the network is there.

Only images and labels are taken out of the archive, under plain names, with a limit on their size: nothing in it can
land elsewhere or fill the disk.
"""

from __future__ import annotations

import io
import urllib.error
import urllib.request
import zipfile
from pathlib import Path, PurePosixPath

from src.common.errors import UserError
from src.common.whole_files import whole_folder

URL = "https://github.com/ultralytics/assets/releases/download/v0.0.0/coco128.zip"
TIMEOUT_S = 10.0  # to connect, and between two parts
MAX_BYTES = 64 << 20
FOLDERS = ("images/train2017", "labels/train2017")
REMEDY = "data.source=FOLDER (or COCO128_DIR) with images/train2017 and labels/train2017"


def fetch_coco128(base: Path, url: str | None = None) -> Path:
    """The downloaded folder under `base`, fetched once.

    Raises:
        UserError: the network or the archive is not there.
    """
    folder = base / ".downloads" / "coco128"
    if folder.is_dir():
        return folder
    url = url or URL
    print(f"data.source is not set: fetching COCO128 from {url}")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:
            archive = response.read(MAX_BYTES + 1)
    except (OSError, urllib.error.URLError, ValueError) as error:
        text = f"data.source is not set, and COCO128 can't be downloaded ({error})"
        raise UserError(text, remedy=REMEDY) from None
    if len(archive) > MAX_BYTES:
        raise UserError("the COCO128 archive is larger than expected", value=url, remedy=REMEDY)
    try:
        with whole_folder(folder) as aside:
            _unpack(archive, aside)
    except (zipfile.BadZipFile, OSError, RuntimeError) as error:
        if not folder.is_dir():  # another process may have been quicker
            raise UserError(f"the COCO128 archive can't be unpacked ({error})", value=url, remedy=REMEDY) from None
    return folder


def _unpack(archive: bytes, target: Path) -> None:
    for part in FOLDERS:
        (target / part).mkdir(parents=True)
    left = MAX_BYTES
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        for entry in packed.infolist():
            path = PurePosixPath(entry.filename)
            part = "/".join(path.parts[-3:-1])
            if part not in FOLDERS or entry.is_dir() or path.name in ("", ".", ".."):
                continue
            left -= entry.file_size
            if left < 0:
                raise zipfile.BadZipFile("it unpacks to more than expected")
            (target / part / path.name).write_bytes(packed.read(entry))
