"""Ours against the original: does the same training give at least as good a model?

``python -m benchmarks.accuracy`` trains a ResNet-18 with both on the same images of Fashion-MNIST
and compares what they wrote; the exit code is 1 when ours is worse.

Both are given the first 6,000 training and 1,000 test images (600 and 100 a class), the same
untrained model of each seed, 3 epochs, batch size 16, learning rate 0.001 and patience 3. Each
trains in a process of its own, on the CPU with one thread; what each wrote is scored by one
program, our Score Image Model, which reads both. The seed decides our first weights and order of
images, but only the original's order: it draws its weights unseeded, so its columns vary between
runs.

Ours is at least as good within the seeds' spread when its mean is worse than the original's by no
more than the spread, the larger of the two sides' distances between best and worst seed, in top-1
accuracy and in loss. Both are told of the 1,000 validation images and of all 10,000 test images;
the second decides the exit code, because on 1,000 images chance alone moves the accuracy of a
model by a point.

Measured on 2026-11-29::

    ResNet-18, 6,000 training and 1,000 validation images, 3 epochs
    AMD EPYC with AVX2, 2 cores, no GPU; torch 2.15.0 (ours), 2.8.0 (original)

    scored on 1,000 validation images:

    seed        ours: top-1             loss  original: top-1             loss
    1                85.20%           0.4155           85.90%           0.4148
    2                85.60%           0.4238           86.10%           0.4078
    3                87.10%           0.3905           86.00%           0.4297
    mean             85.97%           0.4099           86.00%           0.4174
    spread    85.20%–87.10%    0.3905–0.4238    85.90%–86.10%    0.4078–0.4297

    ours is at least as good within the seeds' spread: yes

    scored on 10,000 test images:

    seed        ours: top-1             loss  original: top-1             loss
    1                83.83%           0.4381           84.37%           0.4367
    2                83.50%           0.4361           84.21%           0.4294
    3                84.89%           0.4185           84.01%           0.4363
    mean             84.07%           0.4309           84.20%           0.4341
    spread    83.50%–84.89%    0.4185–0.4381    84.01%–84.37%    0.4294–0.4367

    ours is at least as good within the seeds' spread: yes

From the same weights and batches, in double precision, the two loops give the same losses to the
five digits compared, over 12 steps; in single precision they part after two, as two versions of
torch do.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks import command_line
from benchmarks.command_line import BenchmarkError, exit_code, multiple_of_ten, say, words
from benchmarks.fashion_mnist import DATA, write_class_folders
from benchmarks.pipeline import (
    COMPANIONS,
    ORIGINAL_TRAIN,
    PROBABILITY,
    TRAIN,
    training_flags,
    write_untrained_model,
)
from benchmarks.sides import Side, machine, run, sides

SCORED = ("validation", "test")
"""The sets of images that are scored; the last one decides."""


@dataclass(frozen=True)
class Quality:
    """How good a written model is on a set of images.

    Attributes:
        top1: the share of images whose most probable class is the true one.
        loss: the mean of ``-log(probability of the true class)``.
    """

    top1: float
    loss: float


def quality(scored: Path) -> Quality:
    """The quality that a table of Score Image Model shows, of images that are all labelled."""
    rows = pq.read_table(scored / "_data.parquet")
    truth = rows["category"]
    names = [name for name in rows.column_names if name.startswith(PROBABILITY)]
    column_of = {name.removeprefix(PROBABILITY): index for index, name in enumerate(names)}
    probabilities = np.stack([rows[name].to_numpy() for name in names], axis=1)
    of_truth = probabilities[np.arange(len(truth)), [column_of[name.as_py()] for name in truth]]
    tiny = np.finfo(np.float32).tiny  # the scorer's softmax is float32: what is smaller may be 0
    return Quality(
        top1=float(pc.mean(pc.equal(truth, rows["Scored Labels"])).as_py()),
        loss=float(-np.log(np.maximum(of_truth, tiny)).mean()),
    )


def compare(
    ours: Side, original: Side, work: Path, seeds: Sequence[int], epochs: int
) -> dict[str, tuple[list[Quality], list[Quality]]]:
    """Train with both sides from each seed and score what they wrote.

    Returns:
        For each set of images in SCORED, the qualities of ours and of the original's.

    Raises:
        BenchmarkError: a step failed.
    """
    for seed in seeds:
        write_untrained_model(ours, work / f"untrained_{seed}", seed=seed)

    def trained(side: Side, module: str, seed: int) -> dict[str, Quality]:
        model = work / f"{side.name}_{seed}"
        flags = training_flags(
            work / f"untrained_{seed}",
            work / "training",
            work / "validation",
            model,
            epochs=epochs,
            batch_size=16,
            learning_rate=0.001,
            random_seed=seed,
            patience=3,
        )
        run(side, module, flags, Path(f"{model}.log"))
        results = {}
        for images in SCORED:
            scored = work / f"{side.name}_{seed}_{images}"
            paths = {
                "--trained-model": model,
                "--dataset": work / images,
                "--scored-dataset": scored,
                "--device": "cpu",
            }
            run(ours, f"{COMPANIONS}.score_image_model", words(paths), Path(f"{scored}.log"))
            results[images] = quality(scored)
        say(f"seed {seed}, {side.name}: {results}")
        return results

    both = ((ours, TRAIN), (original, ORIGINAL_TRAIN))
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:  # a process of one thread each
        jobs = [pool.submit(trained, *side, seed) for seed in seeds for side in both]
        try:
            results = [job.result() for job in jobs]
        except BenchmarkError:
            pool.shutdown(cancel_futures=True)
            raise
    return {
        images: ([r[images] for r in results[::2]], [r[images] for r in results[1::2]])
        for images in SCORED
    }


def at_least_as_good(ours: Sequence[Quality], original: Sequence[Quality]) -> bool:
    """Whether our mean is not worse by more than the seeds' spread, in accuracy and in loss."""
    accuracy = [[q.top1 for q in side] for side in (ours, original)]
    errors = [[q.loss for q in side] for side in (ours, original)]
    behind = (fmean(accuracy[1]) - fmean(accuracy[0]), fmean(errors[0]) - fmean(errors[1]))
    spreads = [max(max(side) - min(side) for side in sides) for sides in (accuracy, errors)]
    return all(gap <= spread for gap, spread in zip(behind, spreads, strict=True))


