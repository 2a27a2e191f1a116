"""The command line: argv → Job → train()."""

import argparse
import sys
from collections.abc import Callable, Sequence

from train_pytorch_model import __version__
from train_pytorch_model.arguments import ArgumentParser, directory, exit_code
from train_pytorch_model.contract import DESCRIPTION, NAME, PORTS
from train_pytorch_model.job import Job
from train_pytorch_model.params import PARAMETERS, parse


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog=NAME,
        description=DESCRIPTION,
        allow_abbrev=False,
    )
    ports = parser.add_argument_group("ports")
    for port in PORTS:
        ports.add_argument(
            port.flag, dest=port.name, required=True, metavar="DIR", type=directory, help=port.help
        )
    parameters = parser.add_argument_group("parameters")
    for p in PARAMETERS:
        parameters.add_argument(
            p.flag,
            dest=p.name,
            default=str(p.default),
            metavar=p.type.__name__.upper(),
            help=f"{p.help} {p.expected.capitalize()}; default {p.default}.",
        )
    settings = parser.add_argument_group("settings that need no thought")
    settings.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="auto takes the GPU where there is one; default auto.",
    )
    settings.add_argument(
        "--num-warmup-steps",
        dest="warmup_epochs",
        type=_integer(0),
        default=0,
        metavar="INT",
        help="Epochs in which the learning rate rises from 1e-4 to its initial value; default 0.",
    )
    settings.add_argument(
        "--print-freq",
        dest="print_frequency",
        type=_integer(1),
        default=100,
        metavar="INT",
        help="Batches between two updates of the progress bar's loss; default 100.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    return parser


def _integer(minimum: int) -> Callable[[str], int]:
    def integer(text: str) -> int:
        value = int(text)
        if value < minimum:
            raise argparse.ArgumentTypeError(f"{value} is less than {minimum}")
        return value

    return integer


def job_from(argv: Sequence[str]) -> Job:
    """The job that a command line asks for.

    Raises:
        ParameterError: one or more of the five parameters are ill-typed or out of range.
        SystemExit: with 2, the command line is not of the form that ``--help`` shows.
    """
    args = vars(_parser().parse(argv))
    params = parse({p.name: args.pop(p.name) for p in PARAMETERS})
    return Job(params=params, **args)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the component; returns its exit code."""
    return exit_code(lambda: _train(sys.argv[1:] if argv is None else argv))


def _train(argv: Sequence[str]) -> None:
    job = job_from(argv)
    from train_pytorch_model.train import train  # torch takes seconds to import; --help needs none

    train(job)
