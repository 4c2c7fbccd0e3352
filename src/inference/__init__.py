"""From an image to boxes, in numpy, shared by every engine: preprocess, decode, suppress, composed once in `Detector`.

One path for all formats and runtimes means that a difference in accuracy comes from the model file and not from its
surroundings. What a file's input and output look like is a record (`Input`, `Output`), taken from what the file
declares; nothing is decoded by a guess.
"""

from src.inference.decode import decode, decode_one
from src.inference.detector import Detector, spec_of
from src.inference.nms import suppress
from src.inference.preprocess import decode_image, fit, image_bytes, letterbox, load_image
from src.inference.types import (
    DEPLOYMENT,
    VALIDATION,
    Detections,
    Float,
    LayoutError,
    LetterboxTransform,
    Prepared,
    Thresholds,
)
from src.records.model_io import LAYOUTS, Input, Output

__all__ = [
    "DEPLOYMENT",
    "LAYOUTS",
    "VALIDATION",
    "Detections",
    "Detector",
    "Float",
    "Input",
    "LayoutError",
    "LetterboxTransform",
    "Output",
    "Prepared",
    "Thresholds",
    "decode",
    "decode_image",
    "decode_one",
    "fit",
    "image_bytes",
    "letterbox",
    "load_image",
    "spec_of",
    "suppress",
]
