"""An image file's bytes → RGB pixels: every mode, deep images, damaged and hostile files."""

import io
import itertools
import struct
import time
import tracemalloc
import warnings
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from tests.conftest import picture
from train_pytorch_model.data.decode import FORMATS, UnreadableImageError, decode, to_8_bits

MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
"""The modes of Pillow that have 8 bits a channel."""


def content_of(image: Image.Image, format: str, **options: object) -> bytes:
    """The file that Pillow writes."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def in_mode(mode: str) -> Image.Image:
    """A noisy picture in ``mode``, with every degree of transparency where it has one."""
    pixels = np.random.default_rng(3).integers(0, 256, (24, 20, 4), dtype=np.uint8)
    transparent = Image.fromarray(pixels)
    if mode in ("LA", "PA"):
        return transparent.convert("LA").convert(mode)
    return transparent.convert("RGB").convert(mode) if mode != "RGBA" else transparent


def by_pillow(content: bytes) -> NDArray[np.uint8]:
    """What the original sees."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of palettes with transparency
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(image.convert("RGB"))


def savable() -> Iterator[tuple[str, str]]:
    """The modes, and the formats among those that are decoded that this Pillow takes each through.

    Before version 13 it saves a YCbCr TIFF that it cannot read.
    """
    for mode, kind in itertools.product(MODES, FORMATS):
        try:
            by_pillow(content_of(in_mode(mode), kind))
        except (OSError, KeyError, ValueError):  # how Pillow says that it does not
            continue
        yield mode, kind


SAVABLE = list(savable())


def greyscale(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(height, width) → (height, width, 3)."""
    return np.repeat(values[:, :, np.newaxis], 3, axis=2)


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file that says it is an RGB image of this size, with ``chunks`` after the header."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n"]
    for name, data in ((b"IHDR", header), *chunks, (b"IEND", b"")):
        checksum = struct.pack(">I", zlib.crc32(name + data))
        parts += [struct.pack(">I", len(data)), name, data, checksum]
    return b"".join(parts)


@pytest.mark.parametrize(("mode", "format"), SAVABLE)
def test_8_bit_modes_are_what_pillow_converts_them_to(mode: str, format: str) -> None:
    """Alpha is dropped, palettes looked up, CMYK and YCbCr converted: to the very byte."""
    content = content_of(in_mode(mode), format)
    pixels = decode(content)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, by_pillow(content))


@pytest.mark.parametrize("transparency", [7, bytes(range(256))])
def test_palettes_with_transparency(transparency: object) -> None:
    """The colours below are what counts; Pillow's warning of them is no error."""
    content = content_of(in_mode("P"), "PNG", transparency=transparency)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as training does
        np.testing.assert_array_equal(decode(content), by_pillow(content))


def test_every_mode_is_saved_in_some_format() -> None:
    """So that the table above covers every mode."""
    assert {mode for mode, _ in SAVABLE} == set(MODES)


def test_rotation_and_further_pages_are_ignored() -> None:
    """As in the original: EXIF stays unread, and the first page is the image."""
    exif = Image.Exif()
    exif[0x0112] = 6
    wide = picture(1).resize((40, 20))
    content = content_of(wide, "JPEG", exif=exif)
    assert decode(content).shape == (20, 40, 3)
    np.testing.assert_array_equal(decode(content), by_pillow(content))
    pages = content_of(picture(1), "TIFF", save_all=True, append_images=[picture(2, size=8)])
    np.testing.assert_array_equal(decode(pages), np.asarray(picture(1)))


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_16_bits_are_scaled(format: str) -> None:
    """0…65535 → 0…255: each value over 257, rounded."""
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    options = {"irreversible": False} if format == "JPEG2000" else {}
    pixels = decode(content_of(Image.fromarray(ramp), format, **options))
    expected = np.rint(ramp / 257).astype(np.uint8)
    np.testing.assert_array_equal(pixels, greyscale(expected))
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert (np.diff(pixels[:, :, 0].ravel().astype(int)) >= 0).all()


def test_16_bits_of_the_other_byte_order() -> None:
    """A big-endian TIFF."""
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    swapped = Image.frombytes("I;16B", (256, 256), ramp.astype(">u2").tobytes())
    pixels = decode(content_of(swapped, "TIFF"))
    np.testing.assert_array_equal(pixels, greyscale(np.rint(ramp / 257).astype(np.uint8)))


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
def test_a_dark_16_bit_image_stays_dark(format: str) -> None:
    """Its range is that of its type, not of its values."""
    dark = np.full((4, 4), 200, dtype=np.uint16)
    assert decode(content_of(Image.fromarray(dark), format)).max() == 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([0, 1, 254, 255], np.int32), [0, 1, 254, 255]),
        (np.array([0, 257, 65278, 65535], np.int32), [0, 1, 254, 255]),
        (np.array([0, 500_000, 1_000_000, 250_000], np.int32), [0, 128, 255, 64]),
        (np.array([-100, 155, 0, -50], np.int32), [0, 255, 100, 50]),
        (np.array([-5, -5, -5, -5], np.int32), [0, 0, 0, 0]),
        (np.array([0, 0.25, 0.5, 1], np.float32), [0, 64, 128, 255]),
        (np.array([0, 1, 2, 255], np.float32), [0, 1, 2, 255]),
        (np.array([0, 257, 257 * 3, 65535], np.float32), [0, 1, 3, 255]),
        (np.array([-1, 0, 1, 0.5], np.float32), [0, 128, 255, 191]),
        (np.array([-3e38, 0, 3e38, 0], np.float32), [0, 128, 255, 128]),
    ],
)
def test_32_bit_images_are_scaled(values: NDArray[np.float32], expected: list[int]) -> None:
    """By the smallest usual range that holds them, else between their own bounds."""
    content = content_of(Image.fromarray(values.reshape(2, 2)), "TIFF")
    wanted = np.array(expected, np.uint8).reshape(2, 2)
    np.testing.assert_array_equal(decode(content), greyscale(wanted))


