"""Decoded images that lie in a file, as they do not fit in memory."""

import math
import os
import tempfile
import weakref
from contextlib import suppress
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from train_pytorch_model.ports.paths import reason

SYNCED_BYTES = 16 << 20
"""After this much is written, it is waited for until it is on the disk.

Pages that are not there yet cannot be given back where memory is short, and in a container the
training thread would be the one to wait for them.
"""

_NOWHERE = -1


class PixelFile:
    """Decoded images of one size, in a file that has no name: it is gone with the process.

    It may be used by several threads, each image by one at a time.

    Attributes:
        folder: where the file is.
        problem: why an image could not be written, after which none is; None as long as all were.

    Args:
        count: of images.
        size: (height, width) of each.
        folder: where the file is to be.
        most: the bytes that the file may take.
    """

    def __init__(self, count: int, size: tuple[int, int], folder: str, most: int) -> None:
        self.folder = folder
        self.problem: str | None = None
        self._shape = (*size, 3)
        self._bytes = math.prod(self._shape)
        self._file = tempfile.TemporaryFile(  # noqa: SIM115  # closed by the next line
            prefix="train-pytorch-model-", dir=folder, buffering=0
        )
        weakref.finalize(self, self._file.close)
        self._places = np.full(count, _NOWHERE, np.int64)
        self._written = 0
        self._most = most // self._bytes
        self._not_synced = 0
        self._lock = Lock()

    def write(self, index: int, pixels: NDArray[np.uint8]) -> None:
        """Keep an image, (height, width, 3), as long as the disk takes them."""
        place = self._place_of(index)
        if place is None:
            return
        try:
            self._write(np.ascontiguousarray(pixels), place * self._bytes)
        except OSError as error:
            self.problem = reason(error)
            return
        self._places[index] = place

    def read(self, index: int) -> NDArray[np.uint8] | None:
        """The image, (height, width, 3); None where it is not in the file, or cannot be read."""
        place = int(self._places[index])
        if place == _NOWHERE:
            return None
        pixels = np.empty(self._shape, np.uint8)
        rest = pixels.data.cast("B")
        try:
            while rest:
                size = os.preadv(self._file.fileno(), [rest], (place + 1) * self._bytes - len(rest))
                if size == 0:
                    return None
                rest = rest[size:]
        except OSError:
            return None
        return pixels

    def clear(self) -> None:
        """Give the disk back what the file takes; it holds no image any more."""
        self._places[:] = _NOWHERE
        with suppress(OSError):  # it goes with the process
            os.ftruncate(self._file.fileno(), 0)

    def _place_of(self, index: int) -> int | None:
        """Which one in the file an image is, or is to be; None where none is written any more."""
        with self._lock:
            if self._places[index] != _NOWHERE:
                return int(self._places[index])
            if self.problem is None and self._written == self._most:
                self.problem = "too little free space"
            if self.problem is not None:
                return None
            self._written += 1
            return self._written - 1

    def _write(self, pixels: NDArray[np.uint8], offset: int) -> None:
        rest = pixels.data.cast("B")
        while rest:
            size = os.pwrite(self._file.fileno(), rest, offset)
            rest, offset = rest[size:], offset + size
        if self._is_time_to_sync():
            os.fdatasync(self._file.fileno())

    def _is_time_to_sync(self) -> bool:
        with self._lock:
            self._not_synced += self._bytes
            if self._not_synced < SYNCED_BYTES:
                return False
            self._not_synced = 0
            return True
