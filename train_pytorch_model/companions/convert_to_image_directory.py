"""Convert to Image Directory: a folder of images → an ImageDirectory with metadata."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from train_pytorch_model.command_line import run_component
from train_pytorch_model.component import Component, Port
from train_pytorch_model.errors import InvalidDatasetError, Problems, shortened

COMPONENT = Component(
    name="convert_to_image_directory",
    title="Convert to Image Directory",
    category="Computer Vision/Image Data Transformation",
    description="Turns a folder of images into an image directory, which the other steps read.",
    documentation="https://learn.microsoft.com/azure/machine-learning/component-reference/convert-to-image-directory",
    module="train_pytorch_model.companions.convert_to_image_directory",
    inputs=(
        Port(
            name="input_dataset",
            flag="--input_path",
            type="AnyDirectory",
            help="A folder of images: one folder per category, COCO, or images without labels.",
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
)


def convert(source: Path, target: Path) -> int:
    """Copy the images of ``source`` and describe them; returns how many there are.

    The files are copied as they are; ``names_with_metadata`` says where. Of the references to
    images of a directory that has metadata, only the file's name is kept.

    Raises:
        UserError: ``source`` is not an image directory, or ``target`` cannot be written.
    """
    from train_pytorch_model.ports.image_directory import (
        names_with_metadata,
        read_image_directory,
        samples,
    )
    from train_pytorch_model.ports.image_list import write_with_metadata
    from train_pytorch_model.ports.output import check_output, whole_directory
    from train_pytorch_model.ports.paths import open_inside, reason

    check_output(target, "output_image_directory")
    image_set = read_image_directory(source, "input_dataset")
    names = names_with_metadata(image_set)
    problems = Problems()
    with whole_directory(target, "output_image_directory") as folder:
        for index, name in enumerate(names):
            file = image_set.file(index)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            try:
                content = open_inside(image_set.root, file)
            except OSError as error:
                problems.add(f"{shortened(file)!r} ({reason(error)})")
                continue
            with content, open(folder / name, "wb") as copy:
                shutil.copyfileobj(content, copy)
        if problems:
            raise InvalidDatasetError(
                f"input_dataset: files that cannot be read, {problems}. Replace or remove them."
            )
        write_with_metadata(folder, image_set, names, samples(image_set))
    return len(image_set)


def run(input_dataset: Path, output_image_directory: Path) -> None:
    """What the command line does."""
    count = convert(input_dataset, output_image_directory)
    sys.stdout.write(f"{count:,} images are in {output_image_directory}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns its exit code."""
    return run_component(COMPONENT, argv, run)


if __name__ == "__main__":
    sys.exit(main())
