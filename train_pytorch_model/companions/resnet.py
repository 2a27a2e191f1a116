"""ResNet: the residual networks of torchvision, as an UntrainedModelDirectory."""

from collections.abc import Sequence
from pathlib import Path

from train_pytorch_model.command_line import run_component
from train_pytorch_model.companions.initialization import (
    CATEGORY,
    PRETRAINED,
    RANDOM_SEED,
    UNTRAINED_MODEL,
    WEIGHTS,
    initialize,
    model_name_of,
)
from train_pytorch_model.component import Component, Parameter
from train_pytorch_model.models.architectures import RESNET
from train_pytorch_model.termination import leave

COMPONENT = Component(
    name="resnet",
    title="ResNet",
    category=CATEGORY,
    description="Makes a ResNet, with weights trained on ImageNet or random ones.",
    documentation="https://learn.microsoft.com/azure/machine-learning/component-reference/resnet",
    module="train_pytorch_model.companions.resnet",
    inputs=(WEIGHTS,),
    outputs=(UNTRAINED_MODEL,),
    parameters=(
        model_name_of(RESNET.model_names, "resnext101_32x8d"),
        PRETRAINED,
        Parameter(
            name="zero_init_residual",
            flag="--zero_init_residual",
            type=bool,
            default=False,
            help="Whether each residual block begins as the identity; of random weights only.",
        ),
        RANDOM_SEED,
    ),
)


def run(
    untrained_model: Path,
    weights: Path | None,
    model_name: str,
    pretrained: bool,
    zero_init_residual: bool,
    random_seed: int,
) -> None:
    """What the command line does."""
    initialize(
        untrained_model,
        model_name,
        pretrained=pretrained,
        weights=weights,
        random_seed=random_seed,
        options={"zero_init_residual": zero_init_residual},
    )


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns its exit code."""
    return run_component(COMPONENT, argv, run)


if __name__ == "__main__":
    leave(main())
