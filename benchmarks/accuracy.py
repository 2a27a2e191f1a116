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

Measured on two cores of an Intel Xeon, 2026-11-22::

    ResNet-18, 6,000 training and 1,000 validation images, 3 epochs
    Intel(R) Xeon(R) Processor, 2 cores, no GPU; torch 2.15.0 (ours), 2.8.0 (original)

    scored on 1,000 validation images:

    seed        ours: top-1             loss  original: top-1             loss
    1                85.70%           0.3954           86.00%           0.4031
    2                85.60%           0.4152           86.80%           0.3930
    3                86.10%           0.3958           86.40%           0.4085
    mean             85.80%           0.4021           86.40%           0.4016
    spread    85.60%–86.10%    0.3954–0.4152    86.00%–86.80%    0.3930–0.4085

    ours is at least as good within the seeds' spread: yes

    scored on 10,000 test images:

    seed        ours: top-1             loss  original: top-1             loss
    1                84.17%           0.4313           84.59%           0.4300
    2                83.98%           0.4346           84.94%           0.4188
    3                84.30%           0.4271           83.85%           0.4280
    mean             84.15%           0.4310           84.46%           0.4256
    spread    83.98%–84.30%    0.4271–0.4346    83.85%–84.94%    0.4188–0.4300

    ours is at least as good within the seeds' spread: yes

From the same weights and batches, in double precision, the two loops give the same losses to the
five digits compared, over 12 steps; in single precision they part after two, as two versions of
torch do.
"""

import argparse
import gzip
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import fmean

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

ROOT = Path(__file__).parent.parent
DATA = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package ``dataset-fashion-mnist`` puts its files."""

CLASSES = (
    "T-shirt_top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle_boot",
)
"""The names of Fashion-MNIST's labels 0…9."""

OURS = "train_pytorch_model"
COMPANIONS = "train_pytorch_model.companions"
ORIGINAL = "azureml.designer.modules.dl.pytorch.train.train_pytorch_model"
PROBABILITY = "Scored Probabilities_"

SCORED = ("validation", "test")
"""The sets of images that are scored; the last one decides."""


class BenchmarkError(Exception):
    """The comparison cannot be made; the message says why."""


@dataclass(frozen=True)
class Quality:
    """How good a written model is on a set of images.

    Attributes:
        top1: the share of images whose most probable class is the true one.
        loss: the mean of ``-log(probability of the true class)``.
    """

    top1: float
    loss: float


@dataclass(frozen=True)
class Side:
    """One of the two that are compared: how its training is started.

    Attributes:
        name: of its files and in the progress.
        python: its interpreter.
        module: what ``python -m`` runs.
        folder: the working directory.
        environment: the environment variables.
    """

    name: str
    python: Path
    module: str
    folder: Path
    environment: Mapping[str, str]


def sides(classic: Path, work: Path) -> tuple[Side, Side]:
    """Ours and the original, both on the CPU with one thread.

    One thread makes the numbers independent of the machine's number of cores, and is the fastest
    where they are shared: threads that wait for a descheduled one cost several times its work.
    """
    ours = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    original = {name: value for name, value in ours.items() if name != "PYTHONPATH"}
    # Not resolved: a virtual environment's interpreter is a link, and known by the link's place.
    python = classic.absolute() / "bin" / "python"
    return (
        Side("ours", Path(sys.executable), OURS, ROOT, ours),
        Side("original", python, ORIGINAL, work, original),
    )


def read_idx(file: Path) -> NDArray[np.uint8]:
    """Read an IDX file of bytes, gzipped: an array of as many dimensions as its header says."""
    content = gzip.decompress(file.read_bytes())
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", count=dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def write_class_folders(data: Path, part: str, per_class: int, target: Path) -> None:
    """Write the first ``per_class`` images of each class as ``target/class/number.png``.

    Args:
        data: the folder of the IDX files.
        part: their prefix, ``train`` or ``t10k``.
        per_class: how many images of each class.
        target: a folder that does not exist yet.

    Raises:
        BenchmarkError: ``data`` has no such file, or too few images of a class.
    """
    files = [data / f"{part}-{what}-ubyte.gz" for what in ("images-idx3", "labels-idx1")]
    for file in files:
        if not file.is_file():
            raise BenchmarkError(
                f"{file} does not exist; install the Debian package dataset-fashion-mnist, or name "
                "the folder of these files with --data."
            )
    images, labels = map(read_idx, files)
    for label, name in enumerate(CLASSES):
        chosen = np.flatnonzero(labels == label)[:per_class]
        if len(chosen) < per_class:
            raise BenchmarkError(
                f"{files[0]} has {len(chosen)} images of {name}, expected at least {per_class}."
            )
        (target / name).mkdir(parents=True)
        for index in chosen.tolist():
            Image.fromarray(images[index]).save(target / name / f"{index:05d}.png")


