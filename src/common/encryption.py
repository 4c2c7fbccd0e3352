"""Encrypted image files: AES-256-GCM under a key from the environment, recognised by their first bytes.

A file is `DSWPENC1`, a random nonce of 12 bytes, then ciphertext with its tag; the magic is authenticated too. The key
is never written, logged or shown; its variable's name ends in a word that `src.common.redaction` masks everywhere.

`python -m src.data key` makes a key, `python -m src.data encrypt source=FOLDER out=NEW` a copy of a folder with its
images encrypted.
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path

from src.common.errors import UserError
from src.common.image_files import IMAGE_SUFFIXES, OTHER_SUFFIXES
from src.common.whole_files import whole_folder

VARIABLE = "DETSWEEP_IMAGE_SECRET_KEY"
MAGIC = b"DSWPENC1"
NONCE = 12
KEY = 32  # bytes: AES-256
BLOCK = 16  # bytes of AES
CBC = ".enc"  # suffix of pictures that other systems encrypted with AES-256-CBC
BY_START = {
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG": ".png",
    b"RIFF": ".webp",
    b"BM": ".bmp",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
}
STARTS = tuple(BY_START)
# Whatever looks like a picture is encrypted, read by the checks or not: none may stay in clear by its suffix.
IMAGES = IMAGE_SUFFIXES | OTHER_SUFFIXES


def key_from_environment() -> bytes:
    """The key, from 64 hexadecimal digits or 44 characters of base64.

    Raises:
        UserError: there is none, or it is of the wrong length. The value is not shown.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        raise UserError(
            f"the images are encrypted and {VARIABLE} is not set",
            remedy=f"export {VARIABLE}=… (python -m src.data key makes one)",
        )
    try:
        key = bytes.fromhex(text) if len(text) == 2 * KEY else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY:
        raise UserError(
            f"{VARIABLE} must hold {KEY} bytes, as {2 * KEY} hexadecimal digits or in base64",
            remedy="check that the key was copied whole (its value is not shown here)",
        )
    return key


def new_key() -> str:
    """A fresh key in the form that the environment takes: 64 hexadecimal digits."""
    return os.urandom(KEY).hex()


def is_encrypted(content: bytes) -> bool:
    """Whether these are the bytes of an encrypted file."""
    return content[: len(MAGIC)] == MAGIC


def is_secret(path: str | Path) -> bool:
    """Whether a file is encrypted, from its first bytes; False where it can't be read."""
    try:
        with open(path, "rb") as stream:
            return is_encrypted(stream.read(len(MAGIC)))
    except OSError:
        return False


def encrypt(plain: bytes, key: bytes) -> bytes:
    """Encrypt the bytes of a file under a fresh nonce."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(NONCE)
    return MAGIC + nonce + AESGCM(key).encrypt(nonce, plain, MAGIC)


def decrypt(content: bytes, key: bytes, name: str = "a file") -> bytes:
    """Decrypt and verify.

    Raises:
        UserError: another key, or the file was changed.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    head = len(MAGIC) + NONCE
    try:
        return AESGCM(key).decrypt(content[len(MAGIC) : head], content[head:], MAGIC)
    except (InvalidTag, ValueError):
        raise UserError(
            "an encrypted image can't be opened: it was encrypted with another key, or is damaged",
            value=name,
            remedy=f"check {VARIABLE}",
        ) from None


def plain(content: bytes, name: str = "a file") -> bytes:
    """The bytes of an image file, decrypted where they are encrypted."""
    return decrypt(content, key_from_environment(), name) if is_encrypted(content) else content


def decrypt_cbc(content: bytes, key: bytes, name: str = "a file") -> bytes:
    """Decrypt a file of AES-256-CBC: 16 bytes of initialisation vector, then the ciphertext with PKCS#7 padding.

    Such a file has no tag: damage is found by its padding alone, and not for certain. So it is read once, to be
    encrypted again as everything here is.

    Raises:
        UserError: another key, or the file is damaged.
    """
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.padding import PKCS7

    try:
        opened = Cipher(algorithms.AES(key), modes.CBC(content[:BLOCK])).decryptor()
        padded = opened.update(content[BLOCK:]) + opened.finalize()
        unpad = PKCS7(8 * BLOCK).unpadder()
        return unpad.update(padded) + unpad.finalize()
    except ValueError:
        raise UserError(
            "an encrypted image can't be opened: it was encrypted with another key, or is no file of AES-256-CBC",
            value=name,
            remedy=f"check {VARIABLE}; the first 16 bytes must be the initialisation vector",
        ) from None


def _plain_or_cbc(item: Path, content: bytes, key: bytes) -> tuple[str, bytes]:
    """Name and bytes of a picture before it is encrypted; of other systems' `NAME.jpg.enc` too."""
    if item.suffix.lower() != CBC or is_encrypted(content):
        return item.name, content
    opened = decrypt_cbc(content, key, str(item))
    if not opened.startswith(STARTS):
        raise UserError(
            "an encrypted image can't be opened: it was encrypted with another key",
            value=item,
            remedy=f"check {VARIABLE}",
        )
    return item.stem if Path(item.stem).suffix.lower() in IMAGES else f"{item.stem}{_suffix(opened)}", opened


def _suffix(opened: bytes) -> str:
    return next(suffix for start, suffix in BY_START.items() if opened.startswith(start))


def encrypt_folder(source: Path, target: Path) -> int:
    """Copy a folder with its images encrypted; returns their number.

    Files `….enc` of AES-256-CBC are opened with the same key, and become files of this kind.

    Raises:
        UserError: the source is missing, or the target exists.
    """
    if not source.is_dir():
        raise UserError("source is no folder that exists", value=source, remedy="source=FOLDER")
    if target.exists():
        raise UserError("out exists already, and nothing is ever written over", value=target, remedy="out=NEW_FOLDER")
    key, count = key_from_environment(), 0
    with whole_folder(target) as aside:
        for item in sorted(p for p in source.rglob("*") if p.is_file()):
            copy = aside / item.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            name, content = _plain_or_cbc(item, item.read_bytes(), key)
            copy = copy.with_name(name)
            if copy.exists():
                raise UserError("two pictures would get one name", value=item, remedy="rename one of them")
            secret = copy.suffix.lower() in IMAGES and not is_encrypted(content)
            copy.write_bytes(encrypt(content, key) if secret else content)
            count += secret
    return count
