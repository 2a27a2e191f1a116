"""How good scored labels are: pure functions of true and scored labels.

The definitions are those of scikit-learn's ``accuracy_score``, ``precision_recall_fscore_support``
(``zero_division=0``), ``log_loss`` and ``confusion_matrix``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

TOP = 5
"""How many of the most probable categories ``top5_accuracy`` looks at."""

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """n scored images.

    Attributes:
        true: (n,) int64, the index of each image's label among ``Tally.categories``; -1: none.
        scored: (n,) int64, the index of the label that a model has given it.
        probabilities: (n, c) float64 of the first c categories; None where there are none.
    """

    true: Counts
    scored: Counts
    probabilities: NDArray[np.float64] | None


@dataclass
class Tally:
    """What has been counted of the images so far.

    Attributes:
        categories: category → index; grows when a label is met that has none.
        pairs: (true index, scored index) → images. A matrix of 10,000 categories would not fit.
        unlabelled: images without a label, which count for nothing else.
        log_loss: the sum over the images, in nats.
        in_top: images whose label is among the TOP most probable categories.
        has_probabilities: whether the two before mean anything.
    """

    categories: dict[str, int]
    pairs: dict[tuple[int, int], int] = field(default_factory=dict)
    unlabelled: int = 0
    log_loss: float = 0.0
    in_top: int = 0
    has_probabilities: bool = True

    def add(self, batch: Batch) -> None:
        """Count a batch."""
        labelled = batch.true >= 0
        self.unlabelled += int((~labelled).sum())
        true, scored = batch.true[labelled], batch.scored[labelled]
        rows, counts = np.unique(np.stack([true, scored], axis=1), axis=0, return_counts=True)
        for (row, column), count in zip(rows.tolist(), counts.tolist(), strict=True):
            self.pairs[row, column] = self.pairs.get((row, column), 0) + count
        if batch.probabilities is None:
            self.has_probabilities = False
            return
        probabilities = batch.probabilities[labelled]
        known = true < probabilities.shape[1]  # a label that the model does not know has none
        own = np.zeros(len(true))
        own[known] = probabilities[known, true[known]]
        self.log_loss -= float(np.log(np.maximum(own, np.finfo(np.float64).eps)).sum())
        higher = (probabilities > own[:, np.newaxis]).sum(axis=1)
        self.in_top += int((known & (higher < TOP)).sum())


@dataclass(frozen=True)
class PerCategory:
    """One value for each of k categories.

    ``support`` counts the images of the category, ``assigned`` those that were scored as it; the
    others are fractions, 0 where they would be 0/0.
    """

    categories: tuple[str, ...]
    support: Counts
    assigned: Counts
    correct: Counts
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]


def per_category(tally: Tally) -> PerCategory:
    """Precision, recall and F1 of every category that the scores or the labels name."""
    support, assigned, correct = (np.zeros(len(tally.categories), np.int64) for _ in range(3))
    for (true, scored), count in tally.pairs.items():
        support[true] += count
        assigned[scored] += count
        correct[true] += count * (true == scored)
    precision, recall = _ratio(correct, assigned), _ratio(correct, support)
    return PerCategory(
        categories=tuple(tally.categories),
        support=support,
        assigned=assigned,
        correct=correct,
        precision=precision,
        recall=recall,
        f1=_ratio(2 * correct, support + assigned),
    )


def _ratio(part: Counts, whole: Counts) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)


def summary(tally: Tally, categories: PerCategory) -> Mapping[str, float]:
    """The metrics of all images together.

    ``macro`` is the mean over the categories that have an image or were given to one; ``weighted``
    the mean over the images. ``log_loss`` is in nats, the accuracies are fractions.
    """
    images = int(categories.support.sum())
    found: dict[str, float] = {
        "images": images,
        "images_without_label": tally.unlabelled,
        "categories": len(categories.categories),
        "accuracy": float(categories.correct.sum() / images),
    }
    if tally.has_probabilities:
        found["top5_accuracy"] = tally.in_top / images
        found["log_loss"] = tally.log_loss / images
    met = (categories.support > 0) | (categories.assigned > 0)
    for name in ("precision", "recall", "f1"):
        values = getattr(categories, name)
        found[f"macro_{name}"] = float(values[met].mean())
        found[f"weighted_{name}"] = float((values * categories.support).sum() / images)
    return found


def confusions(tally: Tally) -> Iterable[tuple[str, str, int]]:
    """(label, scored as, images) of every pair that there is, in the order of the categories."""
    names = list(tally.categories)
    for (true, scored), count in sorted(tally.pairs.items()):
        yield names[true], names[scored], count


def worst(categories: PerCategory, limit: int) -> Sequence[int]:
    """The ``limit`` categories with the lowest F1, in order."""
    chosen = np.argsort(categories.f1, kind="stable")[:limit]
    return sorted(int(index) for index in chosen)


def most_confused(tally: Tally, categories: PerCategory, limit: int) -> Sequence[int]:
    """The ``limit`` categories with the most wrong images in their row or column, in order."""
    wrong = categories.support + categories.assigned - 2 * categories.correct
    chosen = np.argsort(-wrong, kind="stable")[:limit]
    return sorted(int(index) for index in chosen)


def matrix(tally: Tally, chosen: Sequence[int]) -> Counts:
    """(k, k) int64, the images of each pair of ``chosen`` categories; rows are their labels."""
    position = {index: place for place, index in enumerate(chosen)}
    found = np.zeros((len(chosen), len(chosen)), np.int64)
    for (true, scored), count in tally.pairs.items():
        if true in position and scored in position:
            found[position[true], position[scored]] = count
    return found
