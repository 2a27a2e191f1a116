"""Decoded images → batches on the device, in an order that the seed decides."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from train_pytorch_model.data.labelled_images import LabelledImages
from train_pytorch_model.params import seed_of_64_bits

MEAN = 0.5
STD = 0.5
"""Pixels are scaled to 0…1, then normalised by these; a trained model's spec says so too."""

Batch = tuple[Tensor, Tensor]
"""Images (b, 3, height, width) float32, about -1…1, and labels (b,) int64; on the device."""


def normalise(
    pixels: Tensor, memory_format: torch.memory_format = torch.contiguous_format
) -> Tensor:
    """``(x / 255 - 0.5) / 0.5``: (b, height, width, 3) uint8 → (b, 3, height, width) float32."""
    images = pixels.permute(0, 3, 1, 2).to(torch.float32, memory_format=memory_format)
    return images.div_(255).sub_(MEAN).div_(STD)


class TrainingBatches:
    """The training images, shuffled anew in each epoch.

    The last incomplete batch of an epoch is left out, unless it is the only one.
    """

    def __init__(
        self, images: LabelledImages, batch_size: int, seed: int, device: torch.device
    ) -> None:
        self.images = images
        self.batch_size = min(batch_size, len(images))
        self.seed = seed
        self.device = device

    def __len__(self) -> int:
        """The batches of an epoch."""
        return len(self.images) // self.batch_size

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, counted from 0; the same for the same seed and epoch."""
        order = permutation(len(self.images), self.seed, epoch)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            chosen = order[start : start + self.batch_size]
            yield to_device(self.images, chosen, self.device)


class ValidationBatches:
    """The validation images in their order, all of them."""

    def __init__(self, images: LabelledImages, batch_size: int, device: torch.device) -> None:
        self.images = images
        self.batch_size = batch_size
        self.device = device

    def __len__(self) -> int:
        """The batches of a pass."""
        return math.ceil(len(self.images) / self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, len(self.images), self.batch_size):
            chosen = torch.arange(start, min(start + self.batch_size, len(self.images)))
            yield to_device(self.images, chosen, self.device)


def permutation(count: int, seed: int, epoch: int) -> Tensor:
    """(count,) int64: the order of an epoch's images, a function of the seed and the epoch."""
    generator = torch.Generator()
    state = np.random.SeedSequence((seed_of_64_bits(seed), epoch)).generate_state(1, np.uint64)
    generator.manual_seed(int(state[0]))
    return torch.randperm(count, generator=generator)


def to_device(images: LabelledImages, chosen: Tensor, device: torch.device) -> Batch:
    """The images at ``chosen`` (b,) int64 as a batch; only bytes travel to the device."""
    pixels = images.pixels[chosen].to(device, non_blocking=True)
    labels = images.labels[chosen].to(device, non_blocking=True)
    return normalise(pixels), labels
