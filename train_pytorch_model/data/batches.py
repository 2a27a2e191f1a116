"""Images → batches on the device, in an order that the seed decides."""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from train_pytorch_model.data.labelled_images import LabelledImages
from train_pytorch_model.params import seed_of_64_bits

MEAN = 0.5
STD = 0.5
"""Pixels are scaled to 0…1, then normalised by these; a trained model's spec says so too."""

EVALUATED_AT_ONCE = 256
"""Images of a batch that is only evaluated: small ones take long one by one.

Not more of tiny ones: a Swin Transformer pads them to whole windows, so that each takes as much as
a larger one.
"""

EVALUATION_PIXELS = EVALUATED_AT_ONCE * 28 * 28
"""And their pixels, where those of a training batch are fewer."""

DEVICE_FRACTION = 0.25
"""The part of a GPU's free memory that the images of each of the two data sets may take.

Training needs the rest, which it has not taken yet; sending images batch by batch costs little.
"""

SENT_AT_ONCE = 256

Item = TypeVar("Item")


class Batch(NamedTuple):
    """A batch on the device.

    Attributes:
        number: its place in the epoch, from 0.
        images: (b, 3, height, width) float32, about -1…1.
        labels: (b,) int64.
    """

    number: int
    images: Tensor
    labels: Tensor


def normalise(
    pixels: Tensor, memory_format: torch.memory_format = torch.contiguous_format
) -> Tensor:
    """``(x / 255 - 0.5) / 0.5``: (b, height, width, 3) uint8 → (b, 3, height, width) float32."""
    return scale(pixels, memory_format).sub_(MEAN).div_(STD)


def scale(pixels: Tensor, memory_format: torch.memory_format) -> Tensor:
    """``x / 255``: (b, height, width, 3) uint8 → (b, 3, height, width) float32."""
    images = pixels.permute(0, 3, 1, 2).to(torch.float32, memory_format=memory_format)
    return images.div_(255)


class Labelled(NamedTuple):
    """Images on the device as they are kept: (r, height, width, 3) uint8, and (r,) int64."""

    pixels: Tensor
    labels: Tensor


class Source(Protocol):
    """Where the pixels of batches come from."""

    images: LabelledImages

    def batches(self, chosen: Sequence[Tensor]) -> Iterator[Labelled]:
        """The readable images of each batch of indices; see ``LabelledImages.batches``."""

    def finish(self) -> None:
        """Read what no batch has wanted yet; see ``LabelledImages.finish``."""


class FromHost:
    """Pixels travel to the device batch by batch, as bytes."""

    def __init__(self, images: LabelledImages, device: torch.device) -> None:
        self.images = images
        self._device = device

    def batches(self, chosen: Sequence[Tensor]) -> Iterator[Labelled]:
        """Pixels and labels of each batch."""
        read = self.images.batches(chosen)
        # What has to come from a disk is read while the batch before is trained on.
        for indices, pixels in read if self.images.all_in_memory else _one_ahead(read):
            labels = self.images.labels[indices]
            yield Labelled(_sent(pixels, self._device), _sent(labels, self._device))

    def finish(self) -> None:
        """Read what no batch has wanted yet."""
        self.images.finish()


class OnDevice:
    """Pixels that stay on the device once they have been there, and then there alone."""

    def __init__(self, images: LabelledImages, device: torch.device) -> None:
        self.images = images
        self._device = device
        self._labels = images.labels.to(device)
        shape = (len(images), *images.size, 3)
        self._rows = torch.empty(shape, dtype=torch.uint8, device=device)
        self._there = np.zeros(len(images), bool)
        self._all_there = False

    def batches(self, chosen: Sequence[Tensor]) -> Iterator[Labelled]:
        """Pixels and labels of each batch."""
        if self._all_there:
            for batch in chosen:
                indices = _sent(batch[torch.from_numpy(self._there[batch.numpy()])], self._device)
                yield Labelled(self._rows[indices], self._labels[indices])
            return
        for host_indices, host_pixels in self.images.batches(chosen):
            indices, pixels = _sent(host_indices, self._device), _sent(host_pixels, self._device)
            self._rows.index_copy_(0, indices, pixels)
            self._there[host_indices.numpy()] = True
            yield Labelled(pixels, self._labels[indices])

    def finish(self) -> None:
        """Read and send what no batch has wanted yet."""
        self.images.finish()
        if not self._all_there:
            missing = np.flatnonzero(~self._there)
            for _ in self.batches(_parts(torch.from_numpy(missing), SENT_AT_ONCE)):
                pass  # each batch has been put into its rows
            self._all_there = True
            self.images.forget_pixels()


