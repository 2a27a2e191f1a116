"""What may be wrong with the images of a data set, all of it once they have been read."""

from collections.abc import Mapping, Set

import numpy as np

from train_pytorch_model.errors import InvalidDatasetError, examples, quoted, shortened
from train_pytorch_model.ports.image_set import ImageSet

MAX_UNREADABLE = 0.01
"""The part of a data set that may be left out because it cannot be decoded."""


def check_unchanged(image_set: ImageSet, changed: Set[int]) -> None:
    """Images stay what they are as long as a run lasts, stopped and started again or not.

    Args:
        image_set: the images.
        changed: the indices of those whose bytes are others than when they were first read.

    Raises:
        InvalidDatasetError: there are some.
    """
    if changed:
        files = [image_set.file(index) for index in sorted(changed)]
        raise InvalidDatasetError(
            f"{image_set.port}: {len(files):,} of {len(image_set):,} images have changed since "
            f"they were first read: {quoted(files)}; expected the same files throughout a run. Put "
            "them back, or begin anew."
        )


def check_unreadable(image_set: ImageSet, unreadable: Mapping[int, str]) -> None:
    """At most MAX_UNREADABLE of the images may be left out, and never all of a category.

    Args:
        image_set: the images, all of which have a label.
        unreadable: index → why, of each that cannot be read.

    Raises:
        InvalidDatasetError: there are more, or a category has lost all of its images.
    """
    lost = sorted(unreadable)
    if not lost:
        return
    labels = image_set.labels
    readable = np.delete(labels, lost)
    emptied = sorted(set(labels[lost]) - set(readable))
    if len(lost) <= MAX_UNREADABLE * len(image_set) and not emptied:
        return
    named = examples(
        [f"{shortened(image_set.file(i))!r} ({shortened(unreadable[i])})" for i in lost]
    )
    classes = [repr(shortened(image_set.schema.classes[i])) for i in emptied]
    every = f", all those of {examples(classes)} among them" if emptied else ""
    raise InvalidDatasetError(
        f"{image_set.port}: {len(lost):,} of {len(image_set):,} images cannot be read{every}; "
        f"expected at most {MAX_UNREADABLE:.0%}, and some of each category: {named}. Replace or "
        "remove these files."
    )


def check_sizes(
    image_set: ImageSet, sizes: Mapping[tuple[int, int], int], first: tuple[int, int]
) -> None:
    """All images have one size.

    Args:
        image_set: the images.
        sizes: (height, width) → how many have it.
        first: that of the first, which is read once more with the others, and may be gone then.

    Raises:
        InvalidDatasetError: there are several.
    """
    sizes = {first: 1, **sizes} if sizes else {}
    if len(sizes) <= 1:
        return
    # Ties in the order of their sizes: the order of reading is the threads'.
    common = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    counts = examples([f"{count:,} of {width}x{height}" for (height, width), count in common])
    raise InvalidDatasetError(
        f"{image_set.port}: images have {len(sizes):,} sizes (width x height): {counts}; expected "
        "one. Bring them to one size with Init Image Transformation (Resize, then Center crop) and "
        "Apply Image Transformation."
    )
