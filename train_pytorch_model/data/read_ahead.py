"""Images read by threads in the order in which they will be wanted, ahead of that."""

import math
import os
import time
from collections.abc import Callable
from threading import Condition, Lock, Thread

import numpy as np
from numpy.typing import NDArray

READERS = 32
"""The most threads that read: on a network mount each waits for the storage most of the time."""

IMPATIENCE_S = 0.1
"""After so much waiting in which the processors were idle there are twice as many readers.

On a local disk more readers than processors only wait for each other, and a training thread among
them.
"""

SMALL_PIXELS = 64 * 64
"""Images below this size are decoded one at a time.

Of the time that they take Python's lock is held for most; two threads took 1.5 times as long as one
for images of 28x28 pixels, as long as one for 64x64, and two thirds as long for 224x224.
"""

AT_LEISURE = 8
"""What nothing waits for takes an eighth of the processors.

A training step needs Python's lock hundreds of times: beside two threads that decoded images of
28x28 pixels without a pause, a step of 0.05 s took 3 s.
"""


class ReadAhead:
    """Threads that call ``read(index)`` for each index of an order, from now on; to be closed.

    The threads are daemons: one that waits for a storage which never answers does not keep the
    process from ending. One thread at a time may wait for them.

    Args:
        read: reads one image. What it raises is raised in the thread that waits.
        order: (m,) int64, the indices, each once.
        room: how many of them are read at once, and not yet released.
        processors: how many can be made use of.
        at_leisure: whether those beyond ``room`` are read too, with an eighth of the processors.
    """

    def __init__(
        self,
        read: Callable[[int], None],
        order: NDArray[np.int64],
        room: int,
        processors: int = 1,
        at_leisure: bool = False,
    ) -> None:
        self._read = read
        self._order = order
        self._pending = np.zeros(int(order.max(initial=-1)) + 1, bool)
        self._pending[order] = True
        self._ordered = self._pending.copy()
        self._room = room
        self._processors = processors
        self._at_leisure = at_leisure
        self._next = 0
        self._done = 0
        self._cpu_s = 0.0
        self._waited_s = 0.0  # since there are so many readers
        self._waited_cpu_s = 0.0
        self._error: BaseException | None = None
        self._awaited = np.zeros(len(self._pending), bool)
        self._missing = 0
        self._lock = Lock()
        self._arrived = Condition(self._lock)  # what is awaited
        self._allowed = Condition(self._lock)  # to begin another
        self._idle = 0
        self._resting = False
        self._readers = 0
        self._add_readers(processors)

    def close(self) -> None:
        """Begin no further image. Those that are being read are not waited for."""
        with self._lock:
            self._next = len(self._order)
            self._allowed.notify_all()

    def wait(self, indices: NDArray[np.int64], seconds: float) -> bool:
        """Wait until each of ``indices`` has been read.

        Returns:
            Whether they have; False once no image at all has been read for ``seconds``.
        """
        known = indices[indices < len(self._pending)]
        with self._lock:
            missing = known[self._pending[known]]
            self._awaited[missing], self._missing = True, len(missing)
            answered = time.monotonic()
            while self._error is None and self._missing:
                done, cpu_s, began = self._done, self._cpu_s, time.monotonic()
                self._arrived.wait(IMPATIENCE_S)
                now = time.monotonic()
                if self._done != done:
                    answered = now
                elif now - answered > seconds:
                    self._awaited[missing] = False
                    return False
                self._grow_impatient(now - began, self._cpu_s - cpu_s)
            if self._error is not None:
                raise self._error
        return True

    def release(self, indices: NDArray[np.int64]) -> None:
        """Make room for as many more as of ``indices`` were to be read."""
        known = indices[indices < len(self._ordered)]
        self.make_room(int(self._ordered[known].sum()))

    def make_room(self, count: int) -> None:
        """Make room for so many more."""
        with self._lock:
            self._room += count
            self._allowed.notify(count)

    def _grow_impatient(self, waited_s: float, cpu_s: float) -> None:
        """Take more readers where the storage has kept them waiting, and not the processors."""
        self._waited_s += waited_s
        self._waited_cpu_s += cpu_s
        if self._waited_s >= IMPATIENCE_S:
            if self._waited_cpu_s < self._processors * self._waited_s / 2:
                self._add_readers(self._readers)
            self._waited_s = self._waited_cpu_s = 0.0

    def _add_readers(self, count: int) -> None:
        most = min(READERS, len(self._order))
        for number in range(self._readers, min(self._readers + count, most)):
            Thread(target=self._work, name=f"read-{number}", daemon=True).start()
            self._readers += 1

    def _work(self) -> None:
        while (index := self._take()) is not None:
            error = None
            began = time.thread_time()
            try:
                self._read(index)
            except BaseException as caught:  # is raised again where it is waited for
                error = caught
            self._finish(index, time.thread_time() - began, error)

    def _finish(self, index: int, cpu_s: float, error: BaseException | None) -> None:
        with self._lock:
            self._pending[index] = False
            self._done += 1
            self._cpu_s += cpu_s
            self._error = self._error or error
            if self._awaited[index]:
                self._awaited[index] = False
                self._missing -= 1
            if self._error is not None or not self._missing:
                self._arrived.notify_all()

    def _take(self) -> int | None:
        """The next index, once it may be read; None at the end."""
        with self._lock:
            while self._room <= 0 and not self._is_over():
                if self._rested():
                    break
            if self._is_over():
                self._allowed.notify_all()
                return None
            index = int(self._order[self._next])
            self._next += 1
            self._room -= 1
            return index

    def _is_over(self) -> bool:
        return self._next >= len(self._order) or self._error is not None

    def _rested(self) -> bool:
        """Wait until there may be room; whether it is time for one that is read at leisure."""
        if not self._at_leisure or self._resting:
            self._idle += 1
            self._allowed.wait()
            self._idle -= 1
            return False
        self._resting = True
        cost_s = self._cpu_s / self._done if self._done else IMPATIENCE_S
        called = self._allowed.wait(cost_s * AT_LEISURE / self._processors)
        self._resting = False
        if self._idle:
            self._allowed.notify()  # who rests in its turn
        elif not called:
            self._add_readers(1)  # the others wait for the storage
        return not called


def decoders(size: tuple[int, int]) -> int:
    """How many images of (height, width) pixels are decoded at the same time, at most."""
    return 1 if math.prod(size) < SMALL_PIXELS else len(os.sched_getaffinity(0))
