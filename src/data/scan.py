"""Look at every image once: content hash, true size, damage, and the small thumbnail that duplicates are found by.

Decoding is what a check costs, so its results are cached under `root/datasets/.scan`, keyed by device, inode, size and
modification time; `verify=True` looks at every byte again. The cache is plain JSON: a foreign or torn one is ignored.
Of encrypted images nothing is cached: a thumbnail in clear would show what the key is meant to hide.
"""

from __future__ import annotations

import hashlib
import io
import json
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

import numpy as np
from PIL import Image

from src.common import encryption, image_loaders
from src.common.errors import UserError
from src.common.hashes import hash_of
from src.common.whole_files import read_regular, write_text
from src.machine.environment import cores

VERSION = 4
THUMB = 16  # px: side of the grey thumbnail
# Orientations of EXIF that swap width and height.
SWAPPED = (5, 6, 7, 8)
# Formats of many kinds, of which Pillow decodes some that OpenCV does not (TIFF with ZSTD or LZMA).
OPENCVS_OWN = ("TIFF", "JPEG2000", "AVIF")
PICTURE = 1 << 30  # bytes of a file at most
CHUNK = 64  # images handed to a thread at a time


@dataclass(frozen=True)
class ImageFacts:
    """What a file holds. On damage `error` says what, and the other fields may be empty."""

    sha256: str = ""
    width: int = 0  # px, as shown: after EXIF rotation
    height: int = 0
    format: str = ""  # Pillow's name, e.g. JPEG
    orientation: int = 1  # EXIF
    complete: bool = True  # a JPEG ends in its end marker; Ultralytics rewrites one that doesn't
    thumb: str = ""  # hexadecimal THUMB x THUMB grey levels
    error: str = ""
    peak: int = 0  # the largest value in a 16-bit file; 0 where pixels have 8 bits
    secret: bool = False  # the file is encrypted; the other facts are those of the picture in it


class Scanner:
    """Reads facts of files through the cache at `cache` (a folder)."""

    def __init__(self, cache: Path, *, verify: bool = False, threads: int = 0) -> None:
        self.cache = cache
        self.verify = verify
        self.threads = threads or min(8, cores())
        self.seen: dict[str, ImageFacts] = {}  # of this process: a link to a file already seen costs nothing

    def scan(self, paths: Sequence[Path], label: str) -> list[ImageFacts]:
        """Facts for each path, in order; `label` names the cache file (a dataset's own)."""
        file = self.cache / f"{hash_of([VERSION, label])}.json"
        known = self.seen if self.verify else {**_read_cache(file), **self.seen}
        keys = [_key(path) for path in paths]
        todo = [i for i, key in enumerate(keys) if key not in known]
        with ThreadPoolExecutor(self.threads) as pool:
            for index, facts in zip(todo, pool.map(look_at, (paths[i] for i in todo), chunksize=CHUNK), strict=True):
                known[keys[index]] = facts
        result = [known[key] for key in keys]
        self.seen.update(zip(keys, result, strict=True))
        self.seen.pop("", None)
        if todo:
            # A file that can't be opened has no key worth keeping: it may be readable next time.
            _write_cache(file, {key: known[key] for key in keys if key and not known[key].secret})
        return result


def _key(path: Path) -> str:
    try:
        stat = path.stat()
    except (OSError, ValueError):
        return ""
    through = image_loaders.loader_identity()  # what one loader shows is not what another does
    return f"{stat.st_dev}:{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}{f':{through}' if through else ''}"


