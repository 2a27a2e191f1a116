"""Operations on pixels, with Pillow: what each operation of a transformation does to an image.

Their names are torchvision's, which the designer applies; what draws nothing gives its very
pixels. Importing torch takes longer than transforming hundreds of images, so it is not used.
"""

import math
from collections.abc import Callable, Iterable

import numpy as np
from PIL import Image
from PIL.Image import Resampling, Transform, Transpose

from train_pytorch_model.data.decode import MAX_PIXELS
from train_pytorch_model.params import seed_of_64_bits
from train_pytorch_model.ports.transformation_directory import Operation


class TransformationError(Exception):
    """An image cannot be transformed; the message says why in a few words."""


def draws(seed: int, index: int) -> np.random.Generator:
    """What the random operations on image ``index`` draw from; no other image's draws move it."""
    return np.random.default_rng(np.random.SeedSequence((seed_of_64_bits(seed), index)))


def transformed(
    image: Image.Image, operations: Iterable[Operation], draws: np.random.Generator
) -> Image.Image:
    """An RGB image after each of ``operations`` in turn, RGB too; ``image`` stays as it is.

    Raises:
        TransformationError: a random crop is larger than the image, or an image would have more
            than MAX_PIXELS pixels.
    """
    for operation in operations:
        image = _ACTIONS[operation.name](image, draws, **operation.arguments)
    return image


def _resize(image: Image.Image, _: np.random.Generator, size: int) -> Image.Image:
    """The shorter edge becomes ``size``; the aspect ratio stays, the longer edge rounded down."""
    shorter, longer = sorted(image.size)
    other = int(size * longer / shorter)
    width, height = (size, other) if image.width <= image.height else (other, size)
    return _resized(image, width, height)


def _center_crop(image: Image.Image, _: np.random.Generator, size: int) -> Image.Image:
    """The middle ``size`` x ``size`` pixels; black around an image that has fewer."""
    left, top = (
        -((size - edge) // 2) if edge < size else round((edge - size) / 2) for edge in image.size
    )
    return _cropped(image, left, top, size, size)


def _pad(image: Image.Image, _: np.random.Generator, padding: int) -> Image.Image:
    """``padding`` black pixels on each side."""
    width, height = (edge + 2 * padding for edge in image.size)
    return _cropped(image, -padding, -padding, width, height)


def _color_jitter(image: Image.Image, _: np.random.Generator) -> Image.Image:
    """Nothing: the designer's Color jitter gives torchvision's no strength, which changes none."""
    return image


def _grayscale(image: Image.Image, _: np.random.Generator, num_output_channels: int) -> Image.Image:
    """Three equal channels, whatever ``num_output_channels``: networks take RGB."""
    return image.convert("L").convert("RGB")


def _random_resized_crop(image: Image.Image, draws: np.random.Generator, size: int) -> Image.Image:
    """8 % to 100 % of the area, 3:4 to 4:3, anywhere in the image, as ``size`` x ``size`` pixels.

    Where ten draws do not fit into the image, its middle, as much as those ratios allow.
    """
    for _ in range(10):
        area = draws.uniform(0.08, 1) * image.width * image.height
        ratio = math.exp(draws.uniform(math.log(3 / 4), math.log(4 / 3)))
        width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < width <= image.width and 0 < height <= image.height:
            left, top = (
                int(draws.integers(0, whole - part, endpoint=True))
                for whole, part in ((image.width, width), (image.height, height))
            )
            break
    else:
        width = min(image.width, round(image.height * 4 / 3))
        height = min(image.height, round(image.width * 4 / 3))
        left, top = (image.width - width) // 2, (image.height - height) // 2
    return _resized(_cropped(image, left, top, width, height), size, size)


def _random_crop(image: Image.Image, draws: np.random.Generator, size: int) -> Image.Image:
    """``size`` x ``size`` pixels from anywhere in the image."""
    if size > min(image.size):
        raise TransformationError(
            f"a random crop of {size}x{size} does not fit into {image.width}x{image.height} pixels"
        )
    left, top = (int(draws.integers(0, edge - size, endpoint=True)) for edge in image.size)
    return _cropped(image, left, top, size, size)


def _random_horizontal_flip(
    image: Image.Image, draws: np.random.Generator, p: float
) -> Image.Image:
    return image.transpose(Transpose.FLIP_LEFT_RIGHT) if draws.random() < p else image


def _random_vertical_flip(image: Image.Image, draws: np.random.Generator, p: float) -> Image.Image:
    return image.transpose(Transpose.FLIP_TOP_BOTTOM) if draws.random() < p else image


def _random_rotation(image: Image.Image, draws: np.random.Generator, degrees: float) -> Image.Image:
    """About the middle, the nearest pixel each, black where there is none; the size stays."""
    return image.rotate(draws.uniform(-degrees, degrees))


def _random_grayscale(image: Image.Image, draws: np.random.Generator, p: float) -> Image.Image:
    return _grayscale(image, draws, 3) if draws.random() < p else image


def _random_perspective(
    image: Image.Image, draws: np.random.Generator, distortion_scale: float, p: float
) -> Image.Image:
    """Each corner moves inwards, by up to ``distortion_scale`` times half the edges."""
    if draws.random() >= p:
        return image
    right, bottom = image.width - 1, image.height - 1
    corners = np.array([(0, 0), (right, 0), (right, bottom), (0, bottom)])
    limits = [int(distortion_scale * (edge // 2)) for edge in image.size]
    inwards = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)])
    moved = corners + inwards * draws.integers(0, limits, (4, 2), endpoint=True)
    # Pillow asks for the a … h that take (x, y) of the result to (ax + by + c) / (gx + hy + 1) and
    # (dx + ey + f) / (gx + hy + 1) of the image: two equations a corner.
    equations = []
    for (x, y), (u, v) in zip(moved, corners, strict=True):
        equations.append((x, y, 1, 0, 0, 0, -u * x, -u * y))
        equations.append((0, 0, 0, x, y, 1, -v * x, -v * y))
    # Least squares: the corners of an image that is one pixel wide coincide. Rounded, so that
    # corners which have not moved leave the very pixels.
    solution = np.linalg.lstsq(np.array(equations, float), corners.ravel(), rcond=None)[0]
    return image.transform(
        image.size, Transform.PERSPECTIVE, solution.round(12).tolist(), Resampling.BILINEAR
    )


_ACTIONS: dict[str, Callable[..., Image.Image]] = {
    "Resize": _resize,
    "CenterCrop": _center_crop,
    "Pad": _pad,
    "ColorJitter": _color_jitter,
    "Grayscale": _grayscale,
    "RandomResizedCrop": _random_resized_crop,
    "RandomCrop": _random_crop,
    "RandomHorizontalFlip": _random_horizontal_flip,
    "RandomVerticalFlip": _random_vertical_flip,
    "RandomRotation": _random_rotation,
    "RandomAffine": _random_rotation,  # with nothing but degrees, it is one
    "RandomGrayscale": _random_grayscale,
    "RandomPerspective": _random_perspective,
}


def _cropped(image: Image.Image, left: int, top: int, width: int, height: int) -> Image.Image:
    """The box of ``image``, black where it lies outside."""
    _check_size(width, height)
    return image.crop((left, top, left + width, top + height))


def _resized(image: Image.Image, width: int, height: int) -> Image.Image:
    _check_size(width, height)
    return image.resize((width, height), Resampling.BILINEAR)


def _check_size(width: int, height: int) -> None:
    if not 0 < width * height <= MAX_PIXELS:
        raise TransformationError(f"it would become {width}x{height} pixels")
