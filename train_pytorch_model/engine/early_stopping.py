"""When to stop, and which epoch was best."""

import math
from dataclasses import dataclass


@dataclass
class EarlyStopping:
    """Counts consecutive epochs whose validation loss did not decrease from the epoch before.

    The first epoch has none before it and counts as a decrease, unless its loss is not finite.
    A loss that is not a number never counts as a decrease, and one after it always does.
    """

    patience: int
    previous: float = math.inf
    waited: int = 0

    def should_stop(self, validation_loss: float) -> bool:
        """Take in the loss of the next epoch; whether that makes ``patience`` epochs in a row."""
        self.waited = 0 if validation_loss < self.previous else self.waited + 1
        self.previous = math.inf if math.isnan(validation_loss) else validation_loss
        return self.waited >= self.patience


def is_better(validation_loss: float, best: float | None) -> bool:
    """Whether an epoch's loss is the lowest so far; of equals, and against NaN, the first stays."""
    if math.isnan(validation_loss):
        return False
    return best is None or validation_loss < best
