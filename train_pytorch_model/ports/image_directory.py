"""ImageDirectory: which of its forms a directory has, and whether two belong together."""

import base64
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from train_pytorch_model.errors import InvalidDatasetError, NotLabeledDatasetError, quoted, scalar
from train_pytorch_model.ports.class_folders import EXTENSIONS, read_class_folders, read_flat
from train_pytorch_model.ports.coco import read_coco
from train_pytorch_model.ports.image_bytes import image_bytes
from train_pytorch_model.ports.image_list import parsed_line
from train_pytorch_model.ports.image_metadata import LIST, META, SCHEMA, read_with_metadata
from train_pytorch_model.ports.image_set import UNLABELLED, ImageSet
from train_pytorch_model.ports.paths import reason

MAX_TRIED = 10
"""How many images are asked for as samples, at most."""


def read_image_directory(
    root: Path, port: str, *, one_category: bool = True, private_urls: bool = False
) -> ImageSet:
    """Read an ImageDirectory of any form, without opening an image.

    The forms are tried in the original's order: with metadata, COCO, class folders, and images
    without labels. A directory that is meant to have metadata but cannot be read as such is an
    error, never read as class folders.

    Args:
        root: the directory.
        port: the name of the input, for messages.
        one_category: whether an image with annotations of several categories is an error;
            otherwise it has no label.
        private_urls: whether a ``coco_url`` may lead to an address that is not of the public
            internet.

    Raises:
        InvalidDatasetError: there is no such directory, it is damaged, or it holds no image.
    """
    image_set = _read(root, port, one_category)
    return replace(image_set, private_urls=private_urls)


def _read(root: Path, port: str, one_category: bool) -> ImageSet:
    try:
        if not os.path.isdir(root):
            found = "a file" if os.path.exists(root) else "nothing"
            raise InvalidDatasetError(
                f"{port}: found {found} at {str(root)!r}, expected an image directory; connect the "
                "output of Convert to Image Directory, or name a folder of images."
            )
        if os.path.lexists(root / META):
            return read_with_metadata(root, port, one_category)
        left = [name for name in (LIST, SCHEMA) if os.path.lexists(root / name)]
        if left:
            raise InvalidDatasetError(
                f"{port}: {META} is missing beside {left[0]}, expected both; copy the directory "
                "whole, or write it again with Convert to Image Directory."
            )
        image_set = (
            read_coco(root, port, one_category)
            or read_class_folders(root, port)
            or read_flat(root, port)
        )
    except OSError as error:
        raise InvalidDatasetError(
            f"{port}: {os.fsdecode(error.filename or root)!r} cannot be read "
            f"({reason(error)}), expected a directory that can; make the whole directory readable."
        ) from error
    if image_set is None:
        raise InvalidDatasetError(
            f"{port}: found no image in {str(root)!r}, expected files that end in "
            f"{' '.join(EXTENSIONS)} in one folder per category; "
            "put them there."
        )
    return image_set


def labelled(image_set: ImageSet) -> ImageSet:
    """The images of ``image_set`` that have a label.

    Raises:
        NotLabeledDatasetError: none has.
    """
    keep = image_set.labels != UNLABELLED
    if not keep.any():
        why = (
            "its schema has no column of labels"
            if image_set.schema.label_column is None
            else f"the column {scalar(image_set.schema.label_column)} is empty"
        )
        raise NotLabeledDatasetError(
            f"{image_set.port}: none of its {len(image_set):,} images has a label ({why}), "
            "expected a category for each; put the images into one folder per category and run "
            "Convert to Image Directory."
        )
    return image_set if keep.all() else take(image_set, np.flatnonzero(keep))


def check_categories(image_set: ImageSet) -> None:
    """Check that there is something to tell apart.

    Raises:
        InvalidDatasetError: there are fewer than two categories.
    """
    if len(image_set.schema.categories) < 2:
        raise InvalidDatasetError(
            f"{image_set.port}: found one category "
            f"({quoted(list(image_set.schema.categories.values()))}), expected at least two to "
            "tell apart. Put the images of each into a folder of its own, directly below the "
            "directory."
        )