def look_at(path: Path) -> ImageFacts:
    """Read and decode one file. Damage is told in `error`.

    Raises:
        UserError: it is encrypted, and the environment holds no usable key.
    """
    try:
        data = read_regular(path, PICTURE)
    except (OSError, ValueError) as error:
        return ImageFacts(error=f"can't be read ({getattr(error, 'strerror', None) or error})")
    sha256 = hashlib.sha256(data).hexdigest()
    if not data:
        return ImageFacts(sha256=sha256, error="is an empty file")
    try:
        data = image_loaders.through_loader(data, str(path))
    except UserError as error:
        return ImageFacts(sha256=sha256, error=error.what, secret=True)
    secret = encryption.is_encrypted(data) or not image_loaders.may_be_shown()
    if encryption.is_encrypted(data):
        key = encryption.key_from_environment()
        try:
            data = encryption.decrypt(data, key, str(path))
        except UserError:
            return ImageFacts(sha256=sha256, error="can't be decrypted: another key, or damage", secret=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return replace(_decode(data, sha256), secret=secret)
    except Exception as error:  # Pillow raises nearly anything on hostile bytes
        reason = str(error).replace("\n", " ")[:120] or type(error).__name__
        if "identify" in reason:
            reason = "not an image"
        # Other libraries hook into Pillow and tell of a package that they miss: what the file is comes first.
        reason = _not_a_picture(data) or reason
        return ImageFacts(sha256=sha256, error=f"is not a readable image ({reason})", secret=secret)


def _not_a_picture(data: bytes) -> str:
    """What a picture is that no decoder here reads; "" when it can't be told."""
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"heim", b"heis"):
        return "HEIC, which no decoder here reads: convert it to JPEG or PNG, e.g. heif-convert FILE NEW.jpg"
    kinds = {
        b"\xff\x0a": "JPEG XL",
        b"\0\0\0\x0cJXL ": "JPEG XL",
        b"v/1\x01": "OpenEXR",
        b"\x05\x16\x07": "AppleDouble",
    }
    if data.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS, not the picture itself: git lfs pull"
    if data[:512].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "a web page under a picture's name: download it again"
    name = next((name for head, name in kinds.items() if data.startswith(head)), "")
    if data[128:132] == b"DICM":
        name = "DICOM"
    return f"{name}, which no decoder here reads: convert it to JPEG or PNG" if name else ""


def _decode(data: bytes, sha256: str) -> ImageFacts:
    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
        kind = image.format or ""
        if image.mode in ("F", "I"):
            raise ValueError("floating-point or 32-bit pixels, which training can't read")
        orientation = int(image.getexif().get(0x0112, 1) or 1)
        # At 1/8 scale a JPEG is still entropy-decoded to its end, so truncation shows, at a third of the cost.
        image.draft("L", (THUMB * 4, THUMB * 4))
        if kind in OPENCVS_OWN and not _opencv_decodes(data):
            how = f" ({image.info['compression']} compression)" if image.info.get("compression") else ""
            raise ValueError(f"a {kind}{how} that OpenCV, which training reads with, can't decode: convert it to PNG")
        peak = peak_of(image, data)
        gray = _as_grey(image, peak)
    thumb = gray.resize((THUMB, THUMB), Image.Resampling.BOX).tobytes().hex()
    if orientation in SWAPPED:
        width, height = height, width
    complete = kind != "JPEG" or data.endswith(b"\xff\xd9")
    return ImageFacts(sha256, width, height, kind, orientation, complete, thumb, peak=peak)


def _opencv_decodes(data: bytes) -> bool:
    import cv2

    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is not None
    except cv2.error:
        return False


def peak_of(image: Image.Image, data: bytes) -> int:
    """The largest value in a 16-bit picture; 0 where its pixels have 8 bits or fewer."""
    if image.mode.startswith("I;16"):
        return int(np.asarray(image).max())
    deep = data[24:25] == b"\x10" if image.format == "PNG" else False
    if image.format == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(258, (8,))
        deep = max(bits if isinstance(bits, tuple) else (bits,)) == 16
    if not deep:
        return 0
    # Pillow keeps the high byte of colour alone.
    import cv2

    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return 0 if pixels is None or pixels.dtype != np.uint16 else int(pixels[..., :3].max())


def _as_grey(image: Image.Image, peak: int) -> Image.Image:
    if not image.mode.startswith("I;16"):
        return image.convert("L")
    return Image.fromarray((np.asarray(image) * (255.0 / max(peak, 1))).astype(np.uint8))


def _read_cache(file: Path) -> dict[str, ImageFacts]:
    """Cached facts by key; empty when there are none or they aren't ours."""
    try:
        rows = json.loads(file.read_bytes())
        kinds = [type(f.default) for f in fields(ImageFacts)]
        if not all(len(v) == len(kinds) and all(map(isinstance, v, kinds)) for v in rows.values()):
            return {}
        return {key: ImageFacts(*value) for key, value in rows.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _write_cache(file: Path, known: dict[str, ImageFacts]) -> None:
    write_text(file, json.dumps({key: astuple(facts) for key, facts in known.items()}))


def thumbs(facts: Iterable[ImageFacts]) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Thumbnails as an array [n, THUMB * THUMB]; zeros where there is none."""
    blank = bytes(THUMB * THUMB)
    raw = b"".join(bytes.fromhex(f.thumb) if len(f.thumb) == 2 * THUMB * THUMB else blank for f in facts)
    return np.frombuffer(raw, dtype=np.uint8).reshape(-1, THUMB * THUMB)
