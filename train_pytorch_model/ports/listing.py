"""The images of a directory of any form, as a directory with metadata lists them."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from train_pytorch_model.errors import InvalidDatasetError, quoted
from train_pytorch_model.ports.coco import coco_lines
from train_pytorch_model.ports.image_directory import (
    names_with_metadata,
    read_image_directory,
    samples,
    take,
)
from train_pytorch_model.ports.image_list import lines_of, parsed_line
from train_pytorch_model.ports.image_metadata import META, read_lines, write_metadata
from train_pytorch_model.ports.image_schema import is_text
from train_pytorch_model.ports.image_set import ImageSet


@dataclass(frozen=True)
class Listing:
    """The n images of a directory, and how they are listed.

    Attributes:
        image_set: the images; its schema is the one to write.
        names: n byte strings, where each image is to be, below the folder that is written.
        lines: n byte strings, each image's line of ``images.lst``.
    """

    image_set: ImageSet
    names: pa.BinaryArray
    lines: pa.LargeBinaryArray

    def __len__(self) -> int:
        return len(self.image_set)

    def name(self, index: int) -> str:
        """Where an image is to be, as the operating system takes it."""
        return os.fsdecode(self.names[index].as_py())

    def take(self, indices: Any) -> "Listing":
        """The images at ``indices``, in that order; their names and lines stay what they are."""
        chosen = take(self.image_set, indices)
        return Listing(chosen, self.names.take(indices), self.lines.take(indices))


def read_listing(root: Path, port: str, *, private_urls: bool = False) -> Listing:
    """Read an ImageDirectory of any form, in order to write its images again.

    A directory that has metadata keeps its names and lines. COCO keeps its annotations. Of class
    folders the names are ``image/<class index>_<number><ending>``, of images without labels
    ``image/<path>``.

    Args:
        root: the directory.
        port: the name of the input, for messages.
        private_urls: as of ``read_image_directory``.

    Raises:
        InvalidDatasetError: as ``read_image_directory``, or names cannot be kept.
    """
    image_set = read_image_directory(root, port, one_category=False, private_urls=private_urls)
    if os.path.lexists(root / META):
        further = image_set.schema.further_image_columns
        if further:
            raise InvalidDatasetError(
                f"{port}: found more columns of images than one ({quoted(further)}), expected one, "
                "of which alone files would be written; remove the others from _schema.json."
            )
        return Listing(image_set, image_set.files, _lines(read_lines(image_set)))
    with _not_too_deep(port):
        coco = coco_lines(image_set)
    if coco is not None:
        schema, names, lines = coco[0], coco[1], _lines(coco[2])
        image_set = replace(image_set, schema=schema)
    else:
        names = names_with_metadata(image_set)
        lines = _lines(lines_of(image_set, names))
    garbled = [name for name in names if not is_text(name)]
    if garbled:
        raise InvalidDatasetError(
            f"{port}: {len(garbled):,} images have names that are not UTF-8: {quoted(garbled)}, "
            "expected UTF-8; rename them."
        )
    return Listing(image_set, pa.array([name.encode() for name in names]), lines)


def _lines(lines: Any) -> pa.LargeBinaryArray:
    return pa.array(lines, pa.large_binary())


def lines_with_names(listing: Listing, names: Sequence[str]) -> pa.LargeBinaryArray:
    """The lines of ``listing`` with other names of the files, and all else of an image as it is.

    What a line says beside the name in its reference to the image (its size, its address) is left
    out: it is true of the image before.
    """
    images = listing.image_set
    reference = images.schema.image_ref

    def lines() -> Iterator[bytes]:
        for line, name in zip(listing.lines, names, strict=True):
            row = parsed_line(line.as_py(), images.port)
            yield json.dumps(row | {reference: {"file_name": name}}).encode()

    with _not_too_deep(images.port):
        return _lines(lines())


def write_listing(folder: Path, listing: Listing) -> None:
    """Write the metadata of a directory into ``folder``, which holds the images already."""
    image_set, lines = listing.image_set, listing.lines
    rows = (line.as_py() for line in lines)
    with _not_too_deep(image_set.port):
        write_metadata(folder, image_set.schema, rows, samples(image_set, lines=lines))


@contextmanager
def _not_too_deep(port: str) -> Iterator[None]:
    """Python writes JSON that is nested a little less deeply than what it reads."""
    try:
        yield
    except RecursionError as error:
        raise InvalidDatasetError(
            f"{port}: its annotations or its schema are nested too deeply to be written again, "
            "expected what COCO has; correct them."
        ) from error
