"""Image directories of very many images: a few files, linked under many names."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from train_pytorch_model.ports.image_schema import classification_schema

DISTINCT = 256
"""Of more images than these, several are one file."""

LINKS = 60_000
"""As often is a file linked at most; ext4 allows 65,000."""


def write_class_folders(
    count: int, target: Path, size: int = 8, classes: int = 10, ending: str = "png"
) -> None:
    """Write ``count`` images as ``target/class/number.ending``, as many of each class.

    Args:
        count: how many images.
        target: a folder that does not exist yet.
        size: of an image, in pixels a side.
        classes: how many class folders; ``count`` may be less.
        ending: the format, ``png`` or ``jpg``.
    """
    names = class_names(classes)
    for name in names[:count]:
        (target / name).mkdir(parents=True)
    paths = (f"{names[i % classes]}/{i:07d}.{ending}" for i in range(count))
    _write(paths, target, size)


def write_with_metadata(
    count: int, target: Path, size: int = 8, classes: int = 10, ending: str = "png"
) -> None:
    """Write ``count`` images as Convert to Image Directory does; all classes are categories."""
    names = class_names(classes)
    (target / "image").mkdir(parents=True)
    _write((f"image/{i % classes}_{i}.{ending}" for i in range(count)), target, size)
    with open(target / "images.lst", "w", encoding="ascii") as file:
        for i in range(count):
            reference = {"file_name": f"image/{i % classes}_{i}.{ending}"}
            row = {"image_info": reference, "category": names[i % classes], "id": i}
            file.write(json.dumps(row) + "\n")
    (target / "_schema.json").write_text(json.dumps(classification_schema(names).document), "ascii")
    meta = "type: ImageDirectory\nimage_list: images.lst\nschema: _schema.json\n"
    (target / "_meta.yaml").write_text(meta, "ascii")


def class_names(count: int) -> list[str]:
    """The names of so many classes."""
    return [f"class {i:05d}" for i in range(count)]


def _write(paths: Iterator[str], target: Path, size: int) -> None:
    """Write an image to each path below ``target``: DISTINCT pictures, then links to them."""
    originals: list[Path] = []
    links: list[int] = []
    for number, path in enumerate(paths):
        file = target / path
        turn = number % DISTINCT
        if turn == len(originals):
            _picture(number, size).save(file, quality=90)  # which PNG passes over
            originals.append(file)
            links.append(1)
        elif links[turn] == LINKS:
            file.write_bytes(originals[turn].read_bytes())
            originals[turn], links[turn] = file, 1
        else:
            os.link(originals[turn], file)
            links[turn] += 1


def _picture(number: int, size: int) -> Image.Image:
    """A picture of smooth patches of colour, which compresses as photographs do."""
    draws = np.random.default_rng(number)
    patches = Image.fromarray(draws.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    return patches.resize((size, size), Image.Resampling.BICUBIC)