def take(image_set: ImageSet, indices: Any) -> ImageSet:
    """The images of ``image_set`` at ``indices``, in that order."""
    return replace(
        image_set,
        files=image_set.files.take(indices),
        urls=None if image_set.urls is None else image_set.urls.take(indices),
        labels=image_set.labels[indices],
        columns={name: values.take(indices) for name, values in image_set.columns.items()},
    )


def renamed(image_set: ImageSet, root: Path, names: Sequence[str]) -> ImageSet:
    """``image_set`` with its images in other files: ``names``, one each, below ``root``."""
    files = pa.array([os.fsencode(name) for name in names], pa.binary())
    return replace(image_set, root=root, files=files, urls=None)


def with_labels_of(validation: ImageSet, training: ImageSet) -> ImageSet:
    """``validation`` with its classes numbered as those of ``training``, matched by name.

    Raises:
        InvalidDatasetError: their categories are not the same set of names.
    """
    known = training.schema.class_index
    there, here = set(known), set(validation.schema.class_index)
    if there != here:
        sides = [
            f"{len(names):,} missing in {port}: {quoted(sorted(names))}"
            for port, names in ((validation.port, there - here), (training.port, here - there))
            if names
        ]
        raise InvalidDatasetError(
            f"{training.port} and {validation.port}: categories differ, {' and '.join(sides)}; "
            "expected the same names in both. Split both from one image directory, or add the "
            "missing categories."
        )
    new_index = np.full(len(validation.schema.classes), UNLABELLED, dtype=np.int64)
    for index, name in validation.schema.categories.items():
        new_index[index] = known[name]
    return replace(validation, labels=new_index[validation.labels], schema=training.schema)


def names_with_metadata(image_set: ImageSet) -> list[str]:
    """Where each image is in a directory with metadata that is made from ``image_set``.

    A directory that has metadata keeps its names. Of another, they are
    ``image/<class index>_<number><ending>``, or ``image/<path>`` where it has no labels.
    """
    files = [image_set.file(index) for index in range(len(image_set))]
    if os.path.lexists(image_set.root / META):
        return files
    if image_set.schema.label_column is None:
        return [f"image/{file}" for file in files]
    prefixes = ["unlabelled" if i == UNLABELLED else i for i in image_set.labels.tolist()]
    return [
        f"image/{prefix}_{number}{os.path.splitext(file)[1]}"
        for number, (prefix, file) in enumerate(zip(prefixes, files, strict=True))
    ]


def samples(
    image_set: ImageSet, count: int = 3, lines: pa.LargeBinaryArray | None = None
) -> list[dict[str, Any]]:
    """The first ``count`` images as rows of a ``_samples.json``: a key per column of the schema.

    An image is the base64 of its file. One that is absent or larger than 16 MB is passed over, but
    no more than MAX_TRIED are asked for: each may be behind an address that answers slowly. The
    other values are those of ``image_set.columns``, or of ``lines``, a JSON object an image.
    """
    rows: list[dict[str, Any]] = []
    for index in range(min(len(image_set), MAX_TRIED)):
        if len(rows) == count:
            break
        try:
            content = image_bytes(image_set, index, max_bytes=16 << 20)
        except OSError:
            continue
        if lines is None:
            row = {name: values[index].as_py() for name, values in image_set.columns.items()}
        else:
            row = parsed_line(lines[index].as_py(), image_set.port)
        row[image_set.schema.image_column] = base64.b64encode(content).decode("ascii")
        rows.append({column["name"]: row.get(column["name"]) for column in _columns(image_set)})
    return rows


def _columns(image_set: ImageSet) -> list[dict[str, Any]]:
    columns: list[dict[str, Any]] = image_set.schema.document["columnAttributes"]
    return columns
