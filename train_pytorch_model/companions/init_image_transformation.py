"""Init Image Transformation: what to do to images, chosen once → a TransformationDirectory."""

from collections.abc import Sequence
from pathlib import Path

from train_pytorch_model.command_line import run_component
from train_pytorch_model.component import INT32_MAX, Component, Parameter, Port
from train_pytorch_model.report.console import say, warn
from train_pytorch_model.termination import leave


def _switch(name: str, help: str, *, default: bool = False) -> Parameter:
    """Whether an operation is chosen; the original's command line leaves out what is not given."""
    return Parameter(name, f"--{name}", bool, default, help, absent=False)


def _size(name: str, flag: str, default: int, help: str) -> Parameter:
    return Parameter(name, flag, int, default, help, minimum=1, maximum=INT32_MAX)


def _degrees(name: str, help: str) -> Parameter:
    return Parameter(name, f"--{name}", int, 0, help, minimum=0, maximum=180)


COMPONENT = Component(
    name="init_image_transformation",
    title="Init Image Transformation",
    category="Computer Vision/Image Data Transformation",
    description="Chooses the operations that Apply Image Transformation does to images, in the "
    "order of the parameters.",
    documentation="https://learn.microsoft.com/azure/machine-learning/component-reference/init-image-transformation",
    module="train_pytorch_model.companions.init_image_transformation",
    inputs=(),
    outputs=(
        Port(
            name="output_image_transformation",
            flag="--output_path",
            type="TransformationDirectory",
            help="The chosen operations; a directory that is empty or new.",
        ),
    ),
    parameters=(
        _switch("resize", "Resize images, keeping their aspect ratio.", default=True),
        _size("size", "--size", 256, "Pixels of the shorter edge after Resize."),
        _switch("center_crop", "Cut out the middle of images.", default=True),
        _size("crop_size", "--crop_size", 224, "Pixels of both edges after Center crop."),
        _switch("pad", "Add black pixels on all sides."),
        Parameter(
            name="padding",
            flag="--padding",
            type=int,
            default=0,
            minimum=0,
            maximum=INT32_MAX,
            help="Pixels that Pad adds on each side.",
        ),
        _switch("color_jitter", "Change nothing, as in the designer, which gives it no strength."),
        _switch("grayscale", "Make images grey; they keep three channels."),
        _switch("random_resized_crop", "Cut out a part of random size, shape and place."),
        _size(
            "random_size",
            "--random_resized_crop_size",
            256,
            "Pixels of both edges after Random resized crop.",
        ),
        _switch("random_crop", "Cut out a part at a random place."),
        _size(
            "random_crop_size",
            "--random_crop_size",
            224,
            "Pixels of both edges after Random crop.",
        ),
        _switch(
            "random_horizontal_flip", "Mirror half of the images, left to right.", default=True
        ),
        _switch("random_vertical_flip", "Mirror half of the images, top to bottom."),
        _switch("random_rotation", "Turn images by a random angle."),
        _degrees("random_rotation_degrees", "The largest angle of Random rotation, either way."),
        _switch("random_affine", "Turn images by a random angle, too."),
        _degrees("random_affine_degrees", "The largest angle of Random affine, either way."),
        _switch("random_grayscale", "Make a tenth of the images grey."),
        _switch("random_perspective", "Show half of the images from a random point of view."),
    ),
)


OPERATIONS: tuple[tuple[str, str, str | int | None], ...] = (
    ("resize", "Resize", "size"),
    ("center_crop", "CenterCrop", "crop_size"),
    ("pad", "Pad", "padding"),
    ("color_jitter", "ColorJitter", None),
    ("grayscale", "Grayscale", 3),
    ("random_resized_crop", "RandomResizedCrop", "random_size"),
    ("random_crop", "RandomCrop", "random_crop_size"),
    ("random_horizontal_flip", "RandomHorizontalFlip", None),
    ("random_vertical_flip", "RandomVerticalFlip", None),
    ("random_rotation", "RandomRotation", "random_rotation_degrees"),
    ("random_affine", "RandomAffine", "random_affine_degrees"),
    ("random_grayscale", "RandomGrayscale", None),
    ("random_perspective", "RandomPerspective", None),
)
"""What chooses an operation, its name, and its argument: a parameter's value, or a number."""


def run(output_image_transformation: Path, **given: int) -> None:
    """Write the chosen operations.

    The original takes ``grayscale`` and ``random_grayscale`` and does nothing; this writes them, in
    a form that keeps images RGB in its Apply Image Transformation as in ours.

    Raises:
        FailedToWriteOutputsError: the output cannot be written.
    """
    from train_pytorch_model.ports.output import check_output, whole_directory
    from train_pytorch_model.ports.transformation_directory import (
        operation,
        write_transformation_directory,
    )

    check_output(output_image_transformation, "output_image_transformation")
    operations = [
        operation(name, {} if argument is None else given.get(str(argument), argument))
        for switch, name, argument in OPERATIONS
        if given[switch]
    ]
    if given["color_jitter"]:
        warn("color_jitter changes nothing: the designer's Color jitter has no strength")
    with whole_directory(output_image_transformation, "output_image_transformation") as folder:
        write_transformation_directory(folder, operations)
    names = ", ".join(o.name for o in operations) or "no operation"
    say(f"{names}: written to {output_image_transformation}")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns its exit code."""
    return run_component(COMPONENT, argv, run)


if __name__ == "__main__":
    leave(main())
