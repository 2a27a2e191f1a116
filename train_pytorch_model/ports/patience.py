"""Storage that never answers: nothing interrupts a read, so another thread does the reading."""

import time
from collections.abc import Callable
from threading import Thread
from typing import TypeVar

from train_pytorch_model.errors import StorageTimeoutError

PATIENCE_S = 300.0
"""How long the storage may give nothing at all, before the run ends."""

IDLE_S = 0.001
"""Less processor time than any read takes that ends."""

Result = TypeVar("Result")


def answered(read: Callable[[], Result], source: str) -> Result:
    """What ``read`` returns; see ``begun``."""
    return begun(read, source)()


def begun(read: Callable[[], Result], source: str) -> Callable[[], Result]:
    """Begin to read in another thread, which is left behind when it hangs.

    It hangs when the whole process has done nothing for PATIENCE_S, so nothing else may be running
    but what is begun so.

    Args:
        read: reads a part of the inputs.
        source: what it reads, for the message: ``training_dataset``.

    Returns:
        What waits for it, and returns what ``read`` returns, or raises what that raises, or
        StorageTimeoutError when it hangs.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(read())
        except BaseException as error:  # is raised again in the thread that waits
            errors.append(error)

    thread = Thread(target=work, name=f"read {source}", daemon=True)
    thread.start()

    def wait() -> Result:
        while thread.is_alive():
            busy = time.process_time()
            thread.join(PATIENCE_S)
            if thread.is_alive() and time.process_time() - busy < IDLE_S:
                raise StorageTimeoutError(
                    f"{source}: nothing could be read for {PATIENCE_S:.0f} s, expected the storage "
                    "to answer; make sure that it does, and run again."
                )
        if errors:
            raise errors[0]
        return results[0]

    return wait
