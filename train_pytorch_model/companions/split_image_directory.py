"""Split Image Directory: an ImageDirectory → two, with the categories in proportion."""

import sys
from collections.abc import Sequence
from pathlib import Path

from train_pytorch_model.command_line import run_component
from train_pytorch_model.component import PRIVATE_URLS, Component, Parameter, Port
from train_pytorch_model.errors import InvalidDatasetError, ParameterError
from train_pytorch_model.termination import leave

COMPONENT = Component(
    name="split_image_directory",
    title="Split Image Directory",
    category="Computer Vision/Image Data Transformation",
    description=(
        "Divides the images of a directory into two, at random, with the categories in proportion."
    ),
    documentation="https://learn.microsoft.com/azure/machine-learning/component-reference/split-image-directory",
    module="train_pytorch_model.companions.split_image_directory",
    inputs=(
        Port(
            name="input_image_directory",
            flag="--src_path",
            type="ImageDirectory",
            help="The images to divide, with labels or without.",
        ),
    ),
    outputs=(
        Port(
            name="output_image_directory1",
            flag="--tgt_train_path",
            type="ImageDirectory",
            help="The given fraction of the images; a directory that is empty or new.",
        ),
        Port(
            name="output_image_directory2",
            flag="--tgt_test_path",
            type="ImageDirectory",
            help="All other images; a directory that is empty or new.",
        ),
    ),
    parameters=(
        Parameter(
            name="fraction_of_images_in_the_first_output",
            flag="--fraction",
            type=float,
            default=0.9,
            minimum=0,
            maximum=1,
            help="How much of the images the first output is to get; neither output may be empty.",
        ),
        Parameter(
            name="random_seed",
            flag="--random_seed",
            type=int,
            default=1,
            help="The seed of the division; the same seed gives the same division.",
        ),
    ),
    settings=(PRIVATE_URLS,),
)


def run(
    input_image_directory: Path,
    output_image_directory1: Path,
    output_image_directory2: Path,
    fraction_of_images_in_the_first_output: float,
    random_seed: int,
    private_urls: bool,
) -> None:
    """Divide the images; each half keeps their order, names and ids, and all the categories.

    Images without a label, or of several categories, are divided as if they were a category.

    Raises:
        ParameterError: the fraction is 0 or 1.
        InvalidDatasetError: the input is no image directory or has fewer than two images.
        FailedToWriteOutputsError: an output cannot be written; then neither is.
    """
    import numpy as np

    from train_pytorch_model.companions.image_copies import write_copies
    from train_pytorch_model.companions.stratification import first_part
    from train_pytorch_model.ports.listing import read_listing
    from train_pytorch_model.ports.output import check_two_outputs, two_whole_directories

    fraction = fraction_of_images_in_the_first_output
    if not 0 < fraction < 1:
        raise ParameterError(
            f"fraction_of_images_in_the_first_output is {fraction:g}, expected a number between 0 "
            "and 1, as neither output may be empty. Correct and run again.",
            code="0005" if fraction <= 0 else "0007",
        )
    outputs = {
        "output_image_directory1": output_image_directory1,
        "output_image_directory2": output_image_directory2,
    }
    check_two_outputs(outputs)
    listing = read_listing(
        input_image_directory, "input_image_directory", private_urls=private_urls
    )
    if len(listing) == 1:
        raise InvalidDatasetError(
            "input_image_directory: found one image, expected at least two to divide; leave this "
            "step out."
        )
    first = first_part(listing.image_set.labels, fraction, random_seed)
    halves = [listing.take(np.flatnonzero(first)), listing.take(np.flatnonzero(~first))]
    with two_whole_directories(outputs) as folders:
        for folder, half in zip(folders, halves, strict=True):
            write_copies(folder, half)
    for half, path in zip(halves, outputs.values(), strict=True):
        sys.stdout.write(f"{len(half):,} images are in {path}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns its exit code."""
    return run_component(COMPONENT, argv, run)


if __name__ == "__main__":
    leave(main())
