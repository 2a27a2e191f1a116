"""Evaluate Image Model on what either side has scored, and against scikit-learn."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from train_pytorch_model.ports.data_frame_directory import (
    PROBABILITY,
    ScoreColumns,
    table_schema,
    write_data_frame,
)

LEARN = """
import json, sys
import pandas, sklearn.metrics as m
t = pandas.read_parquet(sys.argv[1] + "/_data.parquet")
true, scored = t["category"], t["Scored Labels"]
names = [c for c in t.columns if c.startswith("Scored Probabilities_")]
labels = [c[len("Scored Probabilities_"):] for c in names]
found = {"accuracy": m.accuracy_score(true, scored),
         "log_loss": m.log_loss(true, t[names], labels=labels),
         "top5_accuracy": m.top_k_accuracy_score(true, t[names], k=5, labels=labels)}
for average in ("macro", "weighted"):
    values = m.precision_recall_fscore_support(true, scored, average=average, zero_division=0)
    found.update((f"{average}_{n}", v) for n, v in zip(("precision", "recall", "f1"), values))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def evaluated(ours, tmp_path_factory):
    """Evaluates a scored data set; returns the directory that was written."""

    def evaluate(scored: Path) -> Path:
        target = tmp_path_factory.mktemp("evaluated") / "out"
        module = "train_pytorch_model.companions.evaluate_image_model"
        ours.run("-m", module, "--scored-dataset", scored, "--evaluation-results", target)
        return target

    return evaluate


def test_both_scores_are_evaluated_alike(original, ours, at_once, evaluated, pictures):
    """The original's table as ours; the original's reader takes what is written."""
    data = ours.convert(pictures)
    trained = ours.train(original.untrained("resnet18"), data)
    both = at_once(lambda: original.score(trained, data), lambda: ours.score(trained, data))
    theirs, own = (evaluated(scored) for scored in both)
    found, expected = (json.loads((p / "metrics.json").read_text()) for p in (theirs, own))
    assert found == pytest.approx(expected, abs=1e-5)
    read = original.probe("table", own)
    table = pyarrow.parquet.read_table(own / "_data.parquet")
    assert read["columns"] == table.column_names
    assert read["rows"] == 3
    with open(own / "confusions.csv", encoding="utf-8", newline="") as file:
        assert sum(int(row["images"]) for row in csv.DictReader(file)) == 12


def test_the_definitions_are_those_of_scikit_learn(original, evaluated, tmp_path):
    """On random scores of eight sorted categories."""
    names = [f"category {i}" for i in range(8)]
    draw = np.random.default_rng(5)
    true = draw.integers(0, 7, 300)  # the last has no image
    scores = draw.dirichlet(np.ones(8), 300)
    scores[np.arange(300), true] += draw.uniform(0, 0.5, 300)
    scores /= scores.sum(axis=1, keepdims=True)
    columns = {
        "category": pa.array([names[i] for i in true]),
        **{PROBABILITY + name: pa.array(scores[:, i]) for i, name in enumerate(names)},
        "Scored Labels": pa.array([names[i] for i in scores.argmax(axis=1)]),
    }
    schema = table_schema({name: column.type for name, column in columns.items()})
    probabilities = tuple(PROBABILITY + name for name in names)
    write_data_frame(
        tmp_path,
        schema,
        [pa.record_batch(list(columns.values()), schema)],
        ScoreColumns("category", "Scored Labels", probabilities),
    )
    learned = json.loads(original.run("-W", "ignore", "-c", LEARN, tmp_path).splitlines()[-1])
    found = json.loads((evaluated(tmp_path) / "metrics.json").read_text())
    assert {name: found[name] for name in learned} == pytest.approx(learned)
