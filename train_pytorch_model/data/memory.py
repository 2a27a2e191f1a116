"""How much memory and disk there is, and what of the decoded images is kept in each."""

import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from train_pytorch_model.data.cgroup import memory_left
from train_pytorch_model.data.disk import free_bytes, in_memory, on_one_disk
from train_pytorch_model.data.pixel_file import PixelFile
from train_pytorch_model.errors import OutOfMemoryError, UserError
from train_pytorch_model.ports.paths import reason

FRACTION = 0.5
"""The part of the available memory that decoded images may take; training needs the rest."""

FREE_DISK = 0.9
"""The part of the free disk that they may take where nobody has asked for it."""

_NO_MEMORY = (
    "can't allocate memory",  # the CPU's allocator
    "CUDA error: out of memory",  # where a page is pinned, or a GPU is entered
    "STATUS_ALLOC_FAILED",  # cuBLAS
    "ALLOCATION_FAILED",  # cuDNN
)
"""What PyTorch says, in errors of no class of their own, where memory is missing."""


def available_bytes() -> int:
    """The memory that this process may still take: the machine's, or its container's if less."""
    left = memory_left()
    machine = _machine_bytes()
    return machine if left is None else min(machine, left)


def _machine_bytes() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux: the next line is the portable answer
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


@dataclass
class CacheSpace:
    """The bytes that the decoded images of a run may take together.

    Attributes:
        memory: of memory.
        disk: of the disk for temporary files; infinite where that does not say how large it is.
    """

    memory: int
    disk: float

    @classmethod
    def of_this_machine(cls, other: Path, needed: int) -> "CacheSpace":
        """FRACTION of what memory is available, and the free disk without what another use needs.

        Args:
            other: a folder, there or to be made, that may be on that disk.
            needed: the bytes that are to be written there.
        """
        try:
            folder = tempfile.gettempdir()
            disk = free_bytes(folder) - (needed if on_one_disk(other, folder) else 0)
        except OSError:  # nowhere may a file be made
            disk = 0
        return cls(int(FRACTION * available_bytes()), max(0, disk))

    def take_memory(self, size: int) -> bool:
        """Take ``size`` bytes, if that many are left."""
        if size > self.memory:
            return False
        self.memory -= size
        return True

    def take_disk(self, size: int) -> bool:
        """Take ``size`` bytes of a disk that has them, and some more, as far as is known."""
        known = not math.isinf(self.disk)
        if not known or size > FREE_DISK * self.disk or in_memory(tempfile.gettempdir()):
            return False
        self.disk -= size
        return True

    def take_disk_left(self, most: int) -> int:
        """Take ``most`` bytes, or all that are left."""
        taken = int(min(most, self.disk))
        self.disk -= taken
        return taken


@contextmanager
def memory_for(message: str) -> Iterator[None]:
    """Within the block, a device or machine that is out of memory is the user's error.

    Args:
        message: what does not fit then, and what to do about it.

    Raises:
        OutOfMemoryError: an allocation failed.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise OutOfMemoryError(message) from error
    except RuntimeError as error:
        if not any(words in str(error) for words in _NO_MEMORY):
            raise
        raise OutOfMemoryError(message) from error


def kept_pixels(
    count: int, size: tuple[int, int], cache: str, space: CacheSpace
) -> tuple[Tensor, PixelFile | None]:
    """Room for decoded images: in memory, or in a file, or in memory for the first ones only.

    Args:
        count: how many images there are.
        size: (height, width) of each.
        cache: where they are to be: ``memory``, ``disk``, ``none`` (nowhere), or ``auto``, the
            first of these that all of them fit in: memory, disk, and else as many in memory as
            fit.
        space: what they may take; what they take is taken off.

    Returns:
        The rows in memory, (kept, height, width, 3) uint8, uninitialised, kept ≤ count; and the
        file in which those have a place that are not kept in memory, or None.

    Raises:
        UserError: no such file can be made.
        OutOfMemoryError: the machine does not grant the memory.
    """
    row = math.prod(size) * 3
    kept, file = count if cache == "memory" else 0, None
    if cache == "disk":
        file = _file(count, size, space.take_disk_left(count * row))
    elif cache == "auto":
        if space.take_memory(count * row):
            kept = count
        elif space.take_disk(count * row):
            file = _file(count, size, count * row)
        else:
            kept = space.memory // row
            space.take_memory(kept * row)
    with memory_for(_too_large(kept, size, cache)):
        return torch.empty((kept, *size, 3), dtype=torch.uint8), file


def _too_large(count: int, size: tuple[int, int], cache: str) -> str:
    others = "auto or disk" if cache == "memory" else "disk"
    return (
        f"cache: found less memory than the {count * math.prod(size) * 3 / 1e9:,.1f} GB that "
        f"{count:,} decoded images of {size[1]}x{size[0]} pixels take, expected that much; choose "
        f"--cache {others}, or a larger compute."
    )


def _file(count: int, size: tuple[int, int], most: int) -> PixelFile:
    try:
        return PixelFile(count, size, tempfile.gettempdir(), most)
    except OSError as error:
        raise UserError(
            f"cache: no file can be made for decoded images ({reason(error)}), expected a folder "
            "for temporary files; let TMPDIR name one, or choose --cache none."
        ) from error
