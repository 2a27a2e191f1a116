"""The command line of Train PyTorch Model: argv → Job → train()."""

from collections.abc import Sequence
from typing import Any

from train_pytorch_model.command_line import run_component
from train_pytorch_model.contract import TRAIN_PYTORCH_MODEL
from train_pytorch_model.imports import lean
from train_pytorch_model.job import Job
from train_pytorch_model.params import PARAMETERS, TrainingParams


def main(argv: Sequence[str] | None = None) -> int:
    """Run the component; returns its exit code."""
    return run_component(TRAIN_PYTORCH_MODEL, argv, _train)


def _train(**values: Any) -> None:
    params = TrainingParams(**{p.name: values.pop(p.name) for p in PARAMETERS})
    with lean():  # torch takes seconds to import; --help needs none
        from train_pytorch_model.train import train

    train(Job(params=params, **values))
