"""The images of a set, several at a time."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")

CHUNK = 4096
"""Images that wait for a thread at a time: a million of them would fill the memory."""


def in_threads(work: Callable[[int], Result], count: int) -> Iterator[Result]:
    """``work(0)``, ``work(1)``, …, ``work(count - 1)``, in that order, each called in a thread."""
    with ThreadPoolExecutor(decoding_threads(), "decode") as pool:
        try:
            for start in range(0, count, CHUNK):
                yield from pool.map(work, range(start, min(start + CHUNK, count)))
        finally:
            pool.shutdown(cancel_futures=True)


def decoding_threads() -> int:
    """Threads that read and decode: Pillow releases the GIL, and reading waits for storage."""
    return max(8, 2 * len(os.sched_getaffinity(0)))
