"""An image file's bytes → RGB pixels, as the original's Pillow makes them."""

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from train_pytorch_model.errors import OutOfMemoryError, shortened
from train_pytorch_model.ports.image_bytes import image_bytes
from train_pytorch_model.ports.image_set import ImageSet
from train_pytorch_model.ports.paths import reason

Image.init()

# The formats that hold pictures; among the others of Pillow is EPS, which runs Ghostscript.
_PICTURES = "JPEG PNG BMP DIB PPM TIFF WEBP GIF JPEG2000 AVIF ICO PCX PSD QOI SGI TGA"
FORMATS = tuple(name for name in _PICTURES.split() if name in Image.OPEN)

MAX_PIXELS = 89_478_485
"""The largest image that is decoded, Pillow's own warning limit: 256 MB as RGB."""

MAX_SCANS = 50
"""The most scans of a JPEG of MAX_PIXELS, more of a smaller one; a progressive one has ten.

A scan takes a hundred bytes in a file and goes over all pixels, 0.2 s at that size.
"""

SCANS = tuple(bytes((0xFF, 0xDA, 0, 6 + 2 * n, n)) for n in (1, 2, 3, 4))
"""How a scan of n components begins."""

_WITH_SCANS = ("JPEG", "MPO")

STRIP_PIXELS = 1 << 20
"""How much of a deep image is scaled at a time: as 64-bit numbers, all of it would take 2 GB."""

ENDS = {"PNG": b"IEND\xaeB`\x82", "JPEG2000": b"\xff\xd9"}
"""What every whole file of a format holds at its end, and Pillow does without."""

# PNGs of cameras carry profiles and text of more than Pillow's 1 MB a chunk; as in the original
# they load. The total is still bounded by MAX_TEXT_MEMORY (64 MB).
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY


class UnreadableImageError(Exception):
    """An image cannot be decoded; the message says why in a few words."""


def read_pixels(image_set: ImageSet, index: int) -> NDArray[np.uint8]:
    """The pixels of one image, (height, width, 3) uint8, RGB.

    Raises:
        UnreadableImageError: it cannot be read or decoded; the message says why.
        OutOfMemoryError: there is no memory to decode it.
    """
    return decoded(read_content(image_set, index), image_set, index)


def read_content(image_set: ImageSet, index: int) -> bytes:
    """The file of one image, not decoded.

    Raises:
        UnreadableImageError: it cannot be read; the message says why.
        OutOfMemoryError: there is no memory for it.
    """
    try:
        return image_bytes(image_set, index)
    except OSError as error:
        raise UnreadableImageError(reason(error)) from error
    except MemoryError as error:
        raise _too_little_memory(image_set, index) from error


def decoded(content: bytes, image_set: ImageSet, index: int) -> NDArray[np.uint8]:
    """``decode`` of the file of one image.

    Raises:
        UnreadableImageError: as ``decode``.
        OutOfMemoryError: there is no memory to decode it.
    """
    try:
        return decode(content)
    except MemoryError as error:
        raise _too_little_memory(image_set, index) from error


def _too_little_memory(image_set: ImageSet, index: int) -> OutOfMemoryError:
    return OutOfMemoryError(
        f"{image_set.port}: found too little memory to decode "
        f"{shortened(image_set.file(index))!r}, expected enough for several images at a time; "
        "choose a larger compute, or make the images smaller."
    )


def decode(content: bytes) -> NDArray[np.uint8]:
    """Decode an image to (height, width, 3) uint8, RGB.

    8-bit modes become RGB by Pillow's ``convert("RGB")``: alpha and EXIF rotation are ignored and
    the first page of several is used, as in the original. Deeper modes are scaled to 8 bits
    (see ``to_8_bits``), where the original clips them.

    Raises:
        UnreadableImageError: it is not an image of a known format, is damaged or truncated, or has
            more than MAX_PIXELS pixels, or more scans than MAX_SCANS at that size.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UnreadableImageError(f"it has {image.width}x{image.height} pixels")
            scans = sum(map(content.count, SCANS)) if image.format in _WITH_SCANS else 0
            if scans * image.width * image.height > MAX_SCANS * MAX_PIXELS:
                raise UnreadableImageError(f"it has {scans:,} scans")
            image.load()
            if ENDS.get(str(image.format), b"") not in content:
                raise UnreadableImageError("the file is truncated")
            if image.mode.startswith(("I", "F")):
                deep = np.asarray(image)
                if image.format == "PPM" and image.mode == "I":
                    deep = deep.astype(np.uint16)  # Pillow scales PGM to 16 bits, whatever its own
                return np.repeat(to_8_bits(deep)[:, :, np.newaxis], 3, axis=2)
            return np.array(image.convert("RGB"))
    except UnreadableImageError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises anything on damaged files: struct.error, KeyError, …
        raise UnreadableImageError(_why(error)) from error


@contextmanager
def without_warnings() -> Iterator[None]:
    """Within the block, Pillow does not warn of odd metadata: the pixels are what counts."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def to_8_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale the values of a deep greyscale image, (height, width), to 0…255.

    16-bit images (``uint16``) use the whole range of their type. 32-bit integers and floats say
    nothing of their range, so the smallest usual one that holds all values is taken: 0…1 (floats),
    0…255, 0…65535; values beyond all of them are stretched between their minimum and maximum.

    Raises:
        UnreadableImageError: a value is infinite or not a number.
    """
    rows = max(1, STRIP_PIXELS // values.shape[1])
    strips = [slice(row, row + rows) for row in range(0, len(values), rows)]
    if not all(np.isfinite(values[strip]).all() for strip in strips):
        raise UnreadableImageError("it has pixels that are not finite numbers")
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind == "u":
        low, high = 0.0, float(np.iinfo(values.dtype).max)
    else:
        usual = (1.0, 255.0, 65535.0) if values.dtype.kind == "f" else (255.0, 65535.0)
        fitting = [limit for limit in usual if low >= 0 and high <= limit]
        if fitting:
            low, high = 0.0, fitting[0]
    scale = 255.0 / (high - low) if high > low else 0.0
    result = np.empty(values.shape, np.uint8)
    for strip in strips:
        result[strip] = np.rint((values[strip].astype(np.float64) - low) * scale)
    return result


def _why(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "it is not an image of a known format"
    text = str(error.args[0]) if error.args else type(error).__name__
    return text.split(os.linesep, 1)[0]
