"""Image loaders of other packages: found by entry point, refused unless trusted, sent to processes, named in caches."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from src.common import image_loaders
from src.common.errors import UserError
from src.common.image_loaders import VARIABLE, loader_identity, may_be_shown, through_loader, use_loader
from src.data.scan import Scanner, look_at
from src.inference import load_image

MODULE = '''
class Turned:
    """Pictures whose bytes stand on their heads."""

    clear = True

    def __call__(self, content, name):
        return content[::-1]


class Broken:
    def __call__(self, content, name):
        raise RuntimeError("no answer from the cloud")


reverse = Turned()
broken = Broken()
text = lambda content, name: "text"
secret = Broken()
number = 5
'''
ENTRIES = """
[detsweep.image_loaders]
reverse = fake_loaders:reverse
broken = fake_loaders:broken
unpicklable = fake_loaders:text
number = fake_loaders:number
missing = fake_loaders:nothing
"""


def install_loaders(folder: Path) -> Path:
    """Put a distribution that declares loaders into a folder; returns the folder."""
    info = folder / "fake_loaders-1.2.dist-info"
    info.mkdir(parents=True)
    (folder / "fake_loaders.py").write_text(MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-loaders\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    return folder


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A distribution that declares loaders, on the path as an installed one is; nothing of it stays."""
    folder = install_loaders(tmp_path / "site")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv(VARIABLE, "")
    image_loaders._loaded.cache_clear()
    yield folder
    image_loaders._loaded.cache_clear()
    sys.modules.pop("fake_loaders", None)


@pytest.fixture
def turned(tmp_path: Path) -> tuple[Path, np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    """A picture that only the loader opens, and its pixels."""
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    path = tmp_path / "a.png"
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes()[::-1])
    return path, pixels


def test_a_loader_that_is_not_trusted_is_refused_before_its_code_runs(package: Path) -> None:
    with pytest.raises(UserError, match="runs the code of another package"):
        use_loader("reverse", False)
    assert "fake_loaders" not in sys.modules
    assert not image_loaders.active()


def test_a_picture_is_opened_by_the_loader(package: Path, turned: tuple[Path, np.ndarray]) -> None:  # type: ignore[type-arg]
    path, pixels = turned
    assert "not a readable image" in look_at(path).error
    use_loader("reverse", True)
    assert np.array_equal(load_image(path)[..., ::-1], pixels)
    facts = look_at(path)
    assert (facts.width, facts.height, facts.error, facts.secret) == (60, 40, "", False)
    assert loader_identity() == "reverse fake-loaders 1.2"
    assert may_be_shown()
    use_loader(None, False)
    with pytest.raises(UserError, match="not an image"):
        load_image(path)


def test_processes_that_are_started_read_through_it(package: Path, turned: tuple[Path, np.ndarray]) -> None:  # type: ignore[type-arg]
    use_loader("reverse", True)
    assert os.environ[VARIABLE] == "reverse"
    loader = image_loaders._loaded("reverse")[0]
    assert pickle.loads(pickle.dumps(loader))(b"abc", "a") == b"cba"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nobody", "no loader that an installed package declares"),
        ("unpicklable", "picklable"),
        ("number", "can't be called"),
        ("missing", "can't be used"),
    ],
)
def test_what_can_not_be_used_is_refused(name: str, why: str, package: Path) -> None:
    with pytest.raises(UserError, match=why):
        use_loader(name, True)
    assert not image_loaders.active()


def test_a_loader_that_fails_names_the_picture(package: Path, turned: tuple[Path, np.ndarray]) -> None:  # type: ignore[type-arg]
    use_loader("broken", True)
    with pytest.raises(UserError, match="no answer from the cloud"):
        through_loader(b"", "a.png")
    assert "no answer from the cloud" in look_at(turned[0]).error
    assert not may_be_shown(), "pictures stay hidden unless the loader says that they need not"


def test_facts_of_one_reader_are_not_used_by_another(
    package: Path, turned: tuple[Path, np.ndarray], tmp_path: Path
) -> None:  # type: ignore[type-arg]
    use_loader("reverse", True)
    assert Scanner(tmp_path / "scan").scan([turned[0]], "x")[0].width == 60
    use_loader(None, False)
    assert Scanner(tmp_path / "scan").scan([turned[0]], "x")[0].error
