"""ResNet and DenseNet: an UntrainedModelDirectory with random weights."""

import sys
from collections.abc import Sequence
from pathlib import Path

from train_pytorch_model.command_line import run_component
from train_pytorch_model.component import Component, Parameter, Port
from train_pytorch_model.models.architectures import family_with, model_names
from train_pytorch_model.params import seed_of_64_bits

COMPONENT = Component(
    name="untrained_model",
    title="Untrained Model",
    category="Computer Vision/Image Classification",
    description="Makes a ResNet or DenseNet with random weights.",
    documentation="https://learn.microsoft.com/azure/machine-learning/component-reference/resnet",
    module="train_pytorch_model.companions.untrained_model",
    inputs=(),
    outputs=(
        Port(
            name="untrained_model",
            flag="--untrained_model_path",
            type="UntrainedModelDirectory",
            help="The model; a directory that is empty or new.",
        ),
    ),
    parameters=(
        Parameter(
            name="model_name",
            flag="--model_name",
            type=str,
            default="resnet18",
            choices=model_names(),
            help="The architecture.",
        ),
        Parameter(
            name="random_seed",
            flag="--random_seed",
            type=int,
            default=1,
            help="The seed of the weights.",
        ),
    ),
)


def create(model_name: str, target: Path, random_seed: int = 1) -> None:
    """Write an untrained model.

    Args:
        model_name: one of ``model_names()``.
        target: where to write the directory.
        random_seed: of the weights, any integer.

    Raises:
        FailedToWriteOutputsError: ``target`` cannot be written.
    """
    import torch
    import torchvision

    from train_pytorch_model.models.network import original_state_dict
    from train_pytorch_model.ports.model_directory import write_untrained_model
    from train_pytorch_model.ports.model_spec import ModelSpec
    from train_pytorch_model.ports.output import check_output, whole_directory

    check_output(target, "untrained_model")
    family = family_with(model_name)
    torch.manual_seed(seed_of_64_bits(random_seed))
    net = getattr(torchvision.models, model_name)(weights=None)
    spec = ModelSpec(family.module, family.class_name, model_name, {family.option: False})
    with whole_directory(target, "untrained_model") as folder:
        write_untrained_model(folder, spec, original_state_dict(net))


def run(untrained_model: Path, model_name: str, random_seed: int) -> None:
    """What the command line does."""
    create(model_name, untrained_model, random_seed)
    sys.stdout.write(f"{model_name} is in {untrained_model}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns its exit code."""
    return run_component(COMPONENT, argv, run)


if __name__ == "__main__":
    sys.exit(main())
