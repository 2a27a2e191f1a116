"""Convert, ResNet or DenseNet (original) → our training → Score Image Model (either)."""

from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet
import pytest


class Pipeline(NamedTuple):
    """The directories of one pipeline."""

    trained: Path
    scored_by_original: Path
    scored_by_ours: Path


@pytest.fixture(scope="module", params=["resnet18", "densenet121"])
def pipeline(request, original, ours, at_once, pictures) -> Pipeline:
    """One for each family of models."""
    data, untrained = at_once(
        lambda: original.convert(pictures), lambda: original.untrained(request.param)
    )
    trained = ours.train(untrained, data)
    scored = at_once(lambda: original.score(trained, data), lambda: ours.score(trained, data))
    return Pipeline(trained, *scored)


def test_both_scores_are_equal(pipeline, same_scores):
    """Labels, and probabilities within 1e-5, of every image."""
    same_scores(pipeline.scored_by_original, pipeline.scored_by_ours)


def test_every_image_is_scored_beside_its_label(pipeline, pictures):
    """In the order of the directory, with a probability for each class."""
    table = pyarrow.parquet.read_table(pipeline.scored_by_original / "_data.parquet")
    classes = sorted(folder.name for folder in pictures.iterdir())
    assert table["id"].to_pylist() == list(range(12))
    assert table["category"].to_pylist() == [name for name in classes for _ in range(4)]
    assert table.column_names == [
        "category",
        "id",
        *(f"Scored Probabilities_{name}" for name in classes),
        "Scored Labels",
    ]
    assert set(table["Scored Labels"].to_pylist()) <= set(classes)


def test_the_originals_reader_sees_no_difference_in_our_table(original, pipeline):
    """Columns, their order and their schema are those of the original Score Image Model."""
    theirs = original.probe("table", pipeline.scored_by_original)
    assert original.probe("table", pipeline.scored_by_ours) == theirs


def test_our_data_goes_through_the_original_steps_into_our_training(
    original, ours, at_once, same_scores, pictures
):
    """Convert (ours) → Split, Init and Apply Image Transformation (original) → Train (ours)."""
    converted = ours.convert(pictures)
    halves, untrained = at_once(
        lambda: original.split(converted), lambda: original.untrained("resnet18")
    )
    training, validation = at_once(
        *(lambda half=half: original.resized(half, 40) for half in halves)
    )
    trained = ours.train(untrained, training)
    scores = at_once(
        lambda: original.score(trained, validation), lambda: ours.score(trained, validation)
    )
    same_scores(*scores)
