"""Ending, on a signal too: SIGTERM, when a node is taken away, and SIGINT, Ctrl-C.

The exit code is the shell's, 128 + the signal: 143 and 130. Azure asks for no other: a job whose
node is taken away is queued again whatever code it ends with (learn.microsoft.com/azure/batch/
batch-spot-vms; microsoft.github.io/ai4s-jobq/misc/10-preemption.html).
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

GRACE_S = 10
"""Seconds from SIGTERM to the end of the process, whatever it is doing."""

WORDS = {signal.SIGTERM: "terminated", signal.SIGINT: "interrupted"}


class TerminatedError(BaseException):
    """The run was told to end by a signal; like KeyboardInterrupt, no error to recover from.

    Args:
        number: the signal.
        kept: what is kept of the run, for its user; empty: nothing that is known of here.
    """

    def __init__(self, number: int, kept: str = "") -> None:
        super().__init__(number, kept)
        self.number = number
        self.kept = kept

    @property
    def exit_code(self) -> int:
        """What a shell says of a process that the signal has ended."""
        return 128 + self.number

    def __str__(self) -> str:
        """``terminated; nothing is written``."""
        return f"{WORDS[signal.Signals(self.number)]}; {self.kept or 'nothing is written'}"


class _Pending:
    """Signals belong to the process, and so does this."""

    deferred = False
    number = 0  # the signal that has come while it was deferred; 0: none


@contextmanager
def terminable() -> Iterator[None]:
    """Within the block, a signal raises TerminatedError, or waits for ``requested``.

    A process that has not ended GRACE_S seconds after SIGTERM, because it hangs in a read of a
    mount that is gone, is ended then.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may take signals
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    # Unlike a handler, which waits for the call that the main thread is in, it is written at once.
    previous_writer = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    previous = {number: signal.signal(number, _on_signal) for number in WORDS}
    ended = threading.Event()
    threading.Thread(target=_end_late, args=(reader, ended), name="watchdog", daemon=True).start()
    try:
        yield
        ended.set()
    except TerminatedError:
        raise  # the watchdog stays: a thread that hangs would hold up the end of the process
    except BaseException:
        ended.set()
        raise
    finally:
        _Pending.number = 0
        for number, handler in previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(previous_writer)
        os.close(writer)  # which ends the watchdog


@contextmanager
def deferred() -> Iterator[None]:
    """Within the block, the first signal only makes ``requested`` say so; a second one raises."""
    _Pending.deferred = True
    try:
        yield
    finally:
        _Pending.deferred = False


def requested() -> int:
    """The signal that has come within ``deferred``; 0 if none has."""
    return _Pending.number


def leave(code: int) -> NoReturn:
    """End the process, also where a thread hangs in a read of storage that never answers.

    Python would wait for the threads of a pool. After an error what any thread is at is of no use.
    """
    if code and threading.active_count() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _on_signal(number: int, frame: FrameType | None) -> None:
    if _Pending.deferred and not _Pending.number:
        _Pending.number = number
    else:
        raise TerminatedError(number)


def _end_late(reader: int, ended: threading.Event) -> None:
    """Read the numbers of signals until the pipe is closed; after SIGTERM, end the process."""
    with open(reader, "rb", buffering=0) as pipe:
        while signals := pipe.read(64):
            if signal.SIGTERM in signals and not ended.wait(GRACE_S - 1):
                sys.stderr.write(f"terminated; it has not ended within {GRACE_S} s by itself\n")
                os._exit(128 + signal.SIGTERM)
