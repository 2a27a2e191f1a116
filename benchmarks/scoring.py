"""Ours against the original: how long does Score Image Model take, and how much memory?

``python -m benchmarks.scoring`` has both score the same 1,000 images of Fashion-MNIST with the same
ResNet-18, as whole processes, in turn: as they are, of 28x28 pixels, and enlarged to 224x224. Then
ours alone scores lists of ever more images of 8x8 pixels, for its peak memory. The exit code is 1
when ours is not FASTER times as fast, or a probability differs by more than APART.

Both read the same directories from the disk's cache and choose their threads; what is compared is
the median of the runs. Large images are almost nothing but convolutions, which both leave to
the same library.

Measured on 2026-11-29 with ``--runs 3``, on an AMD EPYC with AVX2, 2 cores::

                            median   fastest–slowest    images/s
    28x28     ours            4.3s         4.3s–4.4s         232
    28x28     original       25.7s       25.1s–27.6s          39
    224x224   ours           30.5s       29.5s–30.9s          33
    224x224   original       63.6s       60.1s–65.9s          16

    28x28: 5.9 times as fast, expected at least 5: yes; probabilities differ by 4e-06
    224x224: 2.1 times as fast, expected at least 1: yes; probabilities differ by 3e-10

    images scored   peak memory
            1,000        801 MB
           10,000        808 MB
          100,000        835 MB
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from benchmarks import command_line
from benchmarks.command_line import BenchmarkError, exit_code, multiple_of_ten, say, words
from benchmarks.fashion_mnist import EXAMPLES
from benchmarks.pipeline import (
    COMPANIONS,
    PROBABILITY,
    TRAIN,
    training_flags,
    write_image_directory,
    write_untrained_model,
)
from benchmarks.sides import Side, machine, run, sides

OURS = f"{COMPANIONS}.score_image_model"
ORIGINAL = "azureml.designer.modules.dl.pytorch.score.score_image_model.module_invoker"

FASTER = {28: 5.0, 224: 1.0}
"""Size of the images → how many times as fast ours is to be."""

APART = 1e-4
"""How far apart probabilities may be: single precision through twenty layers, in two versions of
PyTorch, ours with normalisation fused into the convolutions."""

LISTS = (1_000, 10_000, 100_000)
"""The images whose scoring is measured for its memory."""


def write_class_folders(count: int, size: int, target: Path) -> None:
    """Write the first ``count`` images, as many of each class, as ``target/class/number.png``."""
    folders = sorted(folder for folder in EXAMPLES.iterdir() if folder.is_dir())
    for folder in folders:
        (target / folder.name).mkdir(parents=True)
        for file in sorted(folder.iterdir())[: count // len(folders)]:
            with Image.open(file) as image:
                enlarged = image.resize((size, size), Image.Resampling.BICUBIC)
            enlarged.save(target / folder.name / file.name)


def write_list(count: int, source: Path, target: Path) -> None:
    """Write an image directory that lists ten images of 8x8 pixels ``count`` times."""
    (target / "image").mkdir(parents=True)
    lines = (source / "images.lst").read_text().splitlines()
    rows = [json.loads(line) for line in lines[:: len(lines) // 10]][:10]
    for number, row in enumerate(rows):
        with Image.open(source / row["image_info"]["file_name"]) as image:
            image.resize((8, 8)).save(target / "image" / f"{number}.png")
    with open(target / "images.lst", "w", encoding="ascii") as file:
        for index in range(count):
            reference = {"image_info": {"file_name": f"image/{index % 10}.png"}}
            file.write(json.dumps({**rows[index % 10], **reference, "id": index}) + "\n")
    for name in ("_meta.yaml", "_schema.json"):
        shutil.copyfile(source / name, target / name)


def train(ours: Side, images: Path, work: Path) -> Path:
    """A ResNet-18 that has seen the images once."""
    untrained, trained = work / "untrained", work / "trained"
    write_untrained_model(ours, untrained)
    flags = training_flags(untrained, images, images, trained, epochs=1)
    run(ours, TRAIN, flags, work / "train.log")
    return trained


def flags_for(model: Path, images: Path, target: Path) -> list[str]:
    """The flags of Score Image Model, which both share."""
    return words({"--trained-model": model, "--dataset": images, "--scored-dataset": target})


def seconds(side: Side, module: str, flags: Sequence[str], number: int) -> float:
    """How long a side's process takes; its output replaces that of its last run."""
    target = Path(flags[-1])
    shutil.rmtree(target, ignore_errors=True)
    taken = run(side, module, flags, Path(f"{target}.log")).seconds
    say(f"run {number}, {target.name}: {taken:.1f}s")
    return taken


