"""A zip's index, which ``zipfile`` reads into memory whatever its size is."""

import os
import struct
from typing import BinaryIO

ZIP_END = 1 << 17
"""More than a zip's end takes, with the longest comment."""

_END = struct.Struct("<4s8x2L2x")  # mark, size and place of the index; no comment
_END_64 = struct.Struct("<4s36x2Q")  # the same of a zip that may be larger than 4 GB
_LOCATOR = struct.Struct("<4s4xQ4x")  # mark, and the place of the end of such a zip


class BoundedIndex:
    """A zip file for ``zipfile.ZipFile``; an index that is too large is a ValueError.

    Args:
        file: the zip.
        max_bytes: of its index, of which zipfile makes about ten times as much in memory.
    """

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._max_bytes = max_bytes
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        """Read; what zipfile reads at once are the index, the end and pieces of a file."""
        wanted = min(size if size >= 0 else ZIP_END, self._size)
        if wanted > self._max_bytes:
            raise ValueError(f"its index is larger than {self._max_bytes:,} bytes")
        return self._file.read(wanted)


def has_one_index(file: BinaryIO) -> bool:
    """Whether every reader finds the same index in a zip, as in those that PyTorch writes.

    The end of a zip says where its index is and how large it is. Where the index does not lie
    directly before the end, one reader believes the place and another the size, so that a check by
    one says nothing of what the other reads.
    """
    size = os.fstat(file.fileno()).st_size
    end = size - _END.size
    mark, length, place = _END.unpack(_read_at(file, end, _END.size))
    if mark != b"PK\x05\x06":
        return False
    mark, end_64 = _LOCATOR.unpack(_read_at(file, end - _LOCATOR.size, _LOCATOR.size))
    if mark == b"PK\x06\x07":
        end = end - _LOCATOR.size - 56
        mark, length, place = _END_64.unpack(_read_at(file, end, _END_64.size))
        if mark != b"PK\x06\x06" or end_64 != end:
            return False
    return bool(place + length == end)


def _read_at(file: BinaryIO, position: int, size: int) -> bytes:
    """``size`` bytes, zeros where there are none."""
    file.seek(max(0, position))
    return file.read(size).ljust(size, b"\0") if position >= 0 else bytes(size)
