"""How does what ours takes grow: with images, their size, their classes, and the model?

``python -m benchmarks.growth`` prints a table of each: seconds and peak memory against what grows,
and the slope of a line through both on logarithmic scales: 1 is in proportion, 0 is not at all. The
first two are of reading alone, the others of whole trainings through the command line, of few
images; the time of a step is that of the last epoch, in which every image is decoded already.
``--quick`` takes the first two rows of each table, to see that it runs.

Measured on 2026-11-29 on an AMD EPYC with AVX2, 2 cores, no GPU, that others use too::

    reading images in class folders
              images             seconds         growth (MB)
               1,000              0.0164              0.1094
              10,000              0.0364              2.1523
             100,000              0.1897             15.9297
           1,000,000              1.4716            103.6367
               slope                0.66                0.98

    reading images with metadata
              images             seconds         growth (MB)
               1,000              0.0038              0.1406
              10,000              0.0167              2.6367
             100,000              0.1111             16.0195
           1,000,000              1.1128             83.1719
               slope                0.82                0.91

    training a ResNet-18 on images of so many pixels a side
       pixels a side          s an image            s in all             peak MB
                  28              0.0071              3.2258            896.9453
                  64              0.0188              4.9394            912.3438
                 128              0.0309              5.7932            974.4414
                 256              0.0976             11.7761          1,177.0234
                 512              0.4296             37.9779          1,863.6875
               slope                1.36                0.80                0.24

    training a ResNet-18 for so many classes, on images of 64x64 pixels
             classes          s an image            s in all             peak MB
                   2              0.0179              4.4233            890.6016
                  10              0.0149              4.0137            889.4688
                 100              0.0164              3.7035            904.6016
               1,000              0.0188              4.4936            911.5195
              10,000              0.0183              5.5998            993.9023
               slope                0.01                0.03                0.01

    training resnet18, resnet34, resnet50, resnet101, on images of 64x64 pixels
      10⁶ parameters          s an image            s in all             peak MB
                11.7              0.0163              4.8226            887.7422
                21.8              0.0336              6.0915          1,047.9375
                25.6              0.0498              7.8245          1,159.7305
                44.5              0.0812             10.5853          1,488.8281
               slope                1.22                0.60                0.39
"""

import argparse
import csv
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import many_images
from benchmarks.command_line import exit_code, say, words
from benchmarks.pipeline import TRAIN, training_flags, write_untrained_model
from benchmarks.sides import Side, ours_alone, run

ROWS = (1_000, 10_000, 100_000, 1_000_000)
FORMS = {
    "in class folders": many_images.write_class_folders,
    "with metadata": many_images.write_with_metadata,
}
SIZES = (28, 64, 128, 256, 512)
CLASSES = (2, 10, 100, 1_000, 10_000)
MODELS = {"resnet18": 11.7, "resnet34": 21.8, "resnet50": 25.6, "resnet101": 44.5}
"""Name → millions of parameters, as torchvision counts them."""

IMAGES = 32
"""Images of a training: two epochs of four batches."""

Row = tuple[float, ...]


def reading(ours: Side, write: Callable[[int, Path], None], count: int, work: Path) -> Row:
    """The seconds to read so many images, and by how many MB the process grows."""
    small, directory, log = (work / name for name in ("small", "many", "many.log"))
    write(ROWS[0], small)
    write(count, directory)
    run(ours, "benchmarks.reading", ["ours", str(small), str(directory)], log)
    found = json.loads(log.read_text().splitlines()[-1])
    return found["seconds"], found["grown"] / (1 << 20)


def training(
    ours: Side, work: Path, model: str = "resnet18", size: int = 64, classes: int = 10
) -> Row:
    """The seconds of a step per image and of the whole process, and its peak memory in MB."""
    untrained, data, target = (work / name for name in ("untrained", "data", "trained"))
    write_untrained_model(ours, untrained, model)
    many_images.write_with_metadata(IMAGES, data, size=size, classes=classes, ending="jpg")
    flags = training_flags(untrained, data, data, target, epochs=2, batch_size=8)
    used = run(ours, TRAIN, [*flags, *words({"--device": "cpu"})], work / "train.log")
    with open(target / "history.csv", newline="") as file:
        last = list(csv.DictReader(file))[-1]
    return 1 / float(last["images_per_second"]), used.seconds, used.megabytes


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Of the line through the logarithms of ``x`` and ``y``; nothing is taken for a millionth."""
    return float(np.polyfit(np.log(x), np.log(np.maximum(y, 1e-6)), 1)[0])


def table(columns: Sequence[str], values: Sequence[float], rows: Sequence[Row]) -> str:
    """A line for each of the values that grow, with what it takes, and a line of the slopes."""
    names = "".join(f"{name:>20}" for name in columns)
    lines = [
        f"{value:>20,}" + "".join(f"{number:>20,.4f}" for number in row)
        for value, row in zip(values, rows, strict=True)
    ]
    slopes = "".join(f"{slope(values, taken):>20.2f}" for taken in zip(*rows, strict=True))
    return "\n".join([names, *lines, f"{'slope':>20}{slopes}", ""])


def _measured(args: argparse.Namespace, measure: Callable[[Path], Row]) -> Row:
    with tempfile.TemporaryDirectory(dir=args.work) as folder:
        found = measure(Path(folder))
    say(", ".join(f"{number:.4g}" for number in found))
    return found


def _holds(args: argparse.Namespace) -> bool:
    """Measure and print; there is no target."""
    ours = ours_alone()
    count = 2 if args.quick else None
    write = sys.stdout.write
    for form, write_images in FORMS.items():
        found = [_measured(args, partial(reading, ours, write_images, n)) for n in ROWS[:count]]
        write(f"reading images {form}\n")
        write(table(("images", "seconds", "growth (MB)"), ROWS[:count], found) + "\n")
    taken = ("s an image", "s in all", "peak MB")
    found = [_measured(args, partial(training, ours, size=n)) for n in SIZES[:count]]
    write("training a ResNet-18 on images of so many pixels a side\n")
    write(table(("pixels a side", *taken), SIZES[:count], found) + "\n")
    found = [_measured(args, partial(training, ours, classes=n)) for n in CLASSES[:count]]
    write("training a ResNet-18 for so many classes, on images of 64x64 pixels\n")
    write(table(("classes", *taken), CLASSES[:count], found) + "\n")
    models = list(MODELS)[:count]
    found = [_measured(args, partial(training, ours, model=n)) for n in models]
    write(f"training {', '.join(models)}, on images of 64x64 pixels\n")
    write(table(("10⁶ parameters", *taken), [MODELS[n] for n in models], found))
    return True


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; returns 0, or 2 when a run failed."""
    parser = argparse.ArgumentParser(prog="growth", description=str(__doc__).splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the first two rows of each table")
    parser.add_argument("--work", type=Path, metavar="DIR", help="where temporary folders are made")
    args = parser.parse_args(argv)
    return exit_code(lambda: _holds(args))


if __name__ == "__main__":
    sys.exit(main())