def difference(first: Path, second: Path) -> float:
    """How far the probabilities of two scored data sets are apart, at most.

    Raises:
        BenchmarkError: they differ in anything else than probabilities.
    """
    tables = [pq.read_table(folder / "_data.parquet") for folder in (first, second)]
    names = [name for name in tables[0].column_names if name.startswith(PROBABILITY)]
    others = [table.drop(names) for table in tables]
    if tables[0].column_names != tables[1].column_names or not others[0].equals(others[1]):
        raise BenchmarkError(f"{first} and {second} have other columns, or other labels.")
    values = [np.stack([table[name].to_numpy() for name in names]) for table in tables]
    return float(np.abs(values[0] - values[1]).max())


def table(size: int, ours: Sequence[float], original: Sequence[float], images: int) -> str:
    """The times as text: a row a side."""
    row = "{:<10}{:<10}{:>10}{:>18}{:>12}".format
    lines = []
    for name, times in (("ours", ours), ("original", original)):
        middle = median(times)
        spread = f"{min(times):.1f}s–{max(times):.1f}s"
        lines.append(
            row(f"{size}x{size}", name, f"{middle:.1f}s", spread, f"{images / middle:.0f}")
        )
    return "\n".join(lines)


def compare(
    ours: Side, original: Side, args: argparse.Namespace, work: Path
) -> dict[int, tuple[list[float], list[float], float]]:
    """Score with both, in turn.

    Returns:
        Size of the images → the seconds of ours, of the original's, and how far the probabilities
        are apart.

    Raises:
        BenchmarkError: a step failed.
    """
    for size in FASTER:
        write_class_folders(args.images, size, work / f"folders_{size}")
        write_image_directory(ours, work / f"folders_{size}", work / f"images_{size}")
    model = train(ours, work / "images_28", work)
    found = {}
    for size in FASTER:
        targets = [work / f"{side.name}_{size}" for side in (ours, original)]
        flags = [flags_for(model, work / f"images_{size}", target) for target in targets]
        times: tuple[list[float], list[float]] = ([], [])
        for number in range(args.runs):
            times[0].append(seconds(ours, OURS, flags[0], number))
            times[1].append(seconds(original, ORIGINAL, flags[1], number))
        found[size] = (*times, difference(*targets))
    return found


def memory(ours: Side, work: Path) -> dict[int, float]:
    """Images → the peak memory, in MB, of scoring that many."""
    peaks = {}
    for count in LISTS:
        write_list(count, work / "images_28", work / f"list_{count}")
        flags = flags_for(work / "trained", work / f"list_{count}", work / f"scored_{count}")
        peaks[count] = run(ours, OURS, flags, work / f"scored_{count}.log").megabytes
        say(f"{count:,} images: {peaks[count]:.0f} MB")
    return peaks


def _holds(args: argparse.Namespace) -> bool:
    """Compare and print; whether ours is fast enough and equal."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        ours, original = sides(args.classic, work)
        found = compare(ours, original, args, work)
        peaks = memory(ours, work)
    write = sys.stdout.write
    write(f"ResNet-18, {args.images:,} images, {args.runs} runs each\n{machine(original)}\n\n")
    write(f"{'':<20}{'median':>10}{'fastest–slowest':>18}{'images/s':>12}\n")
    for size, (own, theirs, _) in found.items():
        write(table(size, own, theirs, args.images) + "\n")
    good = True
    write("\n")
    for size, (own, theirs, apart) in found.items():
        ratio = median(theirs) / median(own)
        good &= ratio >= FASTER[size] and apart <= APART
        write(
            f"{size}x{size}: {ratio:.1f} times as fast, expected at least {FASTER[size]:g}: "
            f"{'yes' if ratio >= FASTER[size] else 'no'}; probabilities differ by {apart:.0e}\n"
        )
    write("\nimages scored   peak memory\n")
    for count, peak in peaks.items():
        write(f"{count:>13,}{peak:>11,.0f} MB\n")
    return good


def main(argv: Sequence[str] | None = None) -> int:
    """Compare; returns 0 when ours is fast enough and equal, 1 when not, 2 when nobody knows."""
    parser = command_line.parser("scoring", str(__doc__))
    add = parser.add_argument
    add("--images", type=multiple_of_ten, default=1000, help="a multiple of ten; default 1000")
    add("--runs", type=int, default=5, help="of each side and size; default 5")
    args = parser.parse_args(argv)
    return exit_code(lambda: _holds(args))


if __name__ == "__main__":
    sys.exit(main())
