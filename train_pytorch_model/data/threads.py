"""The images of a set, several at a time."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")

AHEAD = 1024
"""How many are begun before they are taken: a million that wait would fill the memory."""


def in_threads(work: Callable[[int], Result], count: int, ahead: int = AHEAD) -> Iterator[Result]:
    """``work(0)``, ``work(1)``, …, ``work(count - 1)``, in that order, each called in a thread.

    Args:
        work: what to do for an index.
        count: how many there are.
        ahead: how many are begun, or done, before the first of them is taken.
    """
    begun: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(decoding_threads(), "decode") as pool:
        try:
            for index in range(count):
                if len(begun) == ahead:
                    yield begun.popleft().result()
                begun.append(pool.submit(work, index))
            while begun:
                yield begun.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def decoding_threads() -> int:
    """Threads that read and decode: Pillow releases the GIL, and reading waits for storage."""
    return max(8, 2 * len(os.sched_getaffinity(0)))