def training_flags(work: Path, output: Path, seed: int, epochs: int) -> list[str]:
    """The flags of a training, which ours and the original share."""
    flags = {
        "--untrained-model-path": work / f"untrained_{seed}",
        "--train-data-path": work / "training",
        "--valid-data-path": work / "validation",
        "--trained-model-path": output,
        "--epochs": epochs,
        "--batch-size": 16,
        "--learning-rate": 0.001,
        "--random-seed": seed,
        "--patience": 3,
    }
    return [str(word) for pair in flags.items() for word in pair]


def run(side: Side, module: str, flags: Sequence[str], log: Path) -> None:
    """Run a module of a side, its output in ``log``.

    Raises:
        BenchmarkError: it failed; the message has the end of its output.
    """
    command = [str(side.python), "-m", module, *flags]
    with log.open("w") as output:
        process = subprocess.run(
            command,
            cwd=side.folder,
            env=side.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if process.returncode:
        last = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
        raise BenchmarkError(f"{' '.join(command)}\nended with {process.returncode}:\n{last}")


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
        flags = ["--untrained_model_path", str(work / f"untrained_{seed}")]
        flags += ["--model_name", "resnet18", "--pretrained", "False", "--random_seed", str(seed)]
        run(ours, f"{COMPANIONS}.resnet", flags, work / f"untrained_{seed}.log")

    def trained(side: Side, seed: int) -> dict[str, Quality]:
        model = work / f"{side.name}_{seed}"
        run(side, side.module, training_flags(work, model, seed, epochs), Path(f"{model}.log"))
        results = {}
        for images in SCORED:
            scored = work / f"{side.name}_{seed}_{images}"
            flags = ["--trained-model", str(model), "--dataset", str(work / images)]
            flags += ["--scored-dataset", str(scored), "--device", "cpu"]
            run(ours, f"{COMPANIONS}.score_image_model", flags, Path(f"{scored}.log"))
            results[images] = quality(scored)
        _say(f"seed {seed}, {side.name}: {results}")
        return results

    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:  # a process of one thread each
        jobs = [pool.submit(trained, side, seed) for seed in seeds for side in (ours, original)]
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


def machine(original: Path, package: str = "torch") -> str:
    """One line: the processor, its cores, and the version of a package on each side."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    ask = f"from importlib.metadata import version; print(version('{package}'))"
    theirs = subprocess.run(
        [str(original), "-c", ask], capture_output=True, text=True, check=True
    ).stdout.strip()
    return (
        f"{models[0] if models else 'unknown CPU'}, {os.cpu_count()} cores, no GPU; "
        f"{package} {version(package)} (ours), {theirs} (original)"
    )


def _say(text: str) -> None:
    """Progress, apart from the result on stdout."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _images(text: str) -> int:
    count = int(text)
    if count < 1 or count % len(CLASSES):
        raise argparse.ArgumentTypeError(f"{count} is not a positive multiple of {len(CLASSES)}")
    return count


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="accuracy", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", type=Path, default=DATA, metavar="DIR", help=f"the IDX files; default {DATA}")
    add(
        "--classic",
        type=Path,
        default=Path(".venv-classic"),
        metavar="VENV",
        help="the original's environment; default .venv-classic",
    )
    add(
        "--work",
        type=Path,
        metavar="DIR",
        help="a new folder to work in and to keep; default a temporary one",
    )
    add("--images", type=_images, default=6000, help="training images; default 6000")
    add("--validation", type=_images, default=1000, help="validation images; default 1000")
    add("--test", type=_images, default=10000, help="images to score; default all 10000")
    add("--epochs", type=int, default=3, help="default 3")
    add("--seeds", type=int, nargs="+", default=[1, 2, 3], help="default 1 2 3")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Compare; returns 0 when ours is at least as good, 1 when not, 2 when it could not be told."""
    args = _parser().parse_args(argv)
    try:
        with tempfile.TemporaryDirectory() as temporary:
            work: Path = (args.work or Path(temporary) / "work").absolute()
            ours, original = sides(args.classic, work)
            if not original.python.exists():
                raise BenchmarkError(
                    f"{original.python} does not exist; name the environment of the original "
                    "modules with --classic."
                )
            if work.exists():
                raise BenchmarkError(f"{work} exists, expected a new folder for --work.")
            work.mkdir(parents=True)
            for part, name, count in (
                ("train", "training", args.images),
                ("t10k", "validation", args.validation),
                ("t10k", "test", args.test),
            ):
                write_class_folders(args.data, part, count // len(CLASSES), work / name)
            results = compare(ours, original, work, args.seeds, args.epochs)
    except BenchmarkError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(
        f"ResNet-18, {args.images:,} training and {args.validation:,} validation images, "
        f"{args.epochs} epochs\n{machine(original.python)}\n"
    )
    for name, count in zip(SCORED, (args.validation, args.test), strict=True):
        good = at_least_as_good(*results[name])
        sys.stdout.write(
            f"\nscored on {count:,} {name} images:\n\n{table(args.seeds, *results[name])}\n\n"
            f"ours is at least as good within the seeds' spread: {'yes' if good else 'no'}\n"
        )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
