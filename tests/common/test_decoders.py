"""Which library decodes: OpenCV unless asked, TurboJPEG where it is installed, and OpenCV for what that can't take."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from src.common import decoders
from src.common.decoders import VARIABLE, decoder_in_use, library, turbo, use_decoder
from src.common.errors import UserError
from src.inference import load_image

Bytes = NDArray[np.uint8]
needed = pytest.mark.skipif(library() is None, reason="libturbojpeg is not installed: apt install libturbojpeg0")


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")


def jpeg(mode: str = "RGB", **options: object) -> Bytes:
    """A smooth picture as the bytes of a JPEG."""
    rows, columns = np.mgrid[0:90, 0:120]
    pixels = np.stack([rows * 2, columns * 2, rows + columns], axis=-1).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, "JPEG", quality=90, **options)  # type: ignore[arg-type]
    return np.frombuffer(stream.getvalue(), np.uint8)


def test_opencv_is_in_use_unless_another_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert decoder_in_use() == "opencv"
    with pytest.raises(UserError, match=r"data\.decoder"):
        use_decoder("pillow")
    monkeypatch.setattr(decoders, "library", lambda: None)
    with pytest.raises(UserError, match="libturbojpeg, which is not installed"):
        use_decoder("turbojpeg")
    use_decoder("auto")
    assert decoder_in_use() == "opencv"


@needed
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_turbojpeg_gives_what_opencv_does_but_for_a_few_bits(mode: str) -> None:
    content = jpeg(mode)
    ours, theirs = turbo(content, rgb=False), cv2.imdecode(content, cv2.IMREAD_COLOR)
    assert ours is not None
    assert theirs is not None
    assert ours.shape == theirs.shape
    assert int(np.abs(ours.astype(int) - theirs.astype(int)).max()) <= 8
    swapped = turbo(content, rgb=True)
    assert swapped is not None
    assert np.array_equal(swapped[..., ::-1], ours)


@needed
def test_what_only_opencv_decodes_rightly_is_left_to_it() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert turbo(jpeg(exif=exif), rgb=True) is None, "a turned picture"
    assert turbo(jpeg("CMYK"), rgb=True) is None
    assert turbo(jpeg()[:800], rgb=True) is None, "a torn file"
    assert turbo(np.frombuffer(b"\x89PNG....", np.uint8), rgb=True) is None


@needed
def test_training_reads_by_the_decoder_that_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ultralytics")
    from src.models.shared_images import Conditions
    from src.models.ultralytics.image_readers import read_image, reader

    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg().tobytes())
    plain = Conditions(64, False, 3, reader()).name([str(path)])
    use_decoder("turbojpeg")
    assert Conditions(64, False, 3, reader()).name([str(path)]) != plain, "a cache of one is not used by the other"
    white = np.full((90, 120, 3), 255, np.uint8)
    monkeypatch.setattr(decoders, "turbo", lambda content, *, rgb: white)
    assert np.array_equal(load_image(path), white), "torchvision and transformers, and evaluation"
    found = read_image(path)
    assert found is not None
    assert np.array_equal(found, white), "Ultralytics"
    use_decoder("opencv")
    assert not np.array_equal(load_image(path), white)
