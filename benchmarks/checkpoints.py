"""What checkpoints cost: the same training with them and without.

``python -m benchmarks.checkpoints`` trains ResNet-18 on 2,000 pictures of Fashion-MNIST's size
(``examples/fashion_mnist``), as whole processes, in turn, and compares the medians of the seconds
that the epochs took and of the processor time of the process. The exit code is 1 when checkpoints
cost more than 3 %. ``--checkpoint-minutes`` is the default, or ``--minutes``: with less, what is
measured is that a checkpoint within an epoch waits until it is cheap.
"""

import argparse
import csv
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import torch

from benchmarks.command_line import exit_code, say
from benchmarks.pipeline import TRAIN, training_flags, write_untrained_model
from benchmarks.sides import ROOT, Side, ours_alone, processor, run

EXAMPLES = ROOT / "examples" / "fashion_mnist"

MOST = 0.03
"""The part of a run that checkpoints may cost."""


def train(ours: Side, model: Path, output: Path, minutes: float, epochs: int) -> list[float]:
    """The seconds of the epochs of a run, and the processor seconds of its process.

    Raises:
        BenchmarkError: it failed.
    """
    data = EXAMPLES / "train", EXAMPLES / "valid"
    flags = training_flags(model, *data, output, epochs=epochs, checkpoint_minutes=minutes)
    used = run(ours, TRAIN, flags, Path(f"{output}.log"))
    with open(output / "history.csv", encoding="utf-8", newline="") as file:
        seconds = sum(float(row["seconds"]) for row in csv.DictReader(file))
    return [seconds, used.processor_seconds]


def _holds(args: argparse.Namespace) -> bool:
    """Compare and print; whether checkpoints cost as little as they may."""
    ours = ours_alone()
    sides = {"without": 0.0, "with": args.minutes}
    taken: dict[str, list[list[float]]] = {side: [] for side in sides}
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        write_untrained_model(ours, work / "untrained")
        for number in range(args.runs):
            for side, minutes in sides.items():
                output = work / f"{side}-{number}"
                taken[side].append(train(ours, work / "untrained", output, minutes, args.epochs))
                say(f"run {number + 1}, {side}: {taken[side][-1]}")
    rows = {side: [median(v) for v in zip(*runs, strict=True)] for side, runs in taken.items()}
    ratios: list[float] = [after / before for before, after in zip(*rows.values(), strict=True)]
    sys.stdout.write(
        f"ResNet-18, 2,000 pictures of 28x28, {args.epochs} epochs, {args.runs} runs each\n"
        f"{processor()}; torch {torch.__version__}\n\n"
        f"checkpoints{'epochs':>12}{'processor':>12}\n"
        + "".join(f"{side:<11}{row[0]:>11.1f}s{row[1]:>11.1f}s\n" for side, row in rows.items())
        + f"{'ratio':<11}{ratios[0]:>12.3f}{ratios[1]:>12.3f}\n"
    )
    return ratios[0] <= 1 + MOST


def main(argv: Sequence[str] | None = None) -> int:
    """Compare; returns 0 when checkpoints cost little, 1 when not, 2 when it could not be told."""
    parser = argparse.ArgumentParser(prog="checkpoints", description=str(__doc__).splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="of each side; default 5")
    parser.add_argument("--epochs", type=int, default=5, help="of each run; default 5")
    parser.add_argument("--minutes", type=float, default=2.0, help="between two checkpoints")
    args = parser.parse_args(argv)
    return exit_code(lambda: _holds(args))


if __name__ == "__main__":
    sys.exit(main())
