"""Convert to Image Directory: a folder or archive of images → an ImageDirectory with metadata."""

import sys
from collections.abc import Sequence
from pathlib import Path

from train_pytorch_model.command_line import run_component
from train_pytorch_model.component import PRIVATE_URLS, Component, Port
from train_pytorch_model.errors import quoted
from train_pytorch_model.termination import leave

COMPONENT = Component(
    name="convert_to_image_directory",
    title="Convert to Image Directory",
    category="Computer Vision/Image Data Transformation",
    description=(
        "Turns a folder or an archive of images into an image directory, which the other steps "
        "read."
    ),
    documentation="https://learn.microsoft.com/azure/machine-learning/component-reference/convert-to-image-directory",
    module="train_pytorch_model.companions.convert_to_image_directory",
    inputs=(
        Port(
            name="input_dataset",
            flag="--input_path",
            type="AnyDirectory",
            help="Images: one folder per category, COCO, or without labels; or a folder that holds "
            "them in one .zip, .tar, .gz or .bz2.",
        ),
    ),
    outputs=(
        Port(
            name="output_image_directory",
            flag="--output_path",
            type="ImageDirectory",
            help="The images with their metadata; a directory that is empty or new.",
        ),
    ),
    settings=(PRIVATE_URLS,),
)


def convert(source: Path, target: Path, private_urls: bool = False) -> str:
    """Copy the images of ``source`` and describe them; returns what they are, in words.

    The files are copied as they are; ``read_listing`` says how they are named.

    Raises:
        UserError: ``source`` holds no images or cannot be unpacked, or ``target`` cannot be
            written.
    """
    from train_pytorch_model.companions.image_copies import write_copies
    from train_pytorch_model.ports.archive import beside_archive, unpacked
    from train_pytorch_model.ports.listing import read_listing
    from train_pytorch_model.ports.output import check_output, whole_directory
    from train_pytorch_model.report.console import warn

    check_output(target, "output_image_directory")
    beside = beside_archive(source)
    if beside:
        warn(
            f"input_dataset: {quoted(beside)} in {str(source)!r} are left out, as there is an "
            "archive beside them; move either away if that is not meant."
        )
    with unpacked(source, "input_dataset") as folder:
        listing = read_listing(folder, "input_dataset", private_urls=private_urls)
        with whole_directory(target, "output_image_directory") as output:
            write_copies(output, listing)
    categories = len(listing.image_set.schema.categories)
    kind = f"of {categories:,} categories" if categories else "without labels"
    return f"{len(listing):,} images {kind}"


def run(input_dataset: Path, output_image_directory: Path, private_urls: bool) -> None:
    """What the command line does."""
    images = convert(input_dataset, output_image_directory, private_urls)
    sys.stdout.write(f"{images} are in {output_image_directory}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns its exit code."""
    return run_component(COMPONENT, argv, run)


if __name__ == "__main__":
    leave(main())
