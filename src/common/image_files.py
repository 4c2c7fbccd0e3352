"""Which suffixes say that a file is a picture: the one list that data, prediction, calibration and encryption share."""

from __future__ import annotations

# Pictures that training and evaluation read: what Ultralytics, Pillow and OpenCV all decode, under every suffix in use.
JPEG2000_SUFFIXES = frozenset({".j2c", ".j2k", ".jp2", ".jpc", ".jpf", ".jpx"})
IMAGE_SUFFIXES = JPEG2000_SUFFIXES | {
    ".avif", ".bmp", ".jfif", ".jpe", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp"
}  # fmt: skip
# Raw sensor data: what Pillow finds in such a file is a thumbnail.
RAW_SUFFIXES = frozenset({".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".raw", ".rw2"})
# What OpenCV decodes too, and prediction therefore takes.
OPENCV_SUFFIXES = frozenset({".apng", ".dib", ".gif", ".pbm", ".pgm", ".pnm", ".ppm", ".qoi", ".tga"})
# Pictures that training does not read: one with labels is an error, others are counted and named.
OTHER_SUFFIXES = RAW_SUFFIXES | OPENCV_SUFFIXES | {
    ".avifs", ".dcm", ".dds", ".exr", ".hdr", ".heic", ".heif", ".hif", ".ico", ".jxl", ".jxr", ".pcx", ".psd",
    ".ras", ".sgi", ".svg", ".xcf",
}  # fmt: skip
