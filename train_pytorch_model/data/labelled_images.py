"""ImageSet → pixels and labels: images decoded while they are already being used."""

import math
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from threading import Lock, Semaphore

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from train_pytorch_model.data.decode import UnreadableImageError, decoded, read_content, read_pixels
from train_pytorch_model.data.defects import (
    MAX_UNREADABLE,
    check_sizes,
    check_unchanged,
    check_unreadable,
)
from train_pytorch_model.data.memory import CacheSpace, kept_pixels
from train_pytorch_model.data.pixel_file import PixelFile
from train_pytorch_model.data.read_ahead import READERS, ReadAhead, decoders
from train_pytorch_model.errors import StorageTimeoutError, shortened
from train_pytorch_model.ports.image_set import ImageSet
from train_pytorch_model.ports.patience import PATIENCE_S

AHEAD = 2 * READERS
"""The images that are read ahead of their use as fast as possible: two for each reader."""

AHEAD_BYTES = 64 << 20
"""The most memory for those, where not all is in memory, beyond that of two batches."""

_UNREAD, _READ, _UNREADABLE = range(3)


@dataclass(frozen=True)
class Found:
    """What is known of the n images of a data set because they have been read.

    Attributes:
        checksums: (n,) uint32, of each image's file; 0 where it has not been read, or cannot be.
        unreadable: index → why, of each that is left out for good, as it cannot be read.
    """

    checksums: NDArray[np.uint32]
    unreadable: Mapping[int, str]


