"""Odd class names survive training and scoring wherever the original's own round trip keeps them.

Every set goes through both sides: trained by the original and scored by the original, trained by
ours and scored by either. What the original loses is written down here by running it.
"""

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

SURVIVING = {
    "punctuation": ["a,b", "it's", 'say "hi"', "back\\slash", "#;|\t%", '"', "=1+1", ","],
    "spaces": [" lead", "trail ", " both ", "two  words", " ", "two\nlines", "DOS\r\nlines"],
    "unicode": ["é", "e\u0301", "日本", "🦊", "\ufeffmark", "\u2028", "\x01"],
    "numbers beside text": ["01", "1", "1e3", "True", "cat"],
}

# The original keeps labels in a CSV that pandas reads: a column that looks like numbers or truth
# values becomes them, NA and its like become NaN, and an unquoted carriage return ends the line.
LOST = {
    "numbers": ["007", "1e3", "2.5"],
    "whole numbers": ["1", "2", "10"],
    "truth values": ["False", "True"],
    "truth values in any case": ["FALSE", "true"],
    "a missing value": ["NA", "cat", "dog"],
    "missing values": ["NA", "cat", "nan"],
    "carriage returns": ["cat", "cr\rlabel"],
}


def labels_in(scored: Path) -> list[str] | None:
    """The labels that a table names, in order; None where those of its rows are not among them."""
    table = pyarrow.parquet.read_table(scored / "_data.parquet")
    prefix = "Scored Probabilities_"
    names = [c.removeprefix(prefix) for c in table.column_names if c.startswith(prefix)]
    scored_labels = table["Scored Labels"]
    if not pyarrow.types.is_string(scored_labels.type):
        return None
    return names if set(scored_labels.to_pylist()) <= set(names) else None


def scored_by_original(original, model: Path, data: Path) -> list[str] | None:
    """The labels that the original names; None where it fails."""
    try:
        return labels_in(original.score(model, data))
    except original.failure:
        return None


@pytest.fixture(scope="module")
def untrained(original) -> Path:
    """The start of every training."""
    return original.untrained("resnet18")


@pytest.fixture
def converted(original, noise, tmp_path):
    """Makes the original's image directory of these labels, two images each."""

    def convert(labels: list[str]) -> Path:
        for number, label in enumerate(labels):
            noise(tmp_path / label / "0.png", 2 * number)
            noise(tmp_path / label / "1.png", 2 * number + 1)
        return original.convert(tmp_path)

    return convert


@pytest.mark.parametrize("labels", SURVIVING.values(), ids=SURVIVING)
def test_labels_that_the_original_keeps(original, ours, at_once, untrained, converted, labels):
    """Ours keeps them too, whichever side scores."""
    data = converted(labels)
    theirs, own = at_once(
        lambda: original.train(untrained, data), lambda: ours.train(untrained, data)
    )
    assert (own / "index_to_label.csv").read_bytes() == (theirs / "index_to_label.csv").read_bytes()
    found = at_once(
        lambda: scored_by_original(original, theirs, data),
        lambda: scored_by_original(original, own, data),
        lambda: labels_in(ours.score(own, data)),
    )
    assert found == [sorted(labels)] * 3


@pytest.mark.parametrize("labels", LOST.values(), ids=LOST)
def test_labels_that_the_original_loses(original, ours, at_once, untrained, converted, labels):
    """Ours keeps them where nothing of the original follows."""
    data = converted(labels)

    def by_original() -> list[str] | None:
        return scored_by_original(original, original.train(untrained, data), data)

    def by_ours() -> list[str] | None:
        return labels_in(ours.score(ours.train(untrained, data), data))

    theirs, own = at_once(by_original, by_ours)
    assert theirs != sorted(labels)
    assert own == sorted(labels)


def test_a_carriage_return_survives_the_originals_score_of_our_model(
    original, ours, untrained, converted
):
    """We quote it, which its own training does not."""
    labels = LOST["carriage returns"]
    data = converted(labels)
    assert scored_by_original(original, ours.train(untrained, data), data) == sorted(labels)


def test_category_ids_with_gaps(original, ours, at_once, untrained, converted):
    """Either side scores either's model alike: the same columns, for ids that nothing has too."""
    data = converted(["cat", "dog"])
    schema = json.loads((data / "_schema.json").read_text())
    for column in schema["columnAttributes"]:
        if column["name"] == "category":
            column["properties"]["categories"][1]["id"] = 3
    (data / "_schema.json").write_text(json.dumps(schema))
    models = at_once(lambda: original.train(untrained, data), lambda: ours.train(untrained, data))
    for model in models:
        found = at_once(
            lambda model=model: labels_in(original.score(model, data)),
            lambda model=model: labels_in(ours.score(model, data)),
        )
        assert found == [["cat", "1", "Others", "dog"]] * 2
