"""Images, copied from one directory into another as they are, with their metadata."""

import os
import posixpath
from pathlib import Path

from train_pytorch_model.data.threads import in_threads
from train_pytorch_model.errors import InvalidDatasetError, Problems, shortened
from train_pytorch_model.ports.listing import Listing, write_listing
from train_pytorch_model.ports.paths import open_inside, reason
from train_pytorch_model.report.console import progress_bar

CHUNK = 1 << 20
"""How many bytes of a file are copied at a time."""


def write_copies(folder: Path, listing: Listing) -> None:
    """Copy the images of ``listing`` into the empty ``folder`` and describe them.

    An image that is behind a ``coco_url`` stays there.

    Raises:
        InvalidDatasetError: files cannot be read: all of them are counted, the first ten named.
    """
    images = listing.image_set
    for parent in {posixpath.dirname(name.as_py()) for name in listing.names}:
        (folder / os.fsdecode(parent)).mkdir(parents=True, exist_ok=True)

    def copy(index: int) -> str | None:
        """Copy one image; returns what is wrong with it."""
        file = images.file(index)
        try:
            source = open_inside(images.root, file)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and images.url(index) is not None:
                return None
            return f"{shortened(file)!r} ({reason(error)})"
        with source, open(folder / listing.name(index), "wb") as target:
            while True:
                try:
                    chunk = source.read(CHUNK)
                except OSError as error:  # of the input; what cannot be written is the output's
                    return f"{shortened(file)!r} ({reason(error)})"
                if not chunk:
                    return None
                target.write(chunk)

    problems = Problems()
    with progress_bar(len(listing), "copying") as bar:
        for problem in in_threads(copy, len(listing)):
            if problem is not None:
                problems.add(problem)
            bar.update(1)
    if problems:
        raise InvalidDatasetError(
            f"{images.port}: files that cannot be read, {problems}. Replace or remove them."
        )
    write_listing(folder, listing)
