"""Ours against the original: how long does Apply Image Transformation take?

``python -m benchmarks.transformation`` has both resize the same 2,000 photographs of 300x300 pixels
(JPEG) to 224x224, as whole processes, in turn; the exit code is 1 when ours is not three times as
fast or any pixel differs.

The photographs are made from ``examples/fashion_mnist``: enlarged, coloured and with the noise of a
camera. Both read the same image directory and the same transformation from the disk's cache; what
is compared is the median of five runs each.

Measured on 2026-11-28, on a machine that others use too::

    Resize, 2,000 JPEG images of 300x300 pixels to 224x224, 5 runs each
    AMD EPYC with AVX2, 2 cores, no GPU; Pillow 13.0.0 (ours), 10.3.0 (original)

                  median   fastest–slowest    images/s
    ours           12.4s       11.9s–13.3s         162
    original       38.2s       36.6s–43.3s          52

    ours is 3.1 times as fast
    the pixels are the same: yes
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from benchmarks import command_line
from benchmarks.command_line import exit_code, say, words
from benchmarks.fashion_mnist import EXAMPLES
from benchmarks.pipeline import COMPANIONS, write_image_directory
from benchmarks.sides import Side, machine, run, sides
from train_pytorch_model.data.threads import in_threads

OURS = f"{COMPANIONS}.apply_image_transformation"
ORIGINAL = (
    "azureml.designer.modules.computer_vision.transform."
    "apply_image_transformation.apply_image_transformation"
)
SIZE, RESIZED = 300, 224
FASTER = 3
"""How many times as fast ours is to be."""


def photograph(index: int, files: Sequence[Path]) -> Image.Image:
    """A picture of ``SIZE`` x ``SIZE`` pixels, another for each ``index``."""
    with Image.open(files[index % len(files)]) as file:
        shape = file.convert("L").resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    draws = np.random.default_rng(index)
    coloured = np.asarray(shape, float)[:, :, None] * draws.uniform(0.5, 1, 3) + 20
    noisy = coloured + draws.normal(0, 4, coloured.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def write_class_folders(count: int, target: Path) -> None:
    """Write ``count`` photographs as ``target/class/number.jpg``."""
    files = sorted(EXAMPLES.glob("*/*.png"))
    for name in {file.parent.name for file in files}:
        (target / name).mkdir(parents=True)

    def write(index: int) -> None:
        name = files[index % len(files)].parent.name
        photograph(index, files).save(target / name / f"{index:05d}.jpg", quality=90)

    for _ in in_threads(write, count):
        pass


def seconds(side: Side, module: str, work: Path, number: int) -> float:
    """How long a side's process takes; its output replaces that of its last run."""
    target = work / side.name
    shutil.rmtree(target, ignore_errors=True)
    flags = {
        "--mode": "For training",
        "--input_image_transform_path": work / "transformation",
        "--input_image_dir_path": work / "images",
        "--output_path": target,
    }
    taken = run(side, module, words(flags), work / f"{side.name}_{number}.log").seconds
    say(f"run {number}, {side.name}: {taken:.1f}s")
    return taken


def same_pixels(first: Path, second: Path) -> bool:
    """Whether two directories list the same images, pixel for pixel."""
    lists = [(folder / "images.lst").read_text() for folder in (first, second)]
    names = [
        sorted(path.name for path in (folder / "image").iterdir()) for folder in (first, second)
    ]

    def same(index: int) -> bool:
        files = [folder / "image" / names[0][index] for folder in (first, second)]
        a, b = (np.asarray(Image.open(file)) for file in files)
        return np.array_equal(a, b)

    return lists[0] == lists[1] and names[0] == names[1] and all(in_threads(same, len(names[0])))


def table(ours: Sequence[float], original: Sequence[float], images: int) -> str:
    """The results as text: a row a side, then the ratio of the medians."""
    row = "{:<10}{:>10}{:>18}{:>12}".format
    lines = [row("", "median", "fastest–slowest", "images/s")]
    for name, times in (("ours", ours), ("original", original)):
        middle = median(times)
        spread = f"{min(times):.1f}s–{max(times):.1f}s"
        lines.append(row(name, f"{middle:.1f}s", spread, f"{images / middle:.0f}"))
    lines.append(f"\nours is {median(original) / median(ours):.1f} times as fast")
    return "\n".join(lines)


def _holds(args: argparse.Namespace) -> bool:
    """Compare and print; whether ours is fast enough and equal."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        ours, original = sides(args.classic, work, threads=1)
        times: tuple[list[float], list[float]] = ([], [])
        write_class_folders(args.images, work / "folders")
        write_image_directory(ours, work / "folders", work / "images")
        flags = {"--output_path": work / "transformation", "--resize": True, "--size": RESIZED}
        module = f"{COMPANIONS}.init_image_transformation"
        run(ours, module, words(flags), work / "init.log")
        for number in range(args.runs):
            times[0].append(seconds(ours, OURS, work, number))
            times[1].append(seconds(original, ORIGINAL, work, number))
        same = same_pixels(work / ours.name, work / original.name)
    sys.stdout.write(
        f"Resize, {args.images:,} JPEG images of {SIZE}x{SIZE} pixels to {RESIZED}x{RESIZED}, "
        f"{args.runs} runs each\n{machine(original, 'Pillow')}\n\n"
        f"{table(*times, args.images)}\n"
        f"the pixels are the same: {'yes' if same else 'no'}\n"
    )
    return same and median(times[1]) >= FASTER * median(times[0])


def main(argv: Sequence[str] | None = None) -> int:
    """Compare; returns 0 when ours is fast enough and equal, 1 when not, 2 when nobody knows."""
    parser = command_line.parser("transformation", str(__doc__))
    parser.add_argument("--images", type=int, default=2000, help="default 2000")
    parser.add_argument("--runs", type=int, default=5, help="of each side; default 5")
    args = parser.parse_args(argv)
    return exit_code(lambda: _holds(args))


if __name__ == "__main__":
    sys.exit(main())
