"""What is told of a run while it lasts, and to whom."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # steps that show progress and do not train start without torch
    from torch import Tensor


@dataclass(frozen=True)
class EpochMetrics:
    """One epoch, counted from 1.

    Losses are mean cross-entropies in nats; accuracies are fractions, 0…1; ``seconds`` is the time
    of the whole epoch and ``images_per_second`` counts the training images over the time of the
    training alone.
    """

    epoch: int
    learning_rate: float
    training_loss: float
    training_top1: float
    validation_loss: float
    validation_top1: float
    validation_top5: float
    images_per_second: float
    seconds: float
    best: bool


class MetricSink(Protocol):
    """Where metrics go while a run lasts."""

    def batch(self, images: int, loss: "Tensor") -> None:
        """Images were trained on; ``loss`` is the batch's, a scalar on the device."""

    def epoch(self, metrics: EpochMetrics) -> None:
        """An epoch is over."""
