"""One run of the component: what the command line asks for."""

from dataclasses import dataclass, field
from pathlib import Path

from train_pytorch_model.params import TrainingParams


@dataclass(frozen=True)
class Job:
    """The three inputs, the output, the parameters, and the settings that need no thought.

    ``warmup_epochs`` (≥ 0) and ``print_frequency`` (batches, ≥ 1) are the original's
    ``--num-warmup-steps`` and ``--print-freq``; ``checkpoint_minutes`` (≥ 0) are those within an
    epoch; ``device``, ``precision`` and ``cache`` are settings of ``contract.py``. ``private_urls``
    is whether images may be fetched from other than the public internet.
    """

    untrained_model: Path
    training_dataset: Path
    validation_dataset: Path
    trained_model: Path
    params: TrainingParams = field(default_factory=TrainingParams)
    warmup_epochs: int = 0
    checkpoint_minutes: float = 2.0
    print_frequency: int = 100
    device: str = "auto"
    precision: str = "auto"
    cache: str = "auto"
    private_urls: bool = False
