"""What every form of an ImageDirectory is read into: columns, not an object per image."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from train_pytorch_model.ports.image_schema import ImageSchema

# What reading a list frees is then there for decoding; Arrow's own allocator would keep it.
pa.set_memory_pool(pa.system_memory_pool())

UNLABELLED = -1
"""The class index of an image without a label."""


@dataclass(frozen=True)
class ImageSet:
    """The n images of one directory, in the order in which the directory lists them.

    Attributes:
        port: the name of the input, for messages.
        root: the directory.
        files: n byte strings, the path of each image below ``root`` (POSIX, never climbing).
        urls: n strings, the ``coco_url`` of each image or null; None where no image has one.
        labels: (n,) int64, each image's index into ``schema.classes``; UNLABELLED where none.
        schema: the columns, and the names of the classes.
        columns: the other columns of the directory (n values each), such as ``id`` and
            ``category``, by name, as they stand in the directory.
        private_urls: whether URLs may lead to addresses that are not of the public internet.
    """

    port: str
    root: Path
    files: pa.BinaryArray
    urls: pa.StringArray | None
    labels: NDArray[np.int64]
    schema: ImageSchema
    columns: Mapping[str, pa.Array]
    private_urls: bool = False

    def __len__(self) -> int:
        return len(self.files)

    def file(self, index: int) -> str:
        """The path of an image below ``root``, as the operating system takes it."""
        return os.fsdecode(self.files[index].as_py())

    def url(self, index: int) -> str | None:
        """The ``coco_url`` of an image, if it has one."""
        return None if self.urls is None else self.urls[index].as_py() or None
