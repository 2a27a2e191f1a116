"""Image directories without metadata: a folder of class folders, or just images."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from train_pytorch_model.errors import InvalidDatasetError, quoted
from train_pytorch_model.ports.image_schema import MAX_CLASSES, classification_schema, is_text
from train_pytorch_model.ports.image_set import UNLABELLED, ImageSet

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""The file names, in any case, that are images where no metadata names them (not ``.gif``)."""


def read_class_folders(root: Path, port: str) -> ImageSet | None:
    """Read ``root/<category>/<image>``, exactly one level; None where there is no such image.

    Category names are sorted by code point. Images come in the order of their paths, which decides
    the ids. Files elsewhere, folders without an image, and links to folders are passed over, as by
    the original.
    """
    folders = [
        entry
        for entry in _sorted(root)
        if entry.is_dir(follow_symlinks=False) and not is_litter(entry.name)
    ]
    names_in = {folder.name: _images(folder.path) for folder in folders}
    files = sorted(f"{folder}/{name}" for folder, names in names_in.items() for name in names)
    if not files:
        return None
    names = sorted(folder for folder, inside in names_in.items() if inside)
    garbled = [name for name in names if not is_text(name)]
    if garbled:
        raise InvalidDatasetError(
            f"{port}: {len(garbled):,} class folders have names that are not UTF-8: "
            f"{quoted(garbled)}. Rename them."
        )
    if len(names) > MAX_CLASSES:
        raise InvalidDatasetError(
            f"{port}: found {len(names):,} class folders, expected at most {MAX_CLASSES:,}; each "
            "folder below the directory is one category."
        )
    index_of = {name: index for index, name in enumerate(names)}
    labels = [file.split("/", 1)[0] for file in files]
    return ImageSet(
        port=port,
        root=root,
        files=pa.array([os.fsencode(f) for f in files], pa.binary()),
        urls=None,
        labels=np.array([index_of[label] for label in labels], dtype=np.int64),
        schema=classification_schema(names),
        columns={"category": pa.array(labels, pa.string()), "id": pa.array(range(len(files)))},
    )


def read_flat(root: Path, port: str) -> ImageSet | None:
    """Read every image at any depth below ``root``, without labels; None where there is none."""
    files = []
    for parent, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not is_litter(name)]
        images = (os.path.join(parent, name) for name in names if is_image_name(name))
        files += [os.path.relpath(image, root) for image in images]
    files.sort()
    if not files:
        return None
    return ImageSet(
        port=port,
        root=root,
        files=pa.array([os.fsencode(f) for f in files], pa.binary()),
        urls=None,
        labels=np.full(len(files), UNLABELLED, dtype=np.int64),
        schema=classification_schema(()),
        columns={"id": pa.array(range(len(files)))},
    )


def _sorted(root: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(root) as entries:
        yield from sorted(entries, key=lambda entry: entry.name)


def _images(folder: str) -> list[str]:
    with os.scandir(folder) as entries:
        return [e.name for e in entries if is_image_name(e.name) and not e.is_dir()]


def is_image_name(name: str) -> bool:
    """Whether a file of this name is an image, where no metadata says so."""
    return os.path.splitext(name)[1].lower() in EXTENSIONS and not is_litter(name)


def is_litter(path: str) -> bool:
    """Whether a path is one of those that a Mac puts into archives and onto other disks."""
    parts = path.split("/")
    return parts[-1].startswith("._") or not _LITTER.isdisjoint(parts)


_LITTER = {"__MACOSX", ".DS_Store"}
