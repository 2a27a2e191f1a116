"""A network and images → probabilities, a few images at a time."""

import math
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from train_pytorch_model.data.batches import normalise, scale
from train_pytorch_model.data.decode import UnreadableImageError, read_pixels
from train_pytorch_model.data.threads import decoding_threads, in_threads
from train_pytorch_model.errors import InvalidDatasetError, Problems, shortened
from train_pytorch_model.models.network import check_batch
from train_pytorch_model.ports.image_set import ImageSet
from train_pytorch_model.ports.model_directory import ModelDirectory
from train_pytorch_model.report.console import progress_bar

BATCH = 128
"""Images that go through the network at once, if they are small."""

BATCH_PIXELS = 1 << 19
GPU_BATCH_PIXELS = 1 << 24
"""The pixels of a batch. A CPU is fastest where what a layer gives stays in its cache."""


def probabilities(
    model: ModelDirectory, net: nn.Module, images: ImageSet
) -> Iterator[NDArray[np.float32]]:
    """(b, classes) for some images at a time, in order.

    Threads read and decode; others have the network compute, each for images of its own: its
    operations run in one thread each, which is faster than sharing each of them, and much so on a
    busy machine. On a GPU there is one of these, as each would find out anew how to compute there.

    Raises:
        InvalidDatasetError: images cannot be read: all are counted, the first ten named; or
            they are too small for the network.
    """
    on_gpu = next(net.parameters()).is_cuda
    at_once = 1 if on_gpu else torch.get_num_threads()
    progress = Lock()
    count = len(images)
    chunk = max(1, min(BATCH, count // (4 * at_once)))  # small enough to keep all of them busy
    problems = Problems()

    def scored(number: int) -> tuple[NDArray[np.float32] | None, list[str]]:
        """The probabilities of a chunk; once an image could not be read, the others only are."""
        results: list[NDArray[np.float32]] = []
        unreadable: list[str] = []
        for batch in _batches(images, range(count)[number * chunk :][:chunk], unreadable, on_gpu):
            if not problems and not unreadable:
                results.append(computing.submit(_softmax, model, net, batch, images.port).result())
            with progress:
                bar.update(len(batch))
        return None if problems or unreadable else np.concatenate(results), unreadable

    with (
        warnings.catch_warnings(),
        progress_bar(count, "scoring") as bar,
        _one_thread(),
        ThreadPoolExecutor(at_once, "score") as computing,
    ):
        warnings.simplefilter("ignore")  # Pillow's, of odd metadata; the pixels are what counts
        ahead = 2 * decoding_threads()
        for result, unreadable in in_threads(scored, math.ceil(count / chunk), ahead):
            for problem in unreadable:
                problems.add(problem)
            if result is not None and not problems:
                yield result
    if problems:
        raise InvalidDatasetError(
            f"{images.port}: images that cannot be read, {problems}. Expected images only; "
            "replace or remove these files."
        )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Within the block, each operation of a network takes one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _batches(
    images: ImageSet, indices: Iterable[int], unreadable: list[str], on_gpu: bool
) -> Iterator[NDArray[np.uint8]]:
    """(b, height, width, 3) of images that follow one another and are of one size.

    What cannot be read goes into ``unreadable``.
    """
    batch: list[NDArray[np.uint8]] = []
    for index in indices:
        try:
            pixels = read_pixels(images, index)
        except UnreadableImageError as error:
            unreadable.append(f"{shortened(images.file(index))!r} ({shortened(str(error))})")
            continue
        full = len(batch) == _batch_size(pixels.shape, on_gpu)
        if batch and (full or pixels.shape != batch[0].shape):
            yield np.stack(batch)
            batch = []
        batch.append(pixels)
    if batch:
        yield np.stack(batch)


def _batch_size(shape: tuple[int, ...], on_gpu: bool) -> int:
    pixels = (GPU_BATCH_PIXELS if on_gpu else BATCH_PIXELS) // max(1, math.prod(shape[:2]))
    return max(1, min(BATCH, pixels))


def _softmax(
    model: ModelDirectory, net: nn.Module, batch: NDArray[np.uint8], port: str
) -> NDArray[np.float32]:
    """(b, classes): the probabilities of images (b, height, width, 3)."""
    device = next(net.parameters()).device
    pixels = torch.from_numpy(batch)
    if device.type == "cuda":
        pixels = pixels.pin_memory()
    try:
        with torch.inference_mode():
            to_input = normalise if model.spec.normalised else scale
            inputs = to_input(pixels.to(device, non_blocking=True), torch.channels_last)
            result: NDArray[np.float32] = net(inputs).softmax(dim=1).cpu().numpy()
    except (RuntimeError, AssertionError):  # the latter is what ViT says of another size
        _, height, width, _ = batch.shape
        check_batch(model, len(model.labels or ()), 2, (height, width), port)  # too small for it?
        raise
    return result
