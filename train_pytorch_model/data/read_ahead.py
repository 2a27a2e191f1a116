"""Images read by threads in the order in which they will be wanted, ahead of that."""

import os
import time
from collections.abc import Callable
from threading import Condition, Thread

import numpy as np
from numpy.typing import NDArray

READERS = 32
"""The most threads that read: on a network mount each waits for the storage most of the time."""

IMPATIENCE_S = 0.1
"""After this long a wait there are twice as many readers.

On a local disk more readers than processors only wait for each other, and a training thread among
them (benchmarks.training).
"""


class ReadAhead:
    """Threads that call ``read(index)`` for each index of an order, from now on; to be closed.

    The threads are daemons: one that waits for a storage which never answers does not keep the
    process from ending.

    Args:
        read: reads one image. What it raises is raised in the thread that waits.
        order: (m,) int64, the indices, each once.
        room: how many of them may be read and not yet released.
    """

    def __init__(
        self, read: Callable[[int], None], order: NDArray[np.int64], room: int | None = None
    ) -> None:
        self._read = read
        self._order = order
        self._pending = np.zeros(int(order.max(initial=-1)) + 1, bool)
        self._pending[order] = True
        self._ordered = self._pending.copy()
        self._room = len(order) if room is None else room
        self._next = 0
        self._done = 0
        self._error: BaseException | None = None
        self._changed = Condition()
        self._readers = 0
        self._add_readers(decoders())

    def close(self) -> None:
        """Begin no further image. Those that are being read are not waited for."""
        with self._changed:
            self._next = len(self._order)
            self._changed.notify_all()

    def wait(self, indices: NDArray[np.int64], seconds: float) -> bool:
        """Wait until each of ``indices`` has been read.

        Returns:
            Whether they have; False once no image at all has been read for ``seconds``.
        """
        known = indices[indices < len(self._pending)]
        with self._changed:
            done, since = self._done, time.monotonic()
            impatient = since + IMPATIENCE_S
            while self._error is None and self._pending[known].any():
                self._changed.wait(IMPATIENCE_S)
                now = time.monotonic()
                if self._done != done:
                    done, since = self._done, now
                elif now - since > seconds:
                    return False
                if now > impatient:
                    self._add_readers(self._readers)
                    impatient = now + IMPATIENCE_S
            if self._error is not None:
                raise self._error
        return True

    def release(self, indices: NDArray[np.int64]) -> None:
        """Make room for as many more as of ``indices`` were to be read."""
        known = indices[indices < len(self._ordered)]
        with self._changed:
            self._room += int(self._ordered[known].sum())
            self._changed.notify_all()

    def _add_readers(self, count: int) -> None:
        most = min(READERS, len(self._order))
        for number in range(self._readers, min(self._readers + count, most)):
            Thread(target=self._work, name=f"read-{number}", daemon=True).start()
            self._readers += 1

    def _work(self) -> None:
        while (index := self._take()) is not None:
            error = None
            try:
                self._read(index)
            except BaseException as caught:  # is raised again where it is waited for
                error = caught
            with self._changed:
                self._pending[index] = False
                self._done += 1
                self._error = self._error or error
                self._changed.notify_all()

    def _take(self) -> int | None:
        with self._changed:
            while self._room <= 0 and self._next < len(self._order):
                self._changed.wait()
            if self._next >= len(self._order) or self._error is not None:
                return None
            index = int(self._order[self._next])
            self._next += 1
            self._room -= 1
            return index


def decoders() -> int:
    """How many images are decoded at the same time: as many as there are processors."""
    return len(os.sched_getaffinity(0))
