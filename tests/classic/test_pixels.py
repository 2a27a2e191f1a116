"""Both sides decode an 8-bit image to the same RGB pixels, whatever its format."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train_pytorch_model.data.decode import decode

EXIF_ORIENTATION = 0x0112


def picture() -> Image.Image:
    """Noise over a gradient: edges for the JPEG decoder, every value of a channel."""
    ramp = np.linspace(0, 255, 40 * 30 * 3).reshape(30, 40, 3)
    noise = np.random.default_rng(0).integers(-40, 40, ramp.shape)
    return Image.fromarray(np.clip(ramp + noise, 0, 255).astype(np.uint8))


def alpha() -> Image.Image:
    """An alpha channel of every value."""
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (30, 40), np.uint8))


def with_alpha(mode: str) -> Image.Image:
    """The picture in a mode that has an alpha channel."""
    image = picture().convert(mode)
    image.putalpha(alpha())
    return image


def palette() -> Image.Image:
    """The picture in 200 colours."""
    return picture().quantize(200)


def rotated(path: Path) -> None:
    """A photograph that is to be shown turned by a quarter, which training is not to do."""
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    picture().save(path, exif=exif)


def pages(path: Path) -> None:
    """Two pages of other sizes; the first counts."""
    second = picture().resize((7, 9))
    picture().save(path, save_all=True, append_images=[second])


# Not among them is the uncompressed YCbCr TIFF: the original's Pillow 10 takes its channels for
# those of RGBX and so makes another picture of it.
WRITERS: dict[str, Callable[[Path], None]] = {
    "1.png": lambda path: picture().convert("1").save(path),
    "1.tif": lambda path: picture().convert("1").save(path, compression="group4"),
    "L.png": lambda path: picture().convert("L").save(path),
    "LA.png": lambda path: with_alpha("LA").save(path),
    "P.png": lambda path: palette().save(path),
    "P-4-bits.png": lambda path: picture().quantize(16).save(path, bits=4),
    "P-transparent-index.png": lambda path: palette().save(path, transparency=3),
    "P-transparent-table.png": lambda path: palette().save(path, transparency=bytes(range(200))),
    "P.bmp": lambda path: palette().save(path),
    "P.tif": lambda path: palette().save(path),
    "RGB.png": lambda path: picture().save(path),
    "RGB-transparent.png": lambda path: picture().save(path, transparency=(0, 0, 0)),
    "RGBA.png": lambda path: with_alpha("RGBA").save(path),
    "RGBA.tif": lambda path: with_alpha("RGBA").save(path),
    "RGBA.webp": lambda path: with_alpha("RGBA").save(path, lossless=True),
    "CMYK.jpg": lambda path: picture().convert("CMYK").save(path),
    "CMYK.tif": lambda path: picture().convert("CMYK").save(path),
    "YCbCr-4-2-0.jpg": lambda path: picture().save(path, quality=75, subsampling="4:2:0"),
    "YCbCr-4-4-4.jpg": lambda path: picture().save(path, quality=95, subsampling="4:4:4"),
    "YCbCr-progressive.jpeg": lambda path: picture().save(path, progressive=True),
    "YCbCr-in-JPEG.tif": lambda path: picture().convert("YCbCr").save(path, compression="jpeg"),
    "LAB.tif": lambda path: Image.merge("LAB", picture().split()).save(path),
    "greyscale.jpg": lambda path: picture().convert("L").save(path),
    "EXIF-rotated.jpg": rotated,
    "pages.tif": pages,
    "deflated.tiff": lambda path: picture().save(path, compression="tiff_adobe_deflate"),
    "lossless.webp": lambda path: picture().save(path, lossless=True),
    "lossy.webp": lambda path: picture().save(path, quality=60),
    "RGB.bmp": lambda path: picture().save(path),
    "RGB.ppm": lambda path: picture().save(path),
    "L.pgm": lambda path: picture().convert("L").save(path),
    "wrong-ending.png": lambda path: picture().save(path, format="JPEG"),
}


@pytest.fixture(scope="module")
def folder(original, tmp_path_factory) -> Path:
    """Each image beside the original's pixels of it."""
    folder = tmp_path_factory.mktemp("images")
    for name, write in WRITERS.items():
        write(folder / name)
    original.probe("pixels", folder, *(folder / name for name in WRITERS))
    return folder


# Pillow asks for RGBA, which would keep the transparency that training is to drop.
@pytest.mark.filterwarnings("ignore:Palette images with Transparency")
@pytest.mark.parametrize("name", WRITERS)
def test_pixels_are_equal(folder, name):
    """Not nearly equal: every pixel."""
    ours = decode((folder / name).read_bytes())
    np.testing.assert_array_equal(ours, np.load(folder / f"{name}.npy"))
    assert ours.shape == (30, 40, 3)
