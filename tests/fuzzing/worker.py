"""A process that runs fuzz targets for another: an input may hang or kill it, and is then named.

The audit hook of ``targets`` stays in this process too. In the tests' own it would be called while
coverage installs its trace function in a new thread, which Python 3.11 does not survive.
"""

import multiprocessing
import traceback
from multiprocessing.connection import Connection

SECONDS = 10
"""More than any input takes on a busy machine."""


class Worker:
    """Runs targets in a process, and in a new one after an input that hangs or kills it."""

    def __init__(self) -> None:
        self._begin()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._connection.close()

    def run(self, target: str, data: bytes) -> str:
        """What ``targets.run`` returns.

        Raises:
            AssertionError: it raised something, hung or died.
        """
        self._connection.send((target, data))
        try:
            if self._connection.poll(SECONDS):
                message, trace = self._connection.recv()
                assert trace is None, trace
                assert isinstance(message, str)
                return message
        except EOFError:
            self._process.join()
            why = f"exit code {self._process.exitcode}"
        else:
            why = f"no end after {SECONDS} s"
        self.close()
        self._begin()
        raise AssertionError(f"{target}: {why}")

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        self._connection.recv()  # until it has imported what it needs


def _serve(connection: Connection) -> None:
    from tests.fuzzing.targets import run

    connection.send("ready")
    while True:
        target, data = connection.recv()
        try:
            answer = run(target, data), None
        except Exception:
            answer = "", traceback.format_exc()
        connection.send(answer)