def table(seeds: Sequence[int], ours: Sequence[Quality], original: Sequence[Quality]) -> str:
    """The results as text: a row a seed, then the mean and the spread of each side."""
    row = "{:<8}{:>15}{:>17}{:>17}{:>17}".format
    sides = (ours, original)
    columns = [[read(q) for q in side] for side in sides for read in (_top1, _loss)]
    formats = ["{:.2%}".format, "{:.4f}".format] * 2
    lines = [row("seed", "ours: top-1", "loss", "original: top-1", "loss")]
    for seed, *numbers in zip(seeds, *columns, strict=True):
        lines.append(row(seed, *(show(n) for show, n in zip(formats, numbers, strict=True))))
    shown = list(zip(formats, columns, strict=True))
    lines.append(row("mean", *(show(fmean(column)) for show, column in shown)))
    spreads = (f"{show(min(column))}–{show(max(column))}" for show, column in shown)
    lines.append(row("spread", *spreads))
    return "\n".join(lines)


def _top1(q: Quality) -> float:
    return q.top1


def _loss(q: Quality) -> float:
    return q.loss


def _holds(args: argparse.Namespace) -> bool:
    """Compare and print; whether ours is at least as good."""
    with tempfile.TemporaryDirectory() as temporary:
        work: Path = (args.work or Path(temporary) / "work").absolute()
        # One thread makes the numbers independent of the machine's number of cores, and is the
        # fastest where they are shared: threads that wait for a descheduled one cost several times
        # its work.
        ours, original = sides(args.classic, work, threads=1)
        if work.exists():
            raise BenchmarkError(f"{work} exists, expected a new folder for --work.")
        work.mkdir(parents=True)
        for part, name, count in (
            ("train", "training", args.images),
            ("t10k", "validation", args.validation),
            ("t10k", "test", args.test),
        ):
            write_class_folders(args.data, part, count, work / name)
        results = compare(ours, original, work, args.seeds, args.epochs)
    sys.stdout.write(
        f"ResNet-18, {args.images:,} training and {args.validation:,} validation images, "
        f"{args.epochs} epochs\n{machine(original)}\n"
    )
    for name, count in zip(SCORED, (args.validation, args.test), strict=True):
        good = at_least_as_good(*results[name])
        sys.stdout.write(
            f"\nscored on {count:,} {name} images:\n\n{table(args.seeds, *results[name])}\n\n"
            f"ours is at least as good within the seeds' spread: {'yes' if good else 'no'}\n"
        )
    return good


def main(argv: Sequence[str] | None = None) -> int:
    """Compare; returns 0 when ours is at least as good, 1 when not, 2 when it could not be told."""
    parser = command_line.parser("accuracy", str(__doc__))
    add = parser.add_argument
    add("--data", type=Path, default=DATA, metavar="DIR", help=f"the IDX files; default {DATA}")
    add(
        "--work",
        type=Path,
        metavar="DIR",
        help="a new folder to work in and to keep; default a temporary one",
    )
    add("--images", type=multiple_of_ten, default=6000, help="training images; default 6000")
    add("--validation", type=multiple_of_ten, default=1000, help="validation images; default 1000")
    add("--test", type=multiple_of_ten, default=10000, help="images to score; default all 10000")
    add("--epochs", type=int, default=3, help="default 3")
    add("--seeds", type=int, nargs="+", default=[1, 2, 3], help="default 1 2 3")
    args = parser.parse_args(argv)
    return exit_code(lambda: _holds(args))


if __name__ == "__main__":
    sys.exit(main())