def test_a_float_gradient_is_monotone() -> None:
    """And uses all 256 values."""
    ramp = np.linspace(0, 1, 4096, dtype=np.float32).reshape(64, 64)
    flat = to_8_bits(ramp).ravel().astype(int)
    assert set(flat) == set(range(256))
    assert (np.diff(flat) >= 0).all()


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_scaling_takes_little_memory(kind: type) -> None:
    """Many images are decoded at a time, and a small file may hold a large one."""
    values = np.zeros((3000, 4000), kind)
    tracemalloc.start()
    try:
        to_8_bits(values)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5 * values.size


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_are_unreadable(value: float) -> None:
    """No number can be made of them."""
    image = Image.fromarray(np.array([[0.5, value]], np.float32))
    with pytest.raises(UnreadableImageError, match="not finite numbers"):
        decode(content_of(image, "TIFF"))


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("PNG", {}),
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("PPM", {}),
        ("JPEG2000", {}),
    ],
)
def test_truncated_files_are_unreadable(format: str, options: dict[str, object]) -> None:
    """At any length, and never padded with a constant."""
    content = content_of(picture(5), format, **options)
    decode(content)
    total = len(content)
    lengths = {0, 1, 2, 8, 20, total - 20, total - 5, total - 2, total - 1}
    for length in sorted(lengths | {total * part // 20 for part in range(20)}):
        with pytest.raises(UnreadableImageError):
            decode(content[:length])


def test_every_cut_of_a_one_colour_image_is_unreadable() -> None:
    """Also between two chunks or markers, where the rest looks whole to a decoder."""
    image = Image.new("RGB", (32, 32), (10, 20, 30))
    for kind in ("PNG", "JPEG", "BMP", "WEBP", "JPEG2000"):
        content = content_of(image, kind)
        for length in range(0, len(content), 7 if kind == "BMP" else 1):
            with pytest.raises(UnreadableImageError):
                decode(content[:length])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 4096,
        b"not an image",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"<svg/>",
        b"%PDF-1.7\n",
        png(4, 4),
        png(4, 4, (b"IDAT", b"garbage")),
        png(0, 4, (b"IDAT", zlib.compress(b"\x00" * 4))),
    ],
)
def test_other_content_is_unreadable(content: bytes) -> None:
    """Whatever Pillow makes of it, it is one error."""
    with pytest.raises(UnreadableImageError):
        decode(content)


@pytest.mark.parametrize("format", ["EPS", "MSP", "SPIDER", "BLP", "DDS", "PDF"])
def test_formats_that_are_no_pictures_are_refused(format: str) -> None:
    """EPS above all, which Pillow would hand to Ghostscript."""
    mode = {"MSP": "1", "SPIDER": "F", "BLP": "P"}.get(format, "RGB")
    content = content_of(picture(1).convert(mode), format)
    with pytest.raises(UnreadableImageError, match="not an image of a known format"):
        decode(content)


@pytest.mark.parametrize("size", [(60_000, 60_000), (9_500, 9_500), (2**31 - 1, 2**31 - 1)])
def test_bombs_are_refused_by_their_header(size: tuple[int, int]) -> None:
    """A hundred bytes must not take gigabytes and minutes."""
    content = png(*size, (b"IDAT", zlib.compress(b"\x00" * 100)))
    start = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as training does
        with pytest.raises(UnreadableImageError, match="pixels"):
            decode(content)
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("compressed", [False, True])
def test_a_png_with_much_text_loads(compressed: bool) -> None:
    """Cameras and editors write profiles of megabytes."""
    text = PngImagePlugin.PngInfo()
    text.add_text("history", "x" * 2_000_000, zip=compressed)
    content = content_of(picture(1), "PNG", pnginfo=text)
    np.testing.assert_array_equal(decode(content), np.asarray(picture(1)))


def test_a_whole_png_may_be_followed_by_something() -> None:
    """Some tools append; all pixels are there."""
    content = content_of(picture(1), "PNG") + b"\x00trailer"
    np.testing.assert_array_equal(decode(content), np.asarray(picture(1)))
