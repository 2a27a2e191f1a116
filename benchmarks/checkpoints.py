"""What checkpoints cost: the same training with them and without.

``python -m benchmarks.checkpoints`` trains ResNet-18 on 2,000 pictures of Fashion-MNIST's size
(``examples/fashion_mnist``), as whole processes, in turn, and compares the medians of the seconds
that the epochs took and of the processor time of the process. The exit code is 1 when checkpoints
cost more than 3 %. ``--checkpoint-minutes`` is the default, or ``--minutes``: with less, what is
measured is that a checkpoint within an epoch waits until it is cheap.
"""

import argparse
import csv
import os
import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import torch

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples" / "fashion_mnist"
MOST = 0.03
"""The part of a run that checkpoints may cost."""


def train(model: Path, output: Path, minutes: float, epochs: int) -> tuple[float, float]:
    """The seconds of the epochs of a run, and the processor seconds of its process."""
    flags = {
        "--untrained-model-path": model,
        "--train-data-path": EXAMPLES / "train",
        "--valid-data-path": EXAMPLES / "valid",
        "--trained-model-path": output,
        "--epochs": epochs,
        "--checkpoint-minutes": minutes,
    }
    words = [str(word) for pair in flags.items() for word in pair]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "train_pytorch_model", *words],
        check=True,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(output / "history.csv", encoding="utf-8", newline="") as file:
        seconds = sum(float(row["seconds"]) for row in csv.DictReader(file))
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of each side")
    parser.add_argument("--epochs", type=int, default=5, help="of each run")
    parser.add_argument("--minutes", type=float, default=2.0, help="between two checkpoints")
    arguments = parser.parse_args(argv)
    sides = {"without": 0.0, "with": arguments.minutes}
    taken: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "model")
        words = [
            "--untrained_model_path",
            str(model),
            "--model_name",
            "resnet18",
            "--pretrained",
            "False",
        ]
        subprocess.run(
            [sys.executable, "-m", "train_pytorch_model.companions.resnet", *words],
            check=True,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )
        for number in range(arguments.runs):
            for side, minutes in sides.items():
                output = Path(folder, f"{side}-{number}")
                taken[side].append(train(model, output, minutes, arguments.epochs))
                sys.stderr.write(f"run {number + 1}, {side}: {taken[side][-1]}\n")
    rows = [[median(values) for values in zip(*taken[side], strict=True)] for side in sides]
    ratios = [after / before for before, after in zip(*rows, strict=True)]
    sys.stdout.write(
        f"ResNet-18, 2,000 pictures of 28x28, {arguments.epochs} epochs, {arguments.runs} runs "
        f"each\n{platform.processor() or platform.machine()}, {os.cpu_count()} cores; "
        f"torch {torch.__version__}\n\n"
        f"checkpoints{'epochs':>12}{'processor':>12}\n"
        + "".join(
            f"{side:<11}{row[0]:>11.1f}s{row[1]:>11.1f}s\n"
            for side, row in zip(sides, rows, strict=True)
        )
        + f"{'ratio':<11}{ratios[0]:>12.3f}{ratios[1]:>12.3f}\n"
    )
    return int(ratios[0] > 1 + MOST)


if __name__ == "__main__":
    sys.exit(main())
