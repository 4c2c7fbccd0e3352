"""From the bytes of a request to a picture: its size is read from the header before anything is decoded."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

from src.common.errors import UserError
from src.predict.engine import Image
from src.predict.sources import decode_picture
from src.serve.held import Held
from src.serve.refusals import Refusal

CHANNELS = 3
SENT = Path("image")  # how a picture that was sent is named


def picture(content: bytes, max_pixels: int, held: Held) -> Image:
    """A picture uint8 [h, w, 3] in OpenCV's order of colours (BGR), as `src.predict` reads it from a file.

    Args:
        content: the bytes of an image file.
        max_pixels: height x width that is decoded at most.
        held: where it counts for as long as anything refers to it.

    Raises:
        Refusal: there is none, it is too large, it can't be decoded, or others hold too much.
    """
    if not content:
        raise Refusal(
            400, "no_image", "the request holds no image", "send the file as the body, or as the field `image`"
        )
    width, height = declared_size(content)
    if width * height > max_pixels:
        text = f"the image has {width} x {height} pixels; at most {max_pixels} are taken"
        raise Refusal(413, "too_many_pixels", text, "send a smaller one")
    if is_cut_short(content):
        raise Refusal(422, "not_an_image", "the image ends in the middle", "send the whole file")
    try:
        return held.picture(width * height * CHANNELS, lambda: decode_picture(content, SENT))
    except UserError as error:
        raise Refusal(422, "not_an_image", error.what, "send a whole JPEG, PNG, WebP or another image file") from None
    except MemoryError:
        raise Refusal(413, "too_many_pixels", "the image does not fit into memory", "send a smaller one") from None


def declared_size(content: bytes) -> tuple[int, int]:
    """Width and height in px that the header of an image file declares.

    Raises:
        Refusal: it is none.
    """
    from PIL import Image as Pillow

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of decompression bombs: our own limit follows
            with Pillow.open(io.BytesIO(content)) as opened:
                return opened.size
    except Pillow.DecompressionBombError:  # so large that Pillow does not even open it
        raise Refusal(413, "too_many_pixels", "the image has too many pixels", "send a smaller one") from None
    except Exception:  # decoders fail in many ways on what is none of theirs
        text = "the request's content is not an image that can be decoded"
        raise Refusal(422, "not_an_image", text, "send a JPEG, PNG, WebP or another image file") from None


def is_cut_short(content: bytes) -> bool:
    """Whether a JPEG has no end: decoders fill what is missing with grey, and say nothing.

    The end is looked for behind the last start of a scan, since a thumbnail before it has an end of its own.
    """
    if content[:2] != b"\xff\xd8" or content.endswith(b"\xff\xd9"):
        return False
    return content.find(b"\xff\xd9", content.rfind(b"\xff\xda")) < 0
