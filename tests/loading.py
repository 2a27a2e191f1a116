"""Image directories, read as training reads them."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from train_pytorch_model.data.decode import without_warnings
from train_pytorch_model.data.labelled_images import open_labelled_images
from train_pytorch_model.data.memory import CacheSpace
from train_pytorch_model.ports.image_set import ImageSet


@dataclass(frozen=True)
class Loaded:
    """What was read.

    Attributes:
        files: the path of each of the m images that could be read.
        pixels: (m, height, width, 3) uint8.
        labels: (m,) int64.
        unreadable: ``path: why`` of each of the others.
    """

    files: list[str]
    pixels: Tensor
    labels: Tensor
    unreadable: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.files)


def load(image_set: ImageSet, cache: str = "auto") -> Loaded:
    """Read every image of a data set, in batches of three."""
    with without_warnings():
        images = open_labelled_images(image_set, cache, CacheSpace(1 << 30, math.inf))
        batches = list(images.batches(torch.arange(len(images)).split(3)))
        images.finish()
    indices = torch.cat([indices for indices, _ in batches])
    return Loaded(
        files=[image_set.file(index) for index in indices.tolist()],
        pixels=torch.cat([pixels for _, pixels in batches]),
        labels=images.labels[indices],
        unreadable=images.unreadable,
    )
