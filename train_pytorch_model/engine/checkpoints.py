"""When a run is written down: so often that little is lost, so rarely that it costs nothing."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Thread
from typing import Any, Literal

from torch import Tensor

from train_pytorch_model.engine.state import TrainState
from train_pytorch_model.report.console import warn
from train_pytorch_model.termination import TerminatedError, deferred, requested

COST_RATIO = 40
"""A checkpoint is this many times as old as it took, at least, before the next: 2.5 % of a run.

What it took is the time of the copy and the processor time of the writing. Waiting for a disk is
not counted: training goes on meanwhile.
"""

AGAIN = "run the same command again to go on"

Copy = tuple[Mapping[str, Any], Mapping[str, Tensor]]
"""Of a state; see ``TrainState.snapshot``."""

Write = Callable[[Mapping[str, Any], Mapping[str, Tensor]], None]
"""Writes a copy to where the next run finds it; raises OSError."""


class Checkpoints:
    """Keeps the state of a run at the end of an epoch, and every so often within one.

    A thread writes a copy; while it is busy, there is no other. What cannot be written costs one
    warning, and is tried again.

    Args:
        write: None keeps nothing.
        every_s: the seconds between two checkpoints within an epoch.
    """

    def __init__(self, write: Write | None, every_s: float = math.inf) -> None:
        self._write = write
        self._every_s = every_s
        self._thread: Thread | None = None
        self._took_s = 0.0
        self._last = time.monotonic()
        self._warned = False

    def step(self, state: TrainState) -> None:
        """Between two batches, of training or of evaluation.

        Raises:
            TerminatedError: a signal has come; the state is written.
        """
        if number := requested():
            kept = self._keep_now(state.snapshot)
            raise TerminatedError(number, f"{AGAIN} {state.position}" if kept else "")
        self._keep_if_older(state, self._every_s)

    def epoch(self, state: TrainState) -> None:
        """Between two epochs."""
        self._keep_if_older(state, 0)

    def finish(self, state: TrainState) -> None:
        """After the last epoch: the next run has only the model to write."""
        self._keep_now(state.result)

    def close(self) -> None:
        """Wait for what is being written."""
        if self._thread is not None:
            self._thread.join()

    def _keep_if_older(self, state: TrainState, seconds: float) -> None:
        if self._write is None or (self._thread is not None and self._thread.is_alive()):
            return
        began = time.monotonic()
        if began - self._last < max(seconds, COST_RATIO * self._took_s):
            return
        try:
            copy = state.snapshot()
            arguments = (copy, time.monotonic() - began)
            self._thread = Thread(target=self._keep, args=arguments, name="checkpoint", daemon=True)
            self._thread.start()
        except (MemoryError, RuntimeError) as error:  # no memory on the device, or for a thread
            self._thread = None
            self._failed(error)

    def _keep_now(self, take: Callable[[], Copy]) -> bool:
        """Write what ``take`` gives, and wait for it; whether it is written."""
        self.close()
        if self._write is None:
            return False
        try:
            return self._keep(take(), 0.0)
        except (MemoryError, RuntimeError) as error:
            return self._failed(error)

    def _keep(self, copy: Copy, took_s: float) -> bool:
        """Write a copy that took so long; whether it is written."""
        assert self._write is not None, "nobody keeps what is not to be written"
        began = time.thread_time()
        try:
            self._write(*copy)
        except (OSError, MemoryError) as error:
            return self._failed(error)
        finally:
            self._took_s = took_s + time.thread_time() - began
            self._last = time.monotonic()
        return True

    def _failed(self, error: Exception) -> Literal[False]:
        self._last = time.monotonic()
        if not self._warned:
            why = getattr(error, "strerror", None) or type(error).__name__
            warn(
                f"trained_model: a checkpoint cannot be written ({why}); training goes on, and "
                "tries again later. If it is stopped, it begins again at the last one."
            )
        self._warned = True
        return False


@contextmanager
def keeping(write: Write, every_s: float) -> Iterator[Checkpoints]:
    """The checkpoints of a run, every ``every_s`` seconds or, where that is 0, none.

    Within the block, a signal waits for the next step; after the last, for the end of the block.

    Raises:
        TerminatedError: a signal has come.
    """
    checkpoints = Checkpoints(write if every_s else None, every_s)
    with deferred():
        try:
            yield checkpoints
        finally:
            checkpoints.close()
    if number := requested():
        raise TerminatedError(number)
