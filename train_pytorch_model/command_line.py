"""What every command line of this package shares: how argv is read and how it exits."""

import argparse
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from train_pytorch_model import __version__
from train_pytorch_model.component import Component, Parameter, parse
from train_pytorch_model.errors import UserError, printable
from train_pytorch_model.termination import TerminatedError, terminable


def run_component(
    component: Component, argv: Sequence[str] | None, action: Callable[..., None]
) -> int:
    """Call ``action`` with what a command line gives; returns the exit code.

    Args:
        component: whose command line it is.
        argv: its words, without the program; None takes those of the process.
        action: takes each port, parameter and setting by name: ports as a Path (None for an
            optional one that is not given), the others as their values.
    """
    words = sys.argv[1:] if argv is None else argv
    return exit_code(lambda: action(**values_from(component, words)))


def values_from(component: Component, argv: Sequence[str]) -> dict[str, Any]:
    """What a command line gives: the value of each port, parameter and setting, by name.

    Raises:
        ParameterError: one or more parameters are ill-typed or out of range.
        SystemExit: with 2, the command line is not of the form that ``--help`` shows.
    """
    given = vars(_parser(component).parse(argv))
    paths = {port.name: given.pop(port.name) for port in component.ports}
    texts = {name: text for name, text in given.items() if text is not None}
    return {**paths, **parse((*component.parameters, *component.settings), texts)}


def exit_code(run: Callable[[], None]) -> int:
    """Call ``run``; returns the exit code.

    A UserError, and the end by a signal, become one line on stderr; a bug keeps its traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the locale cannot print
    try:
        with terminable():
            run()
    except (UserError, TerminatedError) as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


class _Parser(argparse.ArgumentParser):
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


def _parser(component: Component) -> _Parser:
    parser = _Parser(
        prog=f"python -m {component.module}", description=component.description, allow_abbrev=False
    )
    ports = parser.add_argument_group("ports")
    for port in component.ports:
        ports.add_argument(
            port.flag,
            dest=port.name,
            required=not port.optional,
            metavar="FILE" if port.type == "AnyFile" else "DIR",
            type=_path,
            help=_in_help(port.help),
        )
    _add(parser, "parameters", component.parameters)
    _add(parser, "settings that need no thought", component.settings)
    parser.add_argument("--version", action="version", version=__version__)
    return parser


def _add(parser: _Parser, title: str, parameters: Sequence[Parameter]) -> None:
    """Take each parameter as text: ``parse`` says what is wrong with all of them at once."""
    group = parser.add_argument_group(title) if parameters else parser
    for p in parameters:
        group.add_argument(
            p.flag,
            dest=p.name,
            metavar=p.type.__name__.upper(),
            help=_in_help(f"{p.help} {_sentence(p.expected)}; default {p.without_flag}."),
        )


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _in_help(text: str) -> str:
    """``text`` for argparse, which formats it with ``%``."""
    return text.replace("%", "%%")


def _path(text: str) -> Path:
    """The path that ``text`` names; an empty text, which would mean the working directory, not."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the path is empty")
    return Path(text)
