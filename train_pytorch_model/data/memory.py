"""How much memory there is, and arrays that lie in a file where it is too little."""

import os
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from train_pytorch_model.errors import OutOfMemoryError

FRACTION = 0.5
"""The part of the available memory that decoded images may take; training needs the rest."""

_CGROUP_FILES = (
    # limit, usage: cgroup v2, then v1
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)


def available_bytes() -> int:
    """The memory that this process may still take: the machine's, or its container's if less."""
    candidates = [_machine_bytes()]
    for limit, usage in _CGROUP_FILES:
        limit_bytes, used_bytes = _read_int(limit), _read_int(usage)
        if limit_bytes is not None and used_bytes is not None:
            candidates.append(max(0, limit_bytes - used_bytes))
    return min(candidates)


def _machine_bytes() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux: the next line is the portable answer
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _read_int(path: str) -> int | None:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):  # no such cgroup, or no limit ("max")
        return None


def uint8_array(shape: tuple[int, ...], port: str) -> Tensor:
    """An uninitialised uint8 tensor of ``shape``: in memory, or in a temporary file if too large.

    The file has no name, so that it is gone with the process, however that ends.

    Raises:
        OutOfMemoryError: it fits neither in memory nor in the temporary folder.
    """
    size = 1
    for length in shape:
        size *= length
    if size <= FRACTION * available_bytes():
        return torch.empty(shape, dtype=torch.uint8)
    folder = tempfile.gettempdir()
    state = os.statvfs(folder)
    free = state.f_bavail * state.f_frsize
    if size > free:
        raise OutOfMemoryError(
            f"{port}: its decoded images take {size / 1e9:,.1f} GB, found "
            f"{available_bytes() / 1e9:,.1f} GB of memory and {free / 1e9:,.1f} GB of disk in "
            f"{folder!r}; take a larger compute, or smaller images (Apply Image Transformation)."
        )
    with tempfile.NamedTemporaryFile(prefix="train-pytorch-model-") as file:
        file.truncate(size)
        return torch.from_file(file.name, shared=True, size=size, dtype=torch.uint8).view(shape)
