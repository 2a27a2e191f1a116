"""DenseNet: the densely connected networks of torchvision, as an UntrainedModelDirectory."""

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
from train_pytorch_model.models.architectures import DENSENET
from train_pytorch_model.termination import leave

COMPONENT = Component(
    name="densenet",
    title="DenseNet",
    category=CATEGORY,
    description="Makes a DenseNet, with weights trained on ImageNet or random ones.",
    documentation="https://learn.microsoft.com/azure/machine-learning/component-reference/densenet",
    module="train_pytorch_model.companions.densenet",
    inputs=(WEIGHTS,),
    outputs=(UNTRAINED_MODEL,),
    parameters=(
        model_name_of(DENSENET.model_names, "densenet201"),
        PRETRAINED,
        Parameter(
            name="memory_efficient",
            flag="--memory_efficient",
            type=bool,
            default=False,
            help="Whether training takes less memory and more time, by computing twice.",
        ),
        RANDOM_SEED,
    ),
)


def run(
    untrained_model: Path,
    weights: Path | None,
    model_name: str,
    pretrained: bool,
    memory_efficient: bool,
    random_seed: int,
) -> None:
    """What the command line does."""
    initialize(
        untrained_model,
        model_name,
        pretrained=pretrained,
        weights=weights,
        random_seed=random_seed,
        options={"memory_efficient": memory_efficient},
    )


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns its exit code."""
    return run_component(COMPONENT, argv, run)


if __name__ == "__main__":
    leave(main())
