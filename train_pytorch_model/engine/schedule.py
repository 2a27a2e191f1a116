"""The learning rate of each epoch: the original's rule."""

from collections.abc import Iterable

FINAL_RATE = 1e-7
WARMUP_RATE = 1e-4
POWER = 2


def learning_rate(epoch: int, epochs: int, initial: float, warmup_epochs: int = 0) -> float:
    """The learning rate of an epoch, constant within it.

    After the warm-up it falls from ``initial`` as ``(1 - e/E)²`` towards 1e-7. During the warm-up
    it rises linearly from 1e-4 towards ``initial``.

    Args:
        epoch: the epoch, counted from 0; less than ``epochs``.
        epochs: the epochs of the whole run.
        initial: the rate that the user chose, above 0.
        warmup_epochs: how many epochs the warm-up takes, at least 0.
    """
    if epoch < warmup_epochs:
        return WARMUP_RATE + (initial - WARMUP_RATE) * epoch / warmup_epochs
    remaining = 1 - (epoch - warmup_epochs) / (epochs - warmup_epochs)
    return float((initial - FINAL_RATE) * remaining**POWER + FINAL_RATE)


def decayed(rates: Iterable[float], steps: int, momentum: float, weight_decay: float) -> float:
    """What SGD with Nesterov momentum leaves of a weight of 1 whose gradient is always zero.

    Args:
        rates: the learning rate of each epoch.
        steps: how many there are in an epoch.
        momentum: of the optimiser.
        weight_decay: of the optimiser.
    """
    weight, velocity = 1.0, 0.0
    for rate in rates:
        for _ in range(steps):
            gradient = weight_decay * weight
            velocity = momentum * velocity + gradient
            weight -= rate * (gradient + momentum * velocity)
    return weight
