"""Every family of detectors honours the protocol, and files are taken by the family that wrote them."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from src.common.errors import UserError
from src.models import base
from src.models.base import MODULES, Family, family, family_of
from src.models.ultralytics import family as ultralytics
from src.records.model_io import Input, layout
from src.records.schema import Artifact
from tests.conftest import ROOT
from tests.pipeline.faults import FAMILY as FAULTY
from tests.pipeline.toy import FAMILY as TOY
from tests.tiny import make_checkpoint

# Held to the protocol by the type checker.
TYPED: dict[str, Family] = {"ultralytics": ultralytics.FAMILY, "toy": TOY, "faulty": FAULTY}
METHODS = [name for name, _ in inspect.getmembers(Family, inspect.isfunction) if not name.startswith("_")]


@pytest.mark.parametrize("name", MODULES)
def test_every_family_honours_the_protocol(name: str) -> None:
    found = family(name)
    assert found.name == name
    assert found.licence
    assert found.losses
    for method in METHODS:
        wanted = list(inspect.signature(getattr(Family, method)).parameters)[1:]
        assert list(inspect.signature(getattr(found, method)).parameters) == wanted, method


@pytest.mark.parametrize("name", MODULES)
def test_a_family_is_known_without_its_library(name: str) -> None:
    code = f"""
import sys
from src.models.base import family
family({name!r})
heavy = {{"torch", "ultralytics", "torchvision", "transformers", "numpy", "cv2"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=ROOT)


def test_a_family_that_is_not_there_is_refused() -> None:
    with pytest.raises(UserError, match="family of detectors") as caught:
        family("nope")
    assert "ultralytics" in str(caught.value)


class Trap:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, (f"open({str(self.mark)!r}, 'w')  # ultralytics",)


def test_files_are_recognised_without_being_unpickled(pytorch: Artifact, tmp_path: Path) -> None:
    mark, trap, other = tmp_path / "mark", tmp_path / "trap.pt", tmp_path / "other.pt"
    with zipfile.ZipFile(trap, "w") as archive:
        archive.writestr("x/data.pkl", pickle.dumps(Trap(mark)))
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("x/data.pkl", pickle.dumps({"weights": 1}))
    (tmp_path / "junk.pt").write_bytes(b"junk")
    own = family("ultralytics")
    assert [own.recognises(p) for p in (Path(pytorch.path), trap, other, tmp_path / "junk.pt")] == [
        True,
        True,
        False,
        False,
    ]
    assert not own.recognises(tmp_path / "missing.pt")
    assert not mark.exists()


def test_a_file_belongs_to_the_family_that_knows_it(
    pytorch: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "MODULES", {**MODULES, "toy": "tests.pipeline.toy"})
    (tmp_path / "of-nobody.pt").write_bytes(b"junk")
    assert family_of(Path(pytorch.path)).name == "ultralytics"
    assert family_of(tmp_path / "of-nobody.pt") is family("ultralytics"), "whose loader says what is wrong with it"
    monkeypatch.setattr(type(TOY), "recognises", lambda self, path: path.name == "of-nobody.pt")
    assert family_of(tmp_path / "of-nobody.pt") is family("toy")


def test_what_a_training_has_at_hand_is_read_again_only_when_the_file_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from src.models.ultralytics import checkpoint as files
    from src.models.ultralytics.export_source import hand_over_network

    made, read, images = make_checkpoint(tmp_path), [], torch.rand(1, 3, 64, 64)
    load = files.load_checkpoint
    plain = family("ultralytics").load(made.path, imgsz=64).module(images)
    hand_over_network(made.path, made.sha256, load(made.path))

    def counted(*args: Any) -> Any:
        read.append(args)
        return load(*args)

    monkeypatch.setattr(files, "load_checkpoint", counted)
    loaded = family("ultralytics").load(made.path, imgsz=64)
    assert not read
    torch.testing.assert_close(loaded.module(images), plain)
    assert family("ultralytics").load(made.path, imgsz=64).module is not loaded.module, "each caller has its own"
    Path(made.path).write_bytes(Path(made.path).read_bytes())
    family("ultralytics").load(made.path, imgsz=64)
    assert len(read) == 1


@pytest.mark.parametrize(
    ("yaml", "name", "resize"), [("yolov8n.yaml", "dense", "letterbox"), ("rtdetr-l.yaml", "queries", "stretch")]
)
def test_a_network_says_what_it_takes_and_answers_with(yaml: str, name: str, resize: str, tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path, yaml=yaml)
    loaded = family("ultralytics").load(checkpoint.path, imgsz=96)
    assert loaded.input == Input(96, 96, resize)  # type: ignore[arg-type]
    assert loaded.output == layout(name, 3, "detect")
    assert loaded.names == ["a", "b", "c"]
    source = family("ultralytics").export_source(checkpoint)
    assert (source.input, source.output) == (Input(64, 64, resize), loaded.output)  # type: ignore[arg-type]
    assert tuple(source.example(2).shape) == (2, 3, 64, 64)
