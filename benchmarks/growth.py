"""How does what ours takes grow: with images, their size, their classes, and the model?

``python -m benchmarks.growth`` prints a table of each: seconds and peak memory against what grows,
and the slope of a line through both on logarithmic scales: 1 is in proportion, 0 is not at all. The
first two are of reading alone, the others of whole trainings through the command line, of few
images; the time of a step is that of the last epoch, in which every image is decoded already.
``--quick`` takes the first two rows of each table, to see that it runs.

Measured on 2026-11-28 on an AMD EPYC with AVX2, 2 cores, no GPU, that others use too::

    reading images in class folders
              images             seconds         growth (MB)
               1,000              0.0238              0.0586
              10,000              0.0537              2.2500
             100,000              0.3566             16.1328
           1,000,000              4.2472            101.2812
               slope                0.76                1.06

    reading images with metadata
              images             seconds         growth (MB)
               1,000              0.0079              0.1562
              10,000              0.0332              2.8047
             100,000              0.1566             16.5977
           1,000,000              1.5914             84.6016
               slope                0.76                0.90

    training a ResNet-18 on images of so many pixels a side
       pixels a side          s an image            s in all             peak MB
                  28              0.0106              5.5592            907.6055
                  64              0.0232              6.0087            939.9492
                 128              0.0482              8.3124            982.7500
                 256              0.2119             19.3577          1,176.1992
                 512              0.6473             57.8797          2,161.0000
               slope                1.44                0.80                0.27

    training a ResNet-18 for so many classes, on images of 64x64 pixels
             classes          s an image            s in all             peak MB
                   2              0.0307              7.1069            912.6836
                  10              0.0233              5.3802            969.6211
                 100              0.0260              6.1470            979.2773
               1,000              0.0311              6.8047            921.2656
              10,000              0.0314              7.1628          1,038.9805
               slope                0.02                0.01                0.01

    training resnet18, resnet34, resnet50, resnet101, on images of 64x64 pixels
      10⁶ parameters          s an image            s in all             peak MB
                11.7              0.0225              6.6447            916.0781
                21.8              0.0395              7.6007          1,114.9492
                25.6              0.0688             10.1386          1,218.3438
                44.5              0.1129             15.9484          1,616.4570
               slope                1.24                0.66                0.42
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
