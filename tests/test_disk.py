"""What decoded images may take of the disk."""

import math
import os
import tempfile
from pathlib import Path

import pytest

from train_pytorch_model.data import disk, memory


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, on a disk with 96,000 free bytes that takes no memory."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(memory, "free_bytes", lambda _: 96_000)
    monkeypatch.setattr(memory, "in_memory", lambda _: False)
    return tmp_path


@pytest.mark.parametrize(
    ("cache", "needed", "found"),
    [
        ("auto", 0, [1000, 0]),  # a tenth of the disk is left to others
        ("auto", 40_000, [1000, 0]),
        ("auto", 43_000, [0, 0]),
        ("disk", 0, [1000, 1000]),
        ("disk", 1, [1000, 999]),
        ("disk", 47_952, [1000, 1]),
        ("disk", 72_000, [500, 0]),
        ("disk", 100_000, [0, 0]),  # others have taken space that the output was promised
    ],
)
def test_no_byte_is_promised_twice(
    temporary: Path, cache: str, needed: int, found: list[int]
) -> None:
    """To two data sets of 48,000 bytes, and an output on the same disk."""
    space = memory.CacheSpace.of_this_machine(temporary / "output", needed)
    space.memory = 0
    kept = []
    for _ in range(2):
        _, file = memory.kept_pixels(1000, (4, 4), cache, space)
        kept.append(0 if file is None else file._most)
    assert kept == found


def test_an_output_elsewhere_takes_nothing_of_it() -> None:
    """There is a file system of another kind at /proc."""
    assert memory.CacheSpace.of_this_machine(Path("/proc/1"), 50_000).disk == 96_000


def test_a_disk_of_unknown_size(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is written to where that is asked for alone."""
    monkeypatch.setattr(memory, "free_bytes", lambda _: math.inf)
    space = memory.CacheSpace.of_this_machine(temporary, 50_000)
    assert not space.take_disk(1)
    assert space.take_disk_left(10**15) == 10**15


def test_a_disk_that_takes_memory(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is written to where that is asked for alone."""
    monkeypatch.setattr(memory, "in_memory", lambda _: True)
    space = memory.CacheSpace.of_this_machine(temporary, 0)
    assert not space.take_disk(1)
    assert space.take_disk_left(1) == 1


def test_which_file_systems_take_memory(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the system's table of mounts tells."""
    table = temporary / "mountinfo"
    device = os.stat(temporary).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    monkeypatch.setattr(disk, "MOUNTS", table)
    table.write_text(f"22 1 {number} / / rw shared:1 - ext4 /dev/sda rw\n")
    assert not disk.in_memory(str(temporary))
    table.write_text(f"22 1 {number} / /tmp rw,nosuid - tmpfs tmpfs rw\n")
    assert disk.in_memory(str(temporary))
    table.unlink()
    assert not disk.in_memory(str(temporary))


def test_what_is_one_disk(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is to be made is on that of the nearest; an overlay is on what it lies on."""
    assert disk.on_one_disk(temporary / "not/there", str(temporary))
    assert not disk.on_one_disk(Path("/proc"), str(temporary))
    state = os.statvfs(temporary)
    monkeypatch.setattr(os, "statvfs", lambda _: state)
    assert disk.on_one_disk(Path("/proc"), str(temporary))
    assert 0 < disk.free_bytes(str(temporary)) < math.inf
