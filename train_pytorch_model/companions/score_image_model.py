"""Score Image Model: a ModelDirectory and an ImageDirectory → a table of scored images."""

import sys
from collections.abc import Sequence
from pathlib import Path

from train_pytorch_model.command_line import run_component
from train_pytorch_model.component import DEVICE, PRIVATE_URLS, Component, Port
from train_pytorch_model.imports import lean
from train_pytorch_model.termination import leave

COMPONENT = Component(
    name="score_image_model",
    title="Score Image Model",
    category="Model Scoring & Evaluation",
    description="Computes the probability of each category for every image of a directory.",
    documentation="https://learn.microsoft.com/azure/machine-learning/component-reference/score-image-model",
    module="train_pytorch_model.companions.score_image_model",
    inputs=(
        Port(
            name="trained_model",
            flag="--trained-model",
            type="ModelDirectory",
            help="The trained model, from Train PyTorch Model.",
        ),
        Port(
            name="dataset",
            flag="--dataset",
            type="ImageDirectory",
            help="The images to score, with labels or without.",
        ),
    ),
    outputs=(
        Port(
            name="scored_dataset",
            flag="--scored-dataset",
            type="DataFrameDirectory",
            help="A row per image; a directory that is empty or new.",
        ),
    ),
    settings=(DEVICE, PRIVATE_URLS),
)


def run(
    trained_model: Path, dataset: Path, scored_dataset: Path, device: str, private_urls: bool
) -> None:
    """What the command line does."""
    with lean():  # torch takes seconds to import; --help needs none
        from train_pytorch_model.companions.scoring import score

    summary = score(trained_model, dataset, scored_dataset, device, private_urls)
    sys.stdout.write(f"{summary} The scored images are in {scored_dataset}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns its exit code."""
    return run_component(COMPONENT, argv, run)


if __name__ == "__main__":
    leave(main())
