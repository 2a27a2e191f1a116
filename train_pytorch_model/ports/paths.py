"""Names of files that an input directory gives, which must stay inside that directory."""

import errno
import io
import os
import re
import stat
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from train_pytorch_model.ports.storage import READING, PersistentFile, persistent

SUSPICIOUS = r"\x00|^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)|^$"
"""A pattern that every unsafe relative name matches (RE2 and Python syntax)."""

MAX_DEPTH = 64
"""Folders in one another."""

MAX_LENGTH = 4095
"""Of a path: Linux takes no more bytes, and so no more characters."""

_NO_NAME = "[\ud800-\udc7f\udd00-\udfff]"  # what no file's name decodes to
_SUSPICIOUS = re.compile(f"{SUSPICIOUS}|{_NO_NAME}")


def is_safe_name(name: str) -> bool:
    """Whether ``name`` is a relative path that does not climb: no ``..``, root, drive or NUL.

    Lone surrogates, which no file's name has, are not safe either, nor is a path that is longer
    than MAX_LENGTH or leads through more than MAX_DEPTH folders.
    """
    return _fits(name) and _SUSPICIOUS.search(name) is None


def _fits(name: str) -> bool:
    return len(name) <= MAX_LENGTH and name.count("/") <= MAX_DEPTH


def open_inside(root: Path, name: str) -> BinaryIO:
    """Open the regular file ``name`` below ``root`` for reading.

    Raises:
        OSError: the file is absent or unreadable, is not a regular file, or lies outside ``root``
            (by its name or through a symbolic link).
    """
    if not is_safe_name(name):
        too_long = f"its path is too long, or leads through more than {MAX_DEPTH} folders"
        raise OSError("its path leaves the directory" if _fits(name) else too_long)
    return _opened_in_its_folder(root, name) or open_file(_inside(root, name))


def _opened_in_its_folder(root: Path, name: str) -> BinaryIO | None:
    """The file, if its folder is where it was found before; None where it must be found anew."""
    folder, _, base = name.rpartition("/")
    if base in ("", "."):
        return None
    path = f"{_folder_inside(root.absolute(), folder)}/{base}"
    try:
        file = open_file(path, os.O_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.ELOOP:  # it is a link
            return None
        raise
    try:
        if os.readlink(f"/proc/self/fd/{file.fileno()}") == path:
            return file
    except OSError:
        pass  # not Linux: it cannot be told that the folder has not become a link
    file.close()
    return None


def _inside(root: Path, name: str) -> str:
    """The real path of what ``name`` leads to; raises OSError where that is not in ``root``."""
    top, real = _resolved(root), _resolved(root / name)
    if real != top and not real.startswith(top.rstrip(os.sep) + os.sep):
        raise OSError("a link leads out of the directory")
    return real


# Looking up the folder of each image would take longer than reading it.
_folder_inside = lru_cache(maxsize=4096)(_inside)


def _resolved(path: Path) -> str:
    """Where ``path`` leads through links, whether or not there is something."""
    try:
        return persistent(lambda: os.path.realpath(path, strict=True))
    except FileNotFoundError:
        return os.path.realpath(path)  # not otherwise: what cannot be looked at might be a link


def open_file(path: str | Path, flags: int = 0) -> BinaryIO:
    """Open the regular file at ``path`` for reading.

    Opening and reading it is tried again where storage fails for a moment.

    Args:
        path: of the file; it may be a link.
        flags: of open(2), beside those of reading.

    Raises:
        OSError: the file is absent or unreadable, or is not a regular file.
    """
    descriptor = persistent(lambda: os.open(path, READING | flags))
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("it is not a regular file")
    except BaseException:
        os.close(descriptor)
        raise
    return io.BufferedReader(PersistentFile(path, descriptor))


def read_inside(root: Path, name: str, max_bytes: int) -> bytes:
    """The content of the file ``name`` below ``root``.

    Raises:
        OSError: as ``open_inside``, or the file is larger than ``max_bytes``.
    """
    with open_inside(root, name) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(min(size, max_bytes) + 1)  # read() sets aside all that it is asked for
        if size < len(content) <= max_bytes:  # the file grows
            content += file.read(max_bytes + 1 - len(content))
    if len(content) > max_bytes:
        raise OSError(f"it is larger than {max_bytes:,} bytes")
    return content


def reason(error: OSError) -> str:
    """What an OSError says, without its number and path: ``No such file or directory``."""
    return error.strerror or str(error)