class LabelledImages:
    """The n images of a data set whose images all have a label.

    Each image is read once, by threads, in the order in which it is first wanted, and kept as
    bytes in memory or in a file; what fits in neither is read anew each time. A few unreadable
    images (at most MAX_UNREADABLE of them, never all of a category) are left out. More of them, or
    another size, end the run at the next batch, with everything that is wrong in one message.

    Attributes:
        image_set: the images, readable or not.
        size: (height, width) in pixels, of each.
        labels: (n,) int64, indices into ``image_set.schema.classes``.
        all_in_memory: whether each image is in memory once it has been read.
        file: where those are kept that are not in memory; None where they are not.
    """

    def __init__(
        self,
        image_set: ImageSet,
        size: tuple[int, int],
        rows: Tensor,
        file: PixelFile | None,
        before: Found,
    ) -> None:
        count = len(image_set)
        self.image_set = image_set
        self.size = size
        self.labels = torch.from_numpy(image_set.labels)
        self.all_in_memory = len(rows) == count
        self.file = file
        self._checksums = before.checksums.copy()
        self._rows = rows
        self._ahead: dict[int, Tensor] = {}
        self._outcomes = np.full(count, _UNREAD, np.uint8)
        self._sizes: Counter[tuple[int, int]] = Counter()
        self._why = dict(before.unreadable)
        self._left_out = dict(before.unreadable)
        self._outcomes[list(self._why)] = _UNREADABLE
        self._changed: set[int] = set()
        self._lock = Lock()
        self._processors = decoders(size)
        self._decoding = Semaphore(self._processors)
        self._background: ReadAhead | None = None

    def __len__(self) -> int:
        """All images, readable or not."""
        return len(self.image_set)

    @property
    def readable(self) -> NDArray[np.int64]:
        """(m,) int64: the indices of the images that have been read."""
        return np.flatnonzero(self._outcomes == _READ)

    @property
    def unreadable(self) -> tuple[str, ...]:
        """``path: why`` of each image that was found to be unreadable, in order."""
        return tuple(f"{self.image_set.file(i)}: {self._why[i]}" for i in sorted(self._why))

    @property
    def found(self) -> Found:
        """What is known by now; a copy, as threads that read images go on to change it.

        Unreadable is what ``finish`` has accepted. Before that, images may be too many to leave
        out, or storage that is gone for a moment: the next run reads them again.
        """
        with self._lock:
            return Found(self._checksums.copy(), dict(self._left_out))

    @property
    def images_per_category(self) -> dict[str, int]:
        """How many readable images each declared category has, by name."""
        counts = np.bincount(self.labels.numpy()[self._outcomes != _UNREADABLE])
        categories = self.image_set.schema.categories.items()
        return {name: int(counts[i]) if i < len(counts) else 0 for i, name in categories}

    def read_in_background(self) -> None:
        """Begin to read all images at leisure, if all of them can be kept in memory."""
        if self.all_in_memory:
            self._background = self._ahead_of(np.flatnonzero(self._outcomes == _UNREAD), 0)

    def check(self) -> None:
        """End the run as soon as it is known that it must end.

        Raises:
            InvalidDatasetError, StorageTimeoutError: as ``batches``.
        """
        with self._lock:
            too_many = len(self._why) > MAX_UNREADABLE * len(self)
            wrong = too_many or bool(self._sizes.keys() - {self.size}) or bool(self._changed)
        if wrong:
            self.finish()

    def batches(self, chosen: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """The images of each batch, read ahead in that order.

        Args:
            chosen: for each batch, the indices (b,) int64 of its images.

        Yields:
            For each batch, the indices of its readable images, (r,) int64 with r ≤ b; and their
            pixels, (r, height, width, 3) uint8.

        Raises:
            InvalidDatasetError: too many images are unreadable, or they are not of one size, or
                have changed since they were read before.
            StorageTimeoutError: no image at all could be read for PATIENCE_S.
        """
        order = torch.cat([*chosen, torch.empty(0, dtype=torch.int64)]).numpy()
        largest = max(map(len, chosen), default=0)
        with self._reading(order, largest) as reading:
            for batch in chosen:
                indices = batch.numpy()
                self._wait(reading, indices)
                self.check()
                present = indices[self._outcomes[indices] == _READ]
                pixels = self._gathered(present)
                reading.release(indices)
                yield torch.from_numpy(present), pixels

    def finish(self) -> None:
        """Read what has not been read yet, and check all of it.

        Raises:
            InvalidDatasetError, StorageTimeoutError: as ``batches``.
        """
        self._read_rest()
        check_unchanged(self.image_set, self._changed)
        check_unreadable(self.image_set, self._why)
        check_sizes(self.image_set, self._sizes, self.size)
        with self._lock:
            self._left_out = dict(self._why)

    def forget_pixels(self) -> None:
        """Give back the memory and the disk that pixels take; no batch can be had after that."""
        self._rows = self._rows[:0].clone()
        if self.file is not None:
            self.file.clear()

    @contextmanager
    def _reading(self, order: NDArray[np.int64], largest: int) -> Iterator[ReadAhead]:
        """Threads that read what of ``order`` is not at hand."""
        fitting = AHEAD_BYTES // (math.prod(self.size) * 3)
        room = max(2 * largest, AHEAD if self.all_in_memory else min(AHEAD, fitting))
        if self._background is not None:
            self._background.make_room(room)
            yield self._background
            return
        outcomes = self._outcomes[order]
        again = (outcomes == _READ) & (order >= len(self._rows))
        wanted = order[(outcomes == _UNREAD) | again]
        with closing(self._ahead_of(wanted, room)) as reading:
            yield reading
        self._ahead.clear()

    def _ahead_of(self, order: NDArray[np.int64], room: int) -> ReadAhead:
        return ReadAhead(self._read, order, room, self._processors, self.all_in_memory)

    def _wait(self, reading: ReadAhead, indices: NDArray[np.int64]) -> None:
        if reading.wait(indices, PATIENCE_S):
            return
        waiting = indices[self._outcomes[indices] == _UNREAD]
        raise _stalled(self.image_set, int((waiting if len(waiting) else indices)[0]))

    def _read(self, index: int) -> None:
        """Read one image, in any thread."""
        kept = self.file.read(index) if self.file is not None else None
        if kept is not None:
            with self._lock:
                self._ahead[index] = torch.from_numpy(kept)
            return
        try:
            content = read_content(self.image_set, index)
            with self._decoding:
                pixels = torch.from_numpy(decoded(content, self.image_set, index))
        except UnreadableImageError as error:
            with self._lock:
                if self._checksums[index]:  # it has been read before, in this run or another
                    self._changed.add(index)
                else:
                    self._outcomes[index], self._why[index] = _UNREADABLE, str(error)
            return
        right = tuple(pixels.shape[:2]) == self.size
        if right:
            self._keep(index, pixels)
        checksum = zlib.crc32(content) or 1
        with self._lock:
            if self._checksums[index] not in (0, checksum):
                self._changed.add(index)
            if self._outcomes[index] == _UNREAD:
                self._sizes[pixels.shape[0], pixels.shape[1]] += 1
            self._outcomes[index], self._checksums[index] = _READ, checksum
            if right and index >= len(self._rows):
                self._ahead[index] = pixels

    def _keep(self, index: int, pixels: Tensor) -> None:
        if index < len(self._rows):
            self._rows[index] = pixels
        elif self.file is not None:
            self.file.write(index, pixels.numpy())

    def _gathered(self, present: NDArray[np.int64]) -> Tensor:
        """(r, height, width, 3) uint8."""
        if self.all_in_memory:
            return self._rows[torch.from_numpy(present)]
        if not len(present):
            return torch.empty((0, *self.size, 3), dtype=torch.uint8)
        with self._lock:
            new = {int(i): self._ahead.pop(int(i)) for i in present if i >= len(self._rows)}
        return torch.stack([new[i] if i in new else self._rows[i] for i in present.tolist()])

    def _read_rest(self) -> None:
        unread = np.flatnonzero(self._outcomes == _UNREAD)
        if not len(unread):
            return
        if self._background is not None:
            self._background.make_room(len(self))
            self._wait(self._background, unread)
            return
        with closing(
            ReadAhead(self._read_and_drop, unread, len(unread), self._processors)
        ) as reading:
            self._wait(reading, unread)

    def _read_and_drop(self, index: int) -> None:
        self._read(index)
        with self._lock:
            self._ahead.pop(index, None)


def open_labelled_images(
    image_set: ImageSet,
    cache: str,
    space: CacheSpace,
    before: Found | None = None,
) -> LabelledImages:
    """The images of a data set, of which one has been decoded: it tells the size of all.

    Args:
        image_set: the images, all of which have a label.
        cache: where decoded images are kept; see ``memory.kept_pixels``.
        space: what they may take.
        before: what an earlier run has found: images that have changed since end this one, and
            those that it could not read stay left out, as it went on without them.

    Raises:
        InvalidDatasetError: no image can be read.
        StorageTimeoutError: the storage has given nothing for too long.
        UserError, OutOfMemoryError: they cannot be kept as ``cache`` says.
    """
    before = before or Found(np.zeros(len(image_set), np.uint32), {})
    size = _first_size(image_set, before.unreadable)
    rows, file = kept_pixels(len(image_set), size, cache, space)
    return LabelledImages(image_set, size, rows, file, before)


def _first_size(image_set: ImageSet, left_out: Mapping[int, str]) -> tuple[int, int]:
    """(height, width) of the first image that can be read.

    Raises:
        InvalidDatasetError: none can.
        StorageTimeoutError: the storage has given nothing for too long.
    """
    sizes: dict[int, tuple[int, int]] = {}
    why = dict(left_out)

    def read(index: int) -> None:
        try:
            pixels = read_pixels(image_set, index)
        except UnreadableImageError as error:
            why[index] = str(error)
        else:
            sizes[index] = pixels.shape[0], pixels.shape[1]

    order = np.delete(np.arange(len(image_set)), list(left_out))
    with closing(ReadAhead(read, order, room=READERS)) as reading:
        for place, index in enumerate(order.tolist()):
            if not reading.wait(order[place : place + 1], PATIENCE_S):
                raise _stalled(image_set, index)
            if index in sizes:
                return sizes[index]
            reading.release(order[place : place + 1])
    check_unreadable(image_set, why)
    raise AssertionError("all of the images are too many to leave out")


def _stalled(image_set: ImageSet, index: int) -> StorageTimeoutError:
    return StorageTimeoutError(
        f"{image_set.port}: no image could be read for {PATIENCE_S:.0f} s, waiting for "
        f"{shortened(image_set.file(index))!r}, expected the storage to answer; make sure that "
        "it does, and run again."
    )
