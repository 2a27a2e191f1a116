"""Fashion-MNIST as class folders: from its own files, or from the part in ``examples/``."""

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.command_line import BenchmarkError
from benchmarks.sides import ROOT

DATA = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package ``dataset-fashion-mnist`` puts its files."""

EXAMPLES = ROOT / "examples" / "fashion_mnist" / "train"
"""Two thousand of its images, in class folders."""

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


def write_class_folders(data: Path, part: str, count: int, target: Path) -> None:
    """Write the first ``count`` images, as many of each class, as ``target/class/number.png``.

    Args:
        data: the folder of the IDX files.
        part: their prefix, ``train`` or ``t10k``.
        count: how many images, a multiple of ten.
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
    per_class = count // len(CLASSES)
    for label, name in enumerate(CLASSES):
        chosen = np.flatnonzero(labels == label)[:per_class]
        if len(chosen) < per_class:
            raise BenchmarkError(
                f"{files[0]} has {len(chosen)} images of {name}, expected at least {per_class}."
            )
        (target / name).mkdir(parents=True)
        for index in chosen.tolist():
            Image.fromarray(images[index]).save(target / name / f"{index:05d}.png")


def read_idx(file: Path) -> NDArray[np.uint8]:
    """Read an IDX file of bytes, gzipped: an array of as many dimensions as its header says."""
    content = gzip.decompress(file.read_bytes())
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", count=dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
