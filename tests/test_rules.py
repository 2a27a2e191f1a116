"""Edge rules of training, pinned by tables."""

import math

import pytest

from train_pytorch_model.engine.early_stopping import EarlyStopping, is_better
from train_pytorch_model.engine.schedule import learning_rate

NAN = math.nan


@pytest.mark.parametrize(
    ("patience", "losses", "stops_after"),
    [
        (1, [1.0, 0.9, 0.8], None),
        (1, [1.0, 1.0], 2),  # equal is no decrease
        (1, [1.0, 1.1], 2),
        (2, [1.0, 1.1, 1.0, 1.1, 1.0], None),  # a decrease from the epoch before resets
        (2, [1.0, 1.1, 1.2], 3),
        (2, [1.0, 1.1, 1.05, 1.06, 1.07], 5),  # decreases from the epoch before, not from the best
        (3, [1.0, 1.0, 1.0, 1.0], 4),
        (1, [NAN], 1),  # NaN never counts as a decrease
        (1, [1.0, NAN], 2),
        (2, [1.0, NAN, NAN], 3),
        (2, [1.0, NAN, 2.0, 1.0], None),
        (1, [math.inf], 1),
        (2, [math.inf, 1.0], None),
    ],
)
def test_patience(patience: int, losses: list[float], stops_after: int | None) -> None:
    """After which epoch training stops."""
    stopping = EarlyStopping(patience)
    stops = [epoch for epoch, loss in enumerate(losses, 1) if stopping.should_stop(loss)]
    assert (stops[0] if stops else None) == stops_after


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ([1.0], 0),
        ([1.0, 0.5, 0.7], 1),
        ([1.0, 0.5, 0.5], 1),  # of equals the first
        ([NAN, 2.0, NAN], 1),
        ([0.5, NAN], 0),
    ],
)
def test_best_epoch(losses: list[float], best: int) -> None:
    """The epoch of lowest validation loss."""
    chosen, lowest = None, None
    for epoch, loss in enumerate(losses):
        if is_better(loss, lowest):
            chosen, lowest = epoch, loss
    assert chosen == best


@pytest.mark.parametrize(
    ("epoch", "epochs", "initial", "warmup", "expected"),
    [
        (0, 1, 0.001, 0, 0.001),
        (0, 5, 0.001, 0, 0.001),
        (1, 5, 0.001, 0, (0.001 - 1e-7) * 0.64 + 1e-7),
        (4, 5, 0.001, 0, (0.001 - 1e-7) * 0.04 + 1e-7),
        (0, 4, 0.1, 2, 1e-4),
        (1, 4, 0.1, 2, 1e-4 + (0.1 - 1e-4) / 2),
        (2, 4, 0.1, 2, 0.1),
        (3, 4, 0.1, 2, (0.1 - 1e-7) * 0.25 + 1e-7),
        (1, 2, 0.1, 2, 1e-4 + (0.1 - 1e-4) / 2),  # the original divides by zero
        (1, 2, 0.1, 9, 1e-4 + (0.1 - 1e-4) / 9),
    ],
)
def test_learning_rate(
    epoch: int, epochs: int, initial: float, warmup: int, expected: float
) -> None:
    """Polynomial decay after a linear warm-up."""
    assert learning_rate(epoch, epochs, initial, warmup) == pytest.approx(expected, rel=1e-12)
