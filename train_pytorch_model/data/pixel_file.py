"""Decoded images that lie in a file, as they do not fit in memory."""

import math
import os
import shutil
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from train_pytorch_model.ports.paths import reason

SYNCED_BYTES = 16 << 20
"""After this much is written, it is waited for until it is on the disk.

Pages that are not there yet cannot be given back where memory is short, and in a container the
training thread would be the one to wait for them.
"""

IN_MEMORY = {"tmpfs", "ramfs", "devtmpfs"}
"""File systems whose files take memory."""

MOUNTS = Path("/proc/self/mountinfo")
"""See proc_pid_mountinfo(5)."""


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
        reserved: the bytes of its disk that are left free for others.
    """

    def __init__(self, count: int, size: tuple[int, int], folder: str, reserved: int = 0) -> None:
        self.folder = folder
        self.problem: str | None = None
        self._shape = (*size, 3)
        self._bytes = math.prod(self._shape)
        self._reserved = reserved
        self._file = tempfile.TemporaryFile(  # noqa: SIM115  # closed by the next line
            prefix="train-pytorch-model-", dir=folder, buffering=0
        )
        weakref.finalize(self, self._file.close)
        self._written = np.zeros(count, bool)
        self._not_synced = 0
        self._lock = Lock()

    def write(self, index: int, pixels: NDArray[np.uint8]) -> None:
        """Keep an image, (height, width, 3), as long as the disk takes them."""
        if self.problem is not None:
            return
        try:
            if self._reserved and self._free() < self._reserved + self._bytes:
                self.problem = "the rest of its space is left to the output"
                return
            self._write(np.ascontiguousarray(pixels), index * self._bytes)
        except OSError as error:
            self.problem = reason(error)
            return
        self._written[index] = True

    def read(self, index: int) -> NDArray[np.uint8] | None:
        """The image, (height, width, 3); None where it is not in the file, or cannot be read."""
        if not self._written[index]:
            return None
        pixels = np.empty(self._shape, np.uint8)
        rest = pixels.data.cast("B")
        try:
            while rest:
                size = os.preadv(self._file.fileno(), [rest], (index + 1) * self._bytes - len(rest))
                if size == 0:
                    return None
                rest = rest[size:]
        except OSError:
            return None
        return pixels

    def _free(self) -> float:
        """The free bytes of the disk; some network mounts do not say how large they are."""
        state = os.fstatvfs(self._file.fileno())
        return state.f_bavail * state.f_frsize if state.f_blocks else math.inf

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


def free_disk(folder: str) -> int:
    """The free bytes of the disk that a folder is on; 0 where its files take memory."""
    if _file_system(os.stat(folder).st_dev) in IN_MEMORY:
        return 0
    return shutil.disk_usage(folder).free


def _file_system(device: int) -> str | None:
    """The type of the file system with this number; None where the system does not tell."""
    number = f"{os.major(device)}:{os.minor(device)}"
    with suppress(OSError):
        for line in MOUNTS.read_text(errors="replace").splitlines():
            mount, _, kind = line.partition(" - ")
            if mount.split()[2] == number:
                return kind.split()[0]
    return None
