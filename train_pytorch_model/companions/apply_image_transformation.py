"""Apply Image Transformation: an image directory → the same images, transformed, as PNG."""

import os
import posixpath
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from train_pytorch_model.command_line import run_component
from train_pytorch_model.component import PRIVATE_URLS, Component, Parameter, Port
from train_pytorch_model.errors import InvalidDatasetError, Problems, shortened
from train_pytorch_model.report.console import progress_bar, say
from train_pytorch_model.termination import leave

TRAINING, INFERENCE = "For training", "For inference"

COMPONENT = Component(
    name="apply_image_transformation",
    title="Apply Image Transformation",
    category="Computer Vision/Image Data Transformation",
    description="Does to images what Init Image Transformation has chosen, and writes them as PNG.",
    documentation="https://learn.microsoft.com/azure/machine-learning/component-reference/apply-image-transformation",
    module="train_pytorch_model.companions.apply_image_transformation",
    inputs=(
        Port(
            name="input_image_transformation",
            flag="--input_image_transform_path",
            type="TransformationDirectory",
            help="The operations, from Init Image Transformation.",
        ),
        Port(
            name="input_image_directory",
            flag="--input_image_dir_path",
            type="ImageDirectory",
            help="The images to transform.",
        ),
    ),
    outputs=(
        Port(
            name="output_image_directory",
            flag="--output_path",
            type="ImageDirectory",
            help="The transformed images, RGB, with their labels and other columns; a directory "
            "that is empty or new.",
        ),
    ),
    parameters=(
        Parameter(
            name="mode",
            flag="--mode",
            type=str,
            default=TRAINING,
            choices=(TRAINING, INFERENCE),
            help="For inference, the random operations are left out.",
        ),
        Parameter(
            name="random_seed",
            flag="--random_seed",
            type=int,
            default=1,
            help="The seed of the random operations; the same seed gives the same images.",
        ),
    ),
    settings=(PRIVATE_URLS,),
)

RUN_LENGTHS = 3
"""zlib's Z_RLE: photographs are as small as by Pillow's default, in a quarter of the time."""


def run(
    input_image_transformation: Path,
    input_image_directory: Path,
    output_image_directory: Path,
    mode: str,
    random_seed: int,
    private_urls: bool,
) -> None:
    """Transform every image, several at a time.

    What is random follows from the seed and the image's place in the directory. Images are decoded
    as for training, so that 16-bit ones are scaled, where the original clips them.

    Raises:
        InvalidTransformationDirectoryError: ``input_image_transformation`` is none.
        InvalidDatasetError: ``input_image_directory`` is none, or images cannot be read or
            transformed: all of them are counted and the first ten named. Nothing is written.
        FailedToWriteOutputsError: the output cannot be written.
    """
    import pyarrow as pa
    from PIL import Image

    from train_pytorch_model.data.decode import UnreadableImageError, read_pixels
    from train_pytorch_model.data.threads import in_threads
    from train_pytorch_model.data.transforms import TransformationError, draws, transformed
    from train_pytorch_model.ports.image_directory import renamed
    from train_pytorch_model.ports.listing import (
        Listing,
        lines_with_names,
        read_listing,
        write_listing,
    )
    from train_pytorch_model.ports.output import check_output, whole_directory
    from train_pytorch_model.ports.transformation_directory import read_transformation_directory

    check_output(output_image_directory, "output_image_directory")
    operations = read_transformation_directory(
        input_image_transformation, "input_image_transformation"
    )
    if mode == INFERENCE:
        operations = [operation for operation in operations if not operation.is_random]
    listing = read_listing(
        input_image_directory, "input_image_directory", private_urls=private_urls
    )
    images = listing.image_set
    names = png_names([listing.name(index) for index in range(len(listing))])
    _check_lengths(names)

    def write(index: int) -> str | None:
        """Write one image; returns what is wrong with it."""
        try:
            image = Image.fromarray(read_pixels(images, index))
            result = transformed(image, operations, draws(random_seed, index))
        except (UnreadableImageError, TransformationError) as error:
            return f"{shortened(images.file(index))!r} ({shortened(str(error))})"
        result.save(folder / names[index], "PNG", compress_type=RUN_LENGTHS)
        return None

    problems = Problems()
    with (
        whole_directory(output_image_directory, "output_image_directory") as folder,
        progress_bar(len(images), "transforming") as bar,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # Pillow's, of odd metadata; the pixels are what counts
        for parent in {posixpath.dirname(name) for name in names}:
            (folder / parent).mkdir(parents=True, exist_ok=True)
        for problem in in_threads(write, len(images)):
            if problem is not None:
                problems.add(problem)
            bar.update(1)
        if problems:
            raise InvalidDatasetError(
                f"input_image_directory: images that cannot be transformed, {problems}. Replace or "
                "remove these files, or choose other sizes in Init Image Transformation."
            )
        written = renamed(images, folder, names)
        lines = lines_with_names(listing, names)
        write_listing(folder, Listing(written, pa.array([n.encode() for n in names]), lines))
    say(f"{len(images):,} images are in {output_image_directory}")


def png_names(names: Sequence[str]) -> list[str]:
    """``names`` with the ending ``.png``, each once: ``a.png``, ``a.jpg`` → ``a.png``, ``a_2.png``.

    The original gives both rows one file.
    """
    taken: dict[str, int] = {}
    unique = []
    plain = [posixpath.normpath(name) for name in names]  # ./a and a are one file
    folders = {folder for name in plain for folder in _folders(name) if folder.endswith(".png")}
    for name in plain:
        stem = posixpath.splitext(name)[0]
        if f"{stem}.png" in folders:
            taken.setdefault(stem, 1)
        free = stem
        while free in taken:
            taken[stem] += 1
            free = f"{stem}_{taken[stem]}"
        taken[free] = 1
        unique.append(f"{free}.png")
    return unique


def _folders(name: str) -> Iterator[str]:
    """The folders that a path leads through."""
    while name := posixpath.dirname(name):
        yield name


MAX_NAME_BYTES = 255
"""Of each part of a path, on the file systems of Linux."""


def _check_lengths(names: Sequence[str]) -> None:
    problems = Problems()
    for name in names:
        if any(len(os.fsencode(part)) > MAX_NAME_BYTES for part in name.split("/")):
            problems.add(repr(shortened(name)))
    if problems:
        raise InvalidDatasetError(
            f"input_image_directory: names that are too long with their new ending, {problems}; "
            f"expected at most {MAX_NAME_BYTES} bytes. Shorten them."
        )


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns its exit code."""
    return run_component(COMPONENT, argv, run)


if __name__ == "__main__":
    leave(main())
