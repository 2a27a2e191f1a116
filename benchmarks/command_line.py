"""What the command lines of the benchmarks share, and the words of those that they run."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path


class BenchmarkError(Exception):
    """The comparison cannot be made; the message says why."""


def parser(prog: str, documentation: str) -> argparse.ArgumentParser:
    """A parser that knows where the original is installed; ``documentation`` begins with what for.

    Args:
        prog: the name of the benchmark.
        documentation: the docstring of its module.
    """
    made = argparse.ArgumentParser(prog=prog, description=documentation.splitlines()[0])
    made.add_argument(
        "--classic",
        type=Path,
        default=Path(".venv-classic"),
        metavar="VENV",
        help="the original's environment; default .venv-classic",
    )
    return made


def multiple_of_ten(text: str) -> int:
    """The type of a number of images that ten classes share.

    Raises:
        ArgumentTypeError: it is not a positive multiple of ten.
    """
    count = int(text)
    if count < 1 or count % 10:
        raise argparse.ArgumentTypeError(f"{count} is not a positive multiple of 10")
    return count


def words(flags: Mapping[str, object]) -> list[str]:
    """The words of a command line: each flag and its value."""
    return [str(word) for pair in flags.items() for word in pair]


def exit_code(holds: Callable[[], bool]) -> int:
    """Compare; 0 when what is claimed holds, 1 when not, 2 when it could not be told."""
    try:
        return 0 if holds() else 1
    except BenchmarkError as error:
        say(str(error))
        return 2


def say(text: str) -> None:
    """Progress, apart from the result on stdout."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
