"""Which file systems there are, and how much of them is free."""

import math
import os
from contextlib import suppress
from pathlib import Path

from train_pytorch_model.ports.output import nearest_existing

IN_MEMORY = {"tmpfs", "ramfs", "devtmpfs"}
"""File systems whose files take memory."""

MOUNTS = Path("/proc/self/mountinfo")
"""See proc_pid_mountinfo(5)."""


def free_bytes(folder: str) -> float:
    """The free bytes of a folder's file system; infinite where it does not say how large it is.

    Raises:
        OSError: there is no such folder.
    """
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize if state.f_blocks else math.inf


def on_one_disk(path: Path, folder: str) -> bool:
    """Whether two file systems are one, or, like a container's and the node's, lie on one.

    Args:
        path: of the one; it need not be there yet.
        folder: of the other.

    Raises:
        OSError: one cannot be looked at.
    """
    other = nearest_existing(path)
    if os.stat(other).st_dev == os.stat(folder).st_dev:
        return True
    return _extent(os.statvfs(other)) == _extent(os.statvfs(folder))


def in_memory(folder: str) -> bool:
    """Whether the files of a folder take memory, as far as the system tells.

    Raises:
        OSError: there is no such folder.
    """
    device = os.stat(folder).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    with suppress(OSError):
        for line in MOUNTS.read_text(errors="replace").splitlines():
            mount, _, kind = line.partition(" - ")
            if mount.split()[2] == number:
                return kind.split()[0] in IN_MEMORY
    return False


def _extent(state: os.statvfs_result) -> tuple[int, int]:
    """Bytes and files that there may be; an overlay has those of what it lies on."""
    return state.f_blocks * state.f_frsize, state.f_files
