"""Encrypted pictures make a dataset like others, and nothing of them is written in clear."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.common import encryption
from src.common.errors import UserError
from src.config.schema import DataConfig
from src.data import load_split, resolve
from src.data.pictures import write_pictures
from src.data.scan import look_at
from src.inference import load_image
from tests.conftest import Command
from tests.data.builders import yolo_set

SIZES = {"train": 4, "val": 2, "test": 2}


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    text = os.urandom(32).hex()
    monkeypatch.setenv(encryption.VARIABLE, text)
    return text


@pytest.fixture
def secret(tmp_path: Path, key: str) -> Path:
    """A YOLO dataset with encrypted pictures, beside the plain one."""
    yolo_set(tmp_path / "plain", SIZES)
    assert encryption.encrypt_folder(tmp_path / "plain", tmp_path / "secret") == sum(SIZES.values())
    return tmp_path / "secret"


def config(folder: Path) -> DataConfig:
    return DataConfig(name="x", kind="yolo", path=str(folder / "data.yaml"))


def test_an_encrypted_dataset_is_the_plain_one(secret: Path, tmp_path: Path) -> None:
    a, b = (resolve(config(tmp_path / name), tmp_path / f"out-{name}") for name in ("plain", "secret"))
    for split in SIZES:
        for x, y in zip(load_split(a, split), load_split(b, split), strict=True):
            assert (x.width, x.height) == (y.width, y.height)
            assert (x.boxes == y.boxes).all()
            assert (load_image(x.image) == load_image(y.image)).all()
            assert not encryption.is_secret(x.image)
            assert encryption.is_secret(y.image)


def test_nothing_of_a_secret_picture_is_written_in_clear(secret: Path, tmp_path: Path, key: str) -> None:
    plain = [look_at(p).thumb for p in sorted((tmp_path / "plain").rglob("*.jpg"))]
    ref = resolve(config(secret), tmp_path / "out")
    sheet = write_pictures(Path(ref.yaml).parent)[0]
    colours = np.asarray(Image.open(sheet).convert("RGB")).reshape(-1, 3).astype(int)
    assert (colours.max(1) - colours.min(1)).max() < 60, "text only: the pictures are colourful"
    for file in (p for p in (tmp_path / "out").rglob("*") if p.is_file()):
        content = file.read_bytes()
        assert key.encode() not in content
        assert bytes.fromhex(key) not in content
        assert not any(thumb.encode() in content for thumb in plain), file


def test_a_key_that_does_not_fit_is_told(
    secret: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command, key: str
) -> None:
    words = ["check", "data=yolo", f"data.path={secret}/data.yaml", f"outputs={tmp_path / 'out'}"]
    for value, says in (("ab" * 16, "32 bytes"), ("", "is not set"), (os.urandom(32).hex(), "can't be decrypted")):
        done = command("src.data", *words, **{encryption.VARIABLE: value})
        assert done.returncode == 2, done.stderr
        assert says in done.stderr + done.stdout
        assert "Traceback" not in done.stderr
        assert not value or value not in done.stderr + done.stdout
    assert resolve(config(secret), tmp_path / "out"), "a failure is not kept"
    monkeypatch.setenv(encryption.VARIABLE, "abc")
    with pytest.raises(UserError, match="32 bytes"):
        load_image(next(secret.rglob("*.jpg")))


def test_a_damaged_secret_picture_is_an_error_of_its_own(secret: Path, tmp_path: Path) -> None:
    victim = sorted((secret / "images" / "train").iterdir())[0]
    victim.write_bytes(victim.read_bytes()[:-3])
    with pytest.raises(UserError, match=victim.name):
        resolve(config(secret), tmp_path / "out")


def test_shrinking_keeps_the_secret(secret: Path, tmp_path: Path, command: Command) -> None:
    out = tmp_path / "small"
    words = ["resize", "data=yolo", f"data.path={secret}/data.yaml", "side=32", f"out={out}"]
    done = command("src.data", *words, f"outputs={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr
    pictures = list(out.rglob("*.jpg"))
    assert len(pictures) == sum(SIZES.values())
    assert all(encryption.is_secret(p) for p in pictures)
    assert max(load_image(pictures[0]).shape[:2]) == 32
    assert json.loads((out / "manifest.json").read_text())["images"] == SIZES


def test_the_command_makes_a_key_and_a_copy(tmp_path: Path, command: Command) -> None:
    made = command("src.data", "key")
    assert made.returncode == 0
    assert len(bytes.fromhex(made.stdout.strip())) == encryption.KEY
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "plain").mkdir()
    (tmp_path / "a.png").rename(tmp_path / "plain" / "a.png")
    words = ["encrypt", f"source={tmp_path / 'plain'}", f"out={tmp_path / 'new'}"]
    done = command("src.data", *words, **{encryption.VARIABLE: made.stdout.strip()})
    assert (done.returncode, done.stdout) == (0, f"1 images encrypted in {tmp_path / 'new'}\n")
    assert encryption.is_secret(tmp_path / "new" / "a.png")
    assert command("src.data", "encrypt", f"source={tmp_path}").returncode == 2


def test_files_of_another_cipher_are_told_with_the_command_that_opens_them(tmp_path: Path) -> None:
    description = yolo_set(tmp_path, {"train": 2, "val": 1})
    for image in list((tmp_path / "images").rglob("*.jpg")):
        image.rename(image.with_name(f"{image.name}.enc"))
    for kind, path in (("yolo", description), ("voc", tmp_path)):
        with pytest.raises(UserError) as told:
            resolve(DataConfig(kind=kind, name=kind, path=str(path)), tmp_path / "o")
        assert f"python -m src.data encrypt source={tmp_path} out=NEW" in told.value.remedy, kind


def test_a_copy_goes_into_a_new_folder_of_a_folder(tmp_path: Path, key: str) -> None:
    (tmp_path / "there").mkdir()
    for source, target, remedy in ((tmp_path / "gone", "new", "source=FOLDER"), (tmp_path, "there", "out=NEW_FOLDER")):
        with pytest.raises(UserError) as told:
            encryption.encrypt_folder(source, tmp_path / target)
        assert told.value.remedy == remedy
