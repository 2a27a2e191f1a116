"""ImageSet → pixels and labels: every image decoded once, all of one size."""

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from train_pytorch_model.data.decode import UnreadableImageError, read_pixels
from train_pytorch_model.data.memory import uint8_array
from train_pytorch_model.data.threads import in_threads
from train_pytorch_model.errors import InvalidDatasetError, examples, shortened
from train_pytorch_model.ports.image_directory import take
from train_pytorch_model.ports.image_set import ImageSet

MAX_UNREADABLE = 0.01
"""The part of a data set that may be left out because it cannot be decoded."""

Progress = Callable[[int], object]
"""Is told how many more images have been read."""


@dataclass(frozen=True)
class LabelledImages:
    """The n decoded images of a data set.

    Attributes:
        image_set: the images that could be read, in order: n of them.
        pixels: (n, height, width, 3) uint8, RGB; on the CPU.
        labels: (n,) int64, indices into ``image_set.schema.classes``.
        unreadable: ``path: why`` of each image that was left out.
    """

    image_set: ImageSet
    pixels: Tensor
    labels: Tensor
    unreadable: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.pixels.shape[1], self.pixels.shape[2]

    @property
    def images_per_category(self) -> dict[str, int]:
        """How many images each declared category has, by name."""
        counts = Counter(self.labels.tolist())
        return {name: counts[index] for index, name in self.image_set.schema.categories.items()}


def load_labelled_images(image_set: ImageSet, progress: Progress) -> LabelledImages:
    """Decode every image of a data set whose images all have a label.

    A few unreadable images (at most MAX_UNREADABLE of them, never all of a class) are left out.

    Raises:
        InvalidDatasetError: more are unreadable, or the images are not of one size.
        OutOfMemoryError: the decoded images fit neither in memory nor on disk.
    """
    pixels = _Pixels(image_set)
    sizes: Counter[tuple[int, int]] = Counter()
    unreadable: dict[int, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of odd metadata; the pixels are what counts
        for index, outcome in enumerate(_decode_all(pixels, image_set)):
            if isinstance(outcome, str):
                unreadable[index] = outcome
            else:
                sizes[outcome] += 1
            progress(1)
    _check_unreadable(image_set, unreadable)
    _check_sizes(image_set, sizes)
    assert pixels.array is not None, "an image set without a readable image is refused above"
    readable, kept = image_set, pixels.array
    if unreadable:
        keep = np.delete(np.arange(len(image_set)), list(unreadable))
        readable, kept = take(image_set, keep), _closed_up(kept, keep)
    return LabelledImages(
        image_set=readable,
        pixels=kept,
        labels=torch.from_numpy(readable.labels),
        unreadable=tuple(f"{image_set.file(i)}: {why}" for i, why in unreadable.items()),
    )


class _Pixels:
    """(n, height, width, 3) uint8, made when the first readable image tells its size."""

    def __init__(self, image_set: ImageSet) -> None:
        self.array: Tensor | None = None
        self._image_set = image_set
        self._lock = Lock()

    def put(self, index: int, image: NDArray[np.uint8]) -> None:
        """Keep an image (height, width, 3), unless it is of another size than the first."""
        with self._lock:
            if self.array is None:
                shape = (len(self._image_set), *image.shape)
                self.array = uint8_array(shape, self._image_set.port)
        if image.shape == self.array.shape[1:]:
            self.array[index] = torch.from_numpy(image)


def _decode_all(pixels: _Pixels, image_set: ImageSet) -> Iterator[tuple[int, int] | str]:
    """Fill ``pixels``; yields for each image, in order, its (height, width) or why it is none."""

    def decode_one(index: int) -> tuple[int, int] | str:
        try:
            image = read_pixels(image_set, index)
        except UnreadableImageError as error:
            return str(error)
        pixels.put(index, image)
        return image.shape[0], image.shape[1]

    return in_threads(decode_one, len(image_set))


def _check_unreadable(image_set: ImageSet, unreadable: dict[int, str]) -> None:
    lost = sorted(unreadable)
    if not lost:
        return
    labels = image_set.labels
    readable = np.delete(labels, lost)
    emptied = sorted(set(labels[lost]) - set(readable))
    if len(lost) <= MAX_UNREADABLE * len(image_set) and not emptied:
        return
    named = examples(
        [f"{shortened(image_set.file(i))!r} ({shortened(unreadable[i])})" for i in lost]
    )
    classes = [repr(shortened(image_set.schema.classes[i])) for i in emptied]
    every = f", all those of {examples(classes)} among them" if emptied else ""
    raise InvalidDatasetError(
        f"{image_set.port}: {len(lost):,} of {len(image_set):,} images cannot be read{every}; "
        f"expected at most {MAX_UNREADABLE:.0%}, and some of each category: {named}. Replace or "
        "remove these files."
    )


def _check_sizes(image_set: ImageSet, sizes: Counter[tuple[int, int]]) -> None:
    if len(sizes) <= 1:
        return
    counts = examples(
        [f"{count:,} of {width}x{height}" for (height, width), count in sizes.most_common()]
    )
    raise InvalidDatasetError(
        f"{image_set.port}: images have {len(sizes):,} sizes (width x height): {counts}; expected "
        "one. Bring them to one size with Init Image Transformation (Resize, then Center crop) and "
        "Apply Image Transformation."
    )


def _closed_up(pixels: Tensor, keep: NDArray[Any]) -> Tensor:
    """Move the kept rows to the front, in place: a second array might not fit in memory."""
    for target, source in enumerate(keep):
        if target != source:
            pixels[target] = pixels[int(source)]
    return pixels[: len(keep)]
