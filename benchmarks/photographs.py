"""Photographs as class folders: crops of those that scikit-image ships."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from benchmarks.command_line import BenchmarkError

PHOTOGRAPHS = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "hubble_deep_field.jpg",
    "motorcycle_left.png",
    "rocket.jpg",
)
"""Files of ``skimage/data``; each gives a class."""

SIZE = 224


def write_class_folders(
    count: int, seed: int, target: Path, formats: tuple[str, ...] = ("jpg", "png")
) -> None:
    """Write ``count`` crops of 224x224 pixels as ``target/class/number.format``.

    A crop is a square of 40 to 100 % of its photograph's shorter side, resized, with brightness,
    contrast and side (left or right) drawn at random.

    Args:
        count: how many, a multiple of ten, as many of each photograph.
        seed: of what is drawn; two seeds share no crop.
        target: a folder that does not exist yet.
        formats: which the files have in turn.

    Raises:
        BenchmarkError: scikit-image is not installed, or ships other photographs.
    """
    for name in PHOTOGRAPHS:
        whole = _photograph(name)
        folder = target / Path(name).stem
        folder.mkdir(parents=True)
        for number in range(count // len(PHOTOGRAPHS)):
            draws = np.random.default_rng([seed, PHOTOGRAPHS.index(name), number])
            file = folder / f"{number:05d}.{formats[number % len(formats)]}"
            _crop(whole, draws).save(file, quality=90)  # which PNG does not know and passes over


def _photograph(name: str) -> Image.Image:
    try:
        file = Path(str(distribution("scikit-image").locate_file(f"skimage/data/{name}")))
        with Image.open(file) as image:
            return image.convert("RGB")
    except (PackageNotFoundError, FileNotFoundError) as error:
        raise BenchmarkError(
            f"{error}; install what the benchmarks need: pip install -e '.[bench]'."
        ) from error


def _crop(whole: Image.Image, draws: np.random.Generator) -> Image.Image:
    side = int(min(whole.size) * draws.uniform(0.4, 1))
    left = int(draws.integers(whole.width - side + 1))
    top = int(draws.integers(whole.height - side + 1))
    box = (left, top, left + side, top + side)
    crop = whole.resize((SIZE, SIZE), Image.Resampling.BICUBIC, box)
    if draws.random() < 0.5:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast):
        crop = enhance(crop).enhance(draws.uniform(0.8, 1.2))
    return crop
