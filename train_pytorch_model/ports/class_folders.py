"""Image directories without metadata: a folder of class folders, or just images."""

import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from train_pytorch_model.errors import InvalidDatasetError, quoted, shortened
from train_pytorch_model.ports.image_schema import MAX_CLASSES, classification_schema, is_text
from train_pytorch_model.ports.image_set import UNLABELLED, ImageSet
from train_pytorch_model.ports.paths import MAX_DEPTH
from train_pytorch_model.ports.storage import persistent

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""The file names, in any case, that are images where no metadata names them (not ``.gif``)."""

FOLDERS_AT_ONCE = 16
"""How many folders are listed at a time: on a network mount each takes a while to answer."""

ENTRIES_AT_ONCE = 512
"""How many files of a folder are Python objects at a time; the others are columns."""


def read_class_folders(root: Path, port: str) -> ImageSet | None:
    """Read ``root/<category>/<image>``, exactly one level; None where there is no such image.

    Category names are sorted by code point. Images come in the order of their paths, which decides
    the ids. Files elsewhere, folders without an image, and links to folders are passed over, as by
    the original.
    """
    # In the order of the paths in them, where "a b/0.png" comes before "a/0.png".
    folders = sorted(_folders(root), key=lambda name: name + "/")
    with ThreadPoolExecutor(FOLDERS_AT_ONCE) as pool:
        files_in = list(pool.map(lambda name: _images(root, name), folders))
    folders = [name for name, files in zip(folders, files_in, strict=True) if len(files)]
    if not folders:
        return None
    names = sorted(folders)
    garbled = [name for name in names if not is_text(name)]
    if garbled:
        raise InvalidDatasetError(
            f"{port}: {len(garbled):,} class folders have names that are not UTF-8: "
            f"{quoted(garbled)}, expected UTF-8; rename them."
        )
    if len(names) > MAX_CLASSES:
        raise InvalidDatasetError(
            f"{port}: found {len(names):,} class folders, expected at most {MAX_CLASSES:,}; each "
            "folder below the directory is one category."
        )
    index_of = {name: index for index, name in enumerate(names)}
    counts = [len(files) for files in files_in if len(files)]
    files = pa.concat_arrays(files_in)
    del files_in
    labels = np.repeat(np.array([index_of[name] for name in folders], dtype=np.int64), counts)
    return ImageSet(
        port=port,
        root=root,
        files=files,
        urls=None,
        labels=labels,
        schema=classification_schema(names),
        columns={
            "category": pa.array(names, pa.string()).take(pa.array(labels)),
            "id": _numbers(len(files)),
        },
    )


def read_flat(root: Path, port: str) -> ImageSet | None:
    """Read every image below ``root``, without labels; None where there is none.

    Raises:
        InvalidDatasetError: there are MAX_DEPTH folders in one another, or more.
    """
    found = []
    top = os.fsencode(root)
    for parent, folders, names in os.walk(top, onerror=_not_listed):
        if parent.count(b"/") - top.count(b"/") >= MAX_DEPTH:
            deep = os.path.relpath(os.fsdecode(parent), root)
            raise InvalidDatasetError(
                f"{port}: {shortened(deep)!r} is {MAX_DEPTH} folders deep, expected images that "
                "lie less deep; move them up."
            )
        folders[:] = [name for name in folders if not is_litter(os.fsdecode(name))]
        images = _binary(names)
        names.clear()  # os.walk keeps the list until its next step
        images = images.filter(_are_images(images))
        found.append(images if parent == top else _below(os.path.relpath(parent, top), images))
    files = _in_order(pa.concat_arrays(found)) if found else []
    if not len(files):
        return None
    return ImageSet(
        port=port,
        root=root,
        files=files,
        urls=None,
        labels=np.full(len(files), UNLABELLED, dtype=np.int64),
        schema=classification_schema(()),
        columns={"id": _numbers(len(files))},
    )


def _not_listed(error: OSError) -> None:
    """A folder that cannot be read is not passed over, as ``os.walk`` would."""
    raise error


def _folders(root: Path) -> list[str]:
    def read() -> list[str]:
        with os.scandir(root) as entries:
            return [
                entry.name
                for entry in entries
                if entry.is_dir(follow_symlinks=False) and not is_litter(entry.name)
            ]

    return persistent(read)


def _images(root: Path, folder: str) -> pa.BinaryArray:
    """The paths below ``root`` of the images in a folder directly below it, in order."""

    def read() -> pa.BinaryArray:
        found = [_binary([])]
        with os.scandir(os.fsencode(root / folder)) as entries:
            while some := list(islice(entries, ENTRIES_AT_ONCE)):
                names = _binary([entry.name for entry in some])
                marks = zip(some, _are_images(names).to_pylist(), strict=True)
                found.append(names.filter([mark and not entry.is_dir() for entry, mark in marks]))
        return pa.concat_arrays(found)

    return _below(os.fsencode(folder), _in_order(persistent(read)))


def _below(folder: bytes, names: pa.BinaryArray) -> pa.BinaryArray:
    return pc.binary_join_element_wise(folder, names, b"/")


def _in_order(paths: pa.BinaryArray) -> pa.BinaryArray:
    """``paths`` sorted by code point, as Python sorts text."""
    try:
        paths.cast(pa.string())
    except pa.ArrowInvalid:  # not UTF-8, whose bytes alone have the order of the code points
        return _binary(sorted(paths.to_pylist(), key=os.fsdecode))
    return paths.take(pc.sort_indices(paths))


def _binary(names: Sequence[bytes]) -> pa.BinaryArray:
    return pa.array(names, pa.binary())


def _numbers(count: int) -> pa.Int64Array:
    return pa.array(np.arange(count, dtype=np.int64))


def _are_images(names: pa.BinaryArray) -> pa.BooleanArray:
    """``is_image_name`` of each name."""
    return pc.and_not(
        pc.match_substring_regex(names, _IMAGE_NAME), pc.starts_with(names, _LITTER_PREFIX)
    )


def is_image_name(name: str) -> bool:
    """Whether a file of this name is an image, where no metadata says so."""
    return bool(_are_images(_binary([os.fsencode(name)]))[0].as_py())


def is_litter(path: str) -> bool:
    """Whether a path is one of those that a Mac puts into archives and onto other disks."""
    parts = path.split("/")
    return parts[-1].startswith(_LITTER_PREFIX) or not _LITTER.isdisjoint(parts)


_LITTER = {"__MACOSX", ".DS_Store"}
_LITTER_PREFIX = "._"

# As os.path.splitext: dots at the front begin no extension. "$" is the very end in RE2.
_IMAGE_NAME = rf"(?is)^\.*[^.].*({'|'.join(re.escape(ending) for ending in EXTENSIONS)})$"