def source_of(images: LabelledImages, device: torch.device) -> Source:
    """The fastest source of batches that there is room for."""
    size = len(images) * math.prod(images.size) * 3
    if device.type == "cuda" and size <= DEVICE_FRACTION * torch.cuda.mem_get_info(device)[0]:
        return OnDevice(images, device)
    return FromHost(images, device)


class TrainingBatches:
    """The training images, shuffled anew in each epoch.

    The last incomplete batch of an epoch is left out, unless it is the only one. An image that
    cannot be read is left out of its batch; a batch that has fewer than two images left of more is
    left out too, as batch normalisation needs two.

    Args:
        source: of the images.
        batch_size: images in a batch, at least 1; no more than there are.
        seed: of the order.
        memory_format: of the images.
        meanwhile: other images that are being read; what is wrong with them ends the run too.
    """

    def __init__(
        self,
        source: Source,
        batch_size: int,
        seed: int,
        memory_format: torch.memory_format = torch.contiguous_format,
        meanwhile: LabelledImages | None = None,
    ) -> None:
        self.source = source
        self._meanwhile = source.images if meanwhile is None else meanwhile
        self.batch_size = min(batch_size, len(source.images))
        self._seed = seed
        self._memory_format = memory_format

    def __len__(self) -> int:
        """The batches of an epoch."""
        return len(self.source.images) // self.batch_size

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, counted from 0; the same for the same seed and epoch.

        Args:
            epoch: which one.
            first: the number of the first batch that is wanted.

        Raises:
            InvalidDatasetError, StorageTimeoutError: as ``LabelledImages.batches``.
        """
        order = permutation(len(self.source.images), self._seed, epoch)
        chosen = _parts(order, self.batch_size)[first : len(self)]
        for number, batch in enumerate(self.source.batches(chosen), first):
            self._meanwhile.check()
            if len(batch.labels) >= min(2, self.batch_size):
                yield Batch(number, normalise(batch.pixels, self._memory_format), batch.labels)
        self.source.finish()


class ValidationBatches:
    """The validation images in their order, all of them that can be read.

    Args:
        source: of the images.
        batch_size: images in a batch, at least 1; see ``evaluation_batch_size``.
        memory_format: of the images.
    """

    def __init__(
        self,
        source: Source,
        batch_size: int,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        self.source = source
        self.batch_size = batch_size
        self._memory_format = memory_format

    def __len__(self) -> int:
        """The batches of a pass."""
        return math.ceil(len(self.source.images) / self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        chosen = _parts(torch.arange(len(self.source.images)), self.batch_size)
        for number, batch in enumerate(self.source.batches(chosen)):
            if len(batch.labels):
                yield Batch(number, normalise(batch.pixels, self._memory_format), batch.labels)
        self.source.finish()


def evaluation_batch_size(
    batch_size: int, training_size: tuple[int, int], size: tuple[int, int]
) -> int:
    """How many images are evaluated at once: of as many pixels as a training batch has.

    Of EVALUATION_PIXELS, if those are more; but not of more images than EVALUATED_AT_ONCE, or than
    a training batch has.

    Args:
        batch_size: images in a training batch.
        training_size: their (height, width).
        size: the (height, width) of the images to evaluate.
    """
    pixels = max(batch_size * math.prod(training_size), EVALUATION_PIXELS)
    return max(1, min(pixels // math.prod(size), max(batch_size, EVALUATED_AT_ONCE)))


def permutation(count: int, seed: int, epoch: int) -> Tensor:
    """(count,) int64: the order of an epoch's images, a function of the seed and the epoch."""
    generator = torch.Generator()
    state = np.random.SeedSequence((seed_of_64_bits(seed), epoch)).generate_state(1, np.uint64)
    generator.manual_seed(int(state[0]))
    return torch.randperm(count, generator=generator)


def _parts(indices: Tensor, length: int) -> Sequence[Tensor]:
    """``indices`` in parts of ``length``, the last of which may be shorter."""
    parts: Sequence[Tensor] = indices.split(length)  # type: ignore[no-untyped-call]  # torch's
    return parts


def _sent(values: Tensor, device: torch.device) -> Tensor:
    """``values`` on the device; the host does not wait for the copy, as it is pinned."""
    if device.type == "cpu":
        return values
    return values.pin_memory().to(device, non_blocking=True)


def _one_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """``items``, the next of which is made, in a thread, while this one is used."""
    end = object()
    with ThreadPoolExecutor(1, "batches") as pool:
        future = pool.submit(next, items, end)
        while (item := future.result()) is not end:
            future = pool.submit(next, items, end)
            yield item  # type: ignore[misc]  # it is not the end
