"""Which images go into the first part of a split."""

import numpy as np
from numpy.random import PCG64
from numpy.typing import NDArray

from train_pytorch_model.params import seed_of_64_bits


def first_part(labels: NDArray[np.int64], fraction: float, seed: int) -> NDArray[np.bool_]:
    """Which of n images go into the first part.

    Of each category, which images go is random; the same for the same seed, on any machine.

    Args:
        labels: (n,) the category of each image, n ≥ 2; any number stands for having none.
        fraction: how much of them the first part is to be, above 0 and below 1.
        seed: any integer.

    Returns:
        (n,) whether an image is in the first part; neither part is empty.
    """
    _, category, counts = np.unique(labels, return_inverse=True, return_counts=True)
    share = shares(counts, fraction)
    # The generator's own numbers are the same in every version of NumPy; its shuffling is not.
    keys = PCG64(seed_of_64_bits(seed)).random_raw(len(labels))
    order = np.lexsort((keys, category))
    rank = np.arange(len(labels)) - (np.cumsum(counts) - counts)[category[order]]
    first = np.zeros(len(labels), dtype=bool)
    first[order] = rank < share[category[order]]
    return first


def shares(counts: NDArray[np.int64], fraction: float) -> NDArray[np.int64]:
    """How many images of each category go into the first part.

    Altogether ``floor(fraction · n)``, in proportion: what rounding down leaves goes to the
    categories that lost most, the first of equals. Then a category of two images or more gets at
    least one in either part, which may change the sum.

    Args:
        counts: (k,) how many images each category has, at least 1.
        fraction: above 0 and below 1.
    """
    n = int(counts.sum())
    wanted = min(max(int(fraction * n), 1), n - 1)
    exact = wanted * counts / n
    share = np.floor(exact).astype(np.int64)
    most = np.argsort(share - exact, kind="stable")[: wanted - int(share.sum())]
    share[most] += 1
    several = counts > 1
    return np.where(several, np.clip(share, 1, np.maximum(counts - 1, 1)), share)
