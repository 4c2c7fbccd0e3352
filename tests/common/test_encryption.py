"""Pictures that another system encrypted with AES-256-CBC are read with its key, and kept as everything here is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from src.common import encryption
from src.common.errors import UserError

PICTURE = b"\x89PNG\r\n" + bytes(100)


def cbc(plain: bytes, key: bytes) -> bytes:
    vector, pad = os.urandom(16), PKCS7(128).padder()
    cipher = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    return vector + cipher.update(pad.update(plain) + pad.finalize()) + cipher.finalize()


def test_files_of_cbc_become_files_of_gcm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = os.urandom(32)
    monkeypatch.setenv(encryption.VARIABLE, key.hex())
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    (source / "a.png.enc").write_bytes(cbc(PICTURE, key))
    (source / "b.enc").write_bytes(cbc(PICTURE, key))
    assert encryption.encrypt_folder(source, out) == 2
    for name in ("a.png", "b.png"):
        content = (out / name).read_bytes()
        assert encryption.is_encrypted(content)
        assert encryption.plain(content) == PICTURE
    monkeypatch.setenv(encryption.VARIABLE, os.urandom(32).hex())
    with pytest.raises(UserError, match="another key"):
        encryption.encrypt_folder(source, tmp_path / "never")
    assert not (tmp_path / "never").exists()
