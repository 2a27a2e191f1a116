"""Ours against the original: how long until an image directory is read, and until the first step?

``python -m benchmarks.indexing`` has both read the same directories as their Train PyTorch Model
does, and start to train on them, in turn: images in class folders, and images that metadata lists.
Then ours alone reads a million of either. The exit code is 1 when a target is missed.

Reading is timed in a process that has loaded all that it needs and has read a small directory of
the same form, so that only what the images cost is counted; so is memory, as the growth of the
process to its peak. The first step is timed from the start of the process to the moment at which
the optimiser is to change the weights for the first time, with 1,000 images for validation. Files
are few, under many names: both sides read them from the disk's cache. ``--ours`` names the
environment that a user of the component has, which has no pandas: where there is one, as in the
environment of the tests, pyarrow imports it, for a quarter to half a second.

Measured on 2026-11-29 with ``--ours .venv-plain``, on a machine that others use too::

    AMD EPYC with AVX2, 2 cores, no GPU; torch 2.15.0 (ours), 2.8.0 (original)

    medians                                            ours  original   ratio   target
    100,000 images, class folders: read               0.28s    30.69s   108.2   at least 20: yes
    50,000 images, class folders: first step          2.73s    19.15s     7.0   at least 3: yes
    500,000 images, metadata: read                    0.63s     4.30s     6.8   at least 4: yes
    50,000 images, metadata: first step               2.88s     6.71s     2.3   at least 3: no

    ours alone
    1,000,000 images, class folders: read                               2.4s   at most 15: yes
    1,000,000 images, class folders: peak memory                      175.3 MB   at most 1,024: yes
    1,000,000 images, class folders: memory an image beside its path   88.6 bytes   at most 100: yes
    1,000,000 images, metadata: read                                    1.8s   at most 15: yes
    1,000,000 images, metadata: peak memory                           158.3 MB   at most 1,024: yes
    1,000,000 images, metadata: memory an image beside its path        72.8 bytes   at most 100: yes

Of the first step on images that metadata lists, most is the import of torch: five earlier runs of
that day gave 2.66 s, 2.5 times as fast. On a faster processor with AVX-512 it came after 1.40 s,
the original's after 3.61 s: 2.6 (2026-11-27, three runs).
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from benchmarks import command_line, many_images
from benchmarks.command_line import exit_code, say
from benchmarks.pipeline import ORIGINAL_TRAIN, TRAIN, training_flags, write_untrained_model
from benchmarks.sides import ROOT, Side, machine, run, sides

SMALL = 1_000
"""The images of what is read first, and of what is validated with."""

FORMS: Mapping[str, Callable[[int, Path], None]] = {
    "class folders": many_images.write_class_folders,
    "metadata": many_images.write_with_metadata,
}

READ = {"class folders": (100_000, 20.0), "metadata": (500_000, 4.0)}
"""Form → how many images both read, and how many times as fast ours is to be."""

STARTED = (50_000, 3.0)
"""How many images both start to train on, and how many times as fast ours is to be."""

MANY = 1_000_000
"""How many images ours reads in MANY_SECONDS and MANY_BYTES of memory."""

MANY_SECONDS = 15.0
MANY_BYTES = 1 << 30

BYTES_AN_IMAGE = 100
"""The memory that an image may take while the directory is read, beside its path."""


@dataclass(frozen=True)
class Reading:
    """What reading a directory took once.

    Attributes:
        images: how many were found.
        seconds: how long it took.
        peak: the peak of the process's resident memory, in bytes.
        grown: by how much the peak is above what the process had before, in bytes.
    """

    images: int
    seconds: float
    peak: int
    grown: int


def read(side: Side, small: Path, directory: Path, log: Path) -> Reading:
    """Read a directory with a side, in a process of its own.

    Raises:
        BenchmarkError: it failed.
    """
    run(side, "benchmarks.reading", [side.name, str(small), str(directory)], log)
    found = Reading(**json.loads(log.read_text(errors="replace").splitlines()[-1]))
    say(f"{side.name}, {directory.name}: {found}")
    return found


def first_step(
    side: Side, module: str, untrained: Path, data: Path, small: Path, work: Path
) -> float:
    """The seconds from a process's start to its first training step.

    Raises:
        BenchmarkError: it failed before.
    """
    target = work / f"trained {side.name}"
    flags = training_flags(untrained, data, small, target, epochs=1, batch_size=16)
    log = work / f"first {side.name}.log"
    seconds = run(side, "benchmarks.first_step", [module, *flags], log).seconds
    say(f"{side.name}, {data.name}: first step after {seconds:.1f}s")
    return seconds


def path_bytes(directory: Path) -> float:
    """The mean length of the path of an image below ``directory``."""
    lengths = [len(str(file.relative_to(directory))) for file in directory.glob("*/*.png")]
    return sum(lengths) / len(lengths)


def _verdict(holds: bool) -> str:
    return "yes" if holds else "no"


def _compared(what: str, ours: Sequence[float], original: Sequence[float], wanted: float) -> bool:
    ratio = median(original) / median(ours)
    sys.stdout.write(
        f"{what:<45}{median(ours):>9.2f}s{median(original):>9.2f}s{ratio:>8.1f}   "
        f"at least {wanted:g}: {_verdict(ratio >= wanted)}\n"
    )
    return ratio >= wanted


def _both(ours: Side, original: Side, args: argparse.Namespace, work: Path) -> list[bool]:
    """Compare the sides and print; whether each target is reached."""
    untrained = work / "untrained"
    write_untrained_model(ours, untrained)
    sys.stdout.write(f"{'medians':<45}{'ours':>10}{'original':>10}{'ratio':>8}   target\n")
    held = []
    for form, write in FORMS.items():
        small = work / f"{SMALL} {form}"
        count, wanted = int(READ[form][0] * args.scale), READ[form][1]
        directory = work / f"{count} {form}"
        write(SMALL, small)
        write(count, directory)
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(args.runs):
            for side, seconds in zip((ours, original), times, strict=True):
                seconds.append(read(side, small, directory, work / f"{side.name}.log").seconds)
        held.append(_compared(f"{count:,} images, {form}: read", *times, wanted))
        count, wanted = int(STARTED[0] * args.scale), STARTED[1]
        directory = work / f"start {count} {form}"
        _write_28(form, count, directory)
        _write_28(form, SMALL, work / f"validation {form}")
        times = ([], [])
        for _ in range(args.runs):
            for side, module, seconds in zip(
                (ours, original), (TRAIN, ORIGINAL_TRAIN), times, strict=True
            ):
                validation = work / f"validation {form}"
                seconds.append(first_step(side, module, untrained, directory, validation, work))
        held.append(_compared(f"{count:,} images, {form}: first step", *times, wanted))
    return held


def _write_28(form: str, count: int, target: Path) -> None:
    if form == "metadata":
        many_images.write_with_metadata(count, target, size=28)
    else:
        many_images.write_class_folders(count, target, size=28)


def _alone(ours: Side, args: argparse.Namespace, work: Path) -> list[bool]:
    """Read very many images with ours and print; whether each target is reached."""
    held = []
    for form, write in FORMS.items():
        count = int(MANY * args.scale)
        directory = work / f"{count} {form}"
        if not directory.exists():
            write(count, directory)
        found = [
            read(ours, work / f"{SMALL} {form}", directory, work / "many.log")
            for _ in range(args.runs)
        ]
        seconds, peak = median(r.seconds for r in found), max(r.peak for r in found)
        each = max(r.grown for r in found) / count - path_bytes(directory)
        for what, value, limit, unit in (
            ("read", seconds, MANY_SECONDS, "s"),
            ("peak memory", peak / (1 << 20), MANY_BYTES / (1 << 20), " MB"),
            ("memory an image beside its path", each, BYTES_AN_IMAGE, " bytes"),
        ):
            held.append(value <= limit)
            sys.stdout.write(
                f"{f'{count:,} images, {form}: {what}':<65}{value:>8.1f}{unit}   "
                f"at most {limit:,.0f}: {_verdict(held[-1])}\n"
            )
    return held


def _holds(args: argparse.Namespace) -> bool:
    """Compare and print; whether every target is reached."""
    with tempfile.TemporaryDirectory(dir=args.work) as temporary:
        work = Path(temporary)
        ours, original = sides(args.classic, work)
        if args.ours is not None:
            ours = replace(ours, python=args.ours.absolute() / "bin" / "python")
        found = replace(original, environment={**original.environment, "PYTHONPATH": str(ROOT)})
        sys.stdout.write(f"{machine(original)}\n{args.runs} runs of each, in turn\n\n")
        held = _both(ours, found, args, work)
        sys.stdout.write("\nours alone\n")
        return all([*held, *_alone(ours, args, work)])


def main(argv: Sequence[str] | None = None) -> int:
    """Compare; returns 0 when every target is reached, 1 when not, 2 when nobody knows."""
    parser = command_line.parser("indexing", str(__doc__))
    add = parser.add_argument
    add("--runs", type=int, default=5, help="of each side and directory; default 5")
    add("--scale", type=float, default=1.0, help="of the numbers of images; default 1")
    add("--ours", type=Path, metavar="DIR", help="the environment of ours; default this one")
    add("--work", type=Path, metavar="DIR", help="where the temporary folder is made")
    args = parser.parse_args(argv)
    return exit_code(lambda: _holds(args))


if __name__ == "__main__":
    sys.exit(main())
