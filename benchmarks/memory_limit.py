"""A control group whose processes may take so much memory and no more, as in a container."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.command_line import BenchmarkError
from benchmarks.sides import Side

ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Group:
    """A control group.

    Attributes:
        folder: of the group.
        limit: the name of the file that takes the limit, in bytes.
        peak: the name of the file that tells the most that was taken, in bytes.
    """

    folder: Path
    limit: str
    peak: str

    @property
    def peak_bytes(self) -> int:
        """The most memory that was taken, what the system keeps of files included."""
        return int((self.folder / self.peak).read_text())


@contextmanager
def limited(side: Side, limit: int, work: Path) -> Iterator[tuple[Side, Group]]:
    """``side``, with processes that have ``limit`` bytes of memory together, swap included.

    Raises:
        BenchmarkError: no group can be made here.
    """
    group = _group(f"train-pytorch-model-{os.getpid()}")
    try:
        group.folder.mkdir()
        (group.folder / group.limit).write_text(str(limit))
        with suppress(OSError):  # where swap is not counted
            (group.folder / "memory.swap.max").write_text("0")
    except OSError as error:
        raise BenchmarkError(
            f"no control group with a limit of memory can be made here ({error}); run as root, "
            "where /sys/fs/cgroup can be written."
        ) from error
    try:
        starter = work / "limited.sh"
        processes = shlex.quote(str(group.folder / "cgroup.procs"))
        python = shlex.quote(str(side.python))
        starter.write_text(f'#!/bin/sh\necho $$ > {processes} && exec {python} "$@"\n')
        starter.chmod(0o755)
        yield replace(side, python=starter), group
    finally:
        group.folder.rmdir()


def _group(name: str) -> Group:
    """The group of this name below the one that this process is in, version 1 or 2."""
    lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    own = {controllers: path for _, controllers, path in lines}
    if "memory" in own:
        folder = _below(ROOT / "memory", own["memory"]) / name
        return Group(folder, "memory.limit_in_bytes", "memory.max_usage_in_bytes")
    folder = _below(ROOT, own.get("", "/")).parent if own.get("", "/") != "/" else ROOT
    with suppress(OSError):  # where it is done already, or may not be: writing the limit tells
        (folder / "cgroup.subtree_control").write_text("+memory")
    return Group(folder / name, "memory.max", "memory.peak")


def _below(root: Path, path: str) -> Path:
    """A process's group; in a container it may be mounted as the root."""
    folder = root / path.lstrip("/")
    return folder if folder.is_dir() else root
