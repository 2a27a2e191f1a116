"""What every command line of this package shares: how argv is read and how it exits."""

import argparse
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from train_pytorch_model.errors import UserError, printable


class ArgumentParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, and whose values may begin with a hyphen."""

    def error(self, message: str) -> NoReturn:
        """Exit with 2, argparse's code for a wrong command line."""
        self.exit(2, f"{self.prog}: {printable(message)}; see --help\n")

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """``parse_args`` with each flag joined to its value: ``--seed -1e3`` → ``--seed=-1e3``.

        argparse takes a value like ``-inf`` or ``-x/y`` for a flag; here every flag but ``--help``
        and ``--version`` has exactly one value, so the word after a flag is its value.
        """
        flags = {f for a in self._actions if a.nargs is None for f in a.option_strings}
        words = iter(argv)
        joined = []
        for word in words:
            value = next(words, None) if word in flags else None
            joined.append(word if value is None else f"{word}={value}")
        return self.parse_args(joined)


def directory(text: str) -> Path:
    """The path that ``text`` names; an empty text, which would mean the working directory, not."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the path is empty")
    return Path(text)


def exit_code(run: Callable[[], None]) -> int:
    """Call ``run``; a UserError becomes one line on stderr and its exit code, a bug a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the locale cannot print
    try:
        run()
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing is written\n")
        return 130
    return 0
