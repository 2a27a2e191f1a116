"""Image Model: any classifier of torchvision, as an UntrainedModelDirectory."""

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
from train_pytorch_model.component import Component
from train_pytorch_model.models.architectures import model_names
from train_pytorch_model.termination import leave

COMPONENT = Component(
    name="image_model",
    title="Image Model",
    category=CATEGORY,
    description=(
        "Makes any image classifier of torchvision, with weights trained on ImageNet or random "
        "ones."
    ),
    documentation="https://docs.pytorch.org/vision/stable/models.html",
    module="train_pytorch_model.companions.image_model",
    inputs=(WEIGHTS,),
    outputs=(UNTRAINED_MODEL,),
    parameters=(
        model_name_of(tuple(sorted(model_names())), "efficientnet_b0"),
        PRETRAINED,
        RANDOM_SEED,
    ),
    original=False,
)


def run(
    untrained_model: Path,
    weights: Path | None,
    model_name: str,
    pretrained: bool,
    random_seed: int,
) -> None:
    """What the command line does."""
    initialize(
        untrained_model,
        model_name,
        pretrained=pretrained,
        weights=weights,
        random_seed=random_seed,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns its exit code."""
    return run_component(COMPONENT, argv, run)


if __name__ == "__main__":
    leave(main())
