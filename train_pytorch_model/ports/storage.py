"""Storage that fails for a moment: what is tried again, and how often."""

import errno
import io
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")

PAUSES = (0.05, 0.2, 0.8, 2.0)
"""Seconds before each further attempt."""

TRANSIENT = frozenset(
    getattr(errno, name)
    for name in (
        # a disk, or the server behind a mount
        *("EIO", "EREMOTEIO", "ESTALE", "ETIMEDOUT", "EAGAIN", "EINTR", "EBUSY"),
        *("ENETDOWN", "ENETUNREACH", "ENETRESET", "EHOSTDOWN", "EHOSTUNREACH", "ENOTCONN"),
        *("ECONNRESET", "ECONNABORTED", "ECONNREFUSED", "ESHUTDOWN", "ECOMM", "EPROTO"),
        # what other threads and programs hold for a moment
        *("EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"),
    )
)
"""The errors that may be gone a moment later; that a file is absent or forbidden is none."""


def persistent(attempt: Callable[[], Result]) -> Result:
    """What ``attempt`` returns, called again after a growing pause while it fails for a moment.

    Raises:
        OSError: it failed in another way, or ``len(PAUSES)`` times again.
    """
    for pause in PAUSES:
        try:
            return attempt()
        except OSError as error:
            if error.errno not in TRANSIENT:
                raise
        time.sleep(pause)
    return attempt()


class PersistentFile(io.FileIO):
    """An open file whose reads are tried again, each time from the file opened anew."""

    def __init__(self, path: str | Path, descriptor: int) -> None:
        super().__init__(descriptor, "rb")
        self._path = path

    def readinto(self, buffer: Any, /) -> int:
        """Read into ``buffer``; returns how many bytes were read."""
        read: Callable[[], int | None] = partial(super().readinto, buffer)
        return self._persistent(read)

    def readall(self) -> bytes:
        """Read up to the end."""
        start = self.tell()

        def read() -> bytes:
            self.seek(start)
            return super(PersistentFile, self).readall()

        return self._persistent(read)

    def _persistent(self, read: Callable[[], Result | None]) -> Result:
        failed = False

        def attempt() -> Result:
            nonlocal failed
            if failed:
                self._reopen()
            failed = True
            result = read()
            if result is None:  # the same as EAGAIN
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            return result

        return persistent(attempt)

    def _reopen(self) -> None:
        """Open the file again: of a server that was away, an old descriptor stays stale."""
        position, before = self.tell(), os.fstat(self.fileno())
        descriptor = os.open(self._path, READING)
        try:
            after = os.fstat(descriptor)
            if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
                raise OSError("it changed while it was read")
            os.lseek(descriptor, position, os.SEEK_SET)
            os.dup2(descriptor, self.fileno(), inheritable=False)
        finally:
            os.close(descriptor)


READING = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
"""How files are opened; O_NONBLOCK, as opening a named pipe must not wait for a writer."""
