"""How much memory there is, and arrays that lie in a file where it is too little."""

import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from train_pytorch_model.data.cgroup import memory_left

FRACTION = 0.5
"""The part of the available memory that decoded images may take; training needs the rest."""

FREE_DISK = 0.9
"""The part of the free disk that they may take."""


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
class MemoryBudget:
    """The bytes of memory that the decoded images of a run may take together."""

    left: int

    @classmethod
    def of_this_machine(cls) -> "MemoryBudget":
        """FRACTION of what is available."""
        return cls(int(FRACTION * available_bytes()))

    def take(self, size: int) -> bool:
        """Take ``size`` bytes, if that many are left."""
        if size > self.left:
            return False
        self.left -= size
        return True


def pixel_rows(count: int, size: tuple[int, int], cache: str, budget: MemoryBudget) -> Tensor:
    """Room for decoded images: (kept, height, width, 3) uint8, uninitialised, kept ≤ count.

    Args:
        count: how many images there are.
        size: (height, width) of each.
        cache: where they are to be: ``memory``, ``disk``, ``none`` (no row is kept), or ``auto``,
            the first of these that all of them fit in: memory, disk, and else as many rows in
            memory as fit.
        budget: of memory, which ``auto`` respects; what is taken is taken off.
    """
    row = math.prod(size) * 3
    shape = (count, *size, 3)
    if cache == "none":
        return torch.empty((0, *size, 3), dtype=torch.uint8)
    if cache == "memory" or (cache == "auto" and budget.take(count * row)):
        return torch.empty(shape, dtype=torch.uint8)
    folder = tempfile.gettempdir()
    if cache == "disk" or count * row <= FREE_DISK * _free_disk(folder):
        return _mapped(shape, folder)
    kept = budget.left // row
    budget.take(kept * row)
    return torch.empty((kept, *size, 3), dtype=torch.uint8)


def _free_disk(folder: str) -> int:
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize


def _mapped(shape: tuple[int, ...], folder: str) -> Tensor:
    """A tensor in a file that has no name, so that it is gone with the process, however it ends."""
    size = math.prod(shape)
    with tempfile.NamedTemporaryFile(prefix="train-pytorch-model-", dir=folder) as file:
        file.truncate(size)
        return torch.from_file(file.name, shared=True, size=size, dtype=torch.uint8).view(shape)
