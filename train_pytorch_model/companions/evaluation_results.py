"""What Evaluate Image Model writes: a DataFrameDirectory of the categories, and files beside it."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from train_pytorch_model.companions.evaluation import (
    PerCategory,
    Tally,
    confusions,
    matrix,
    most_confused,
)
from train_pytorch_model.ports.data_frame_directory import table_schema, write_data_frame
from train_pytorch_model.report.confusion_matrix import LIMIT, picture

METRICS = "metrics.json"
PER_CATEGORY = "per_category.csv"
MATRIX = "confusion_matrix.csv"
CONFUSIONS = "confusions.csv"
PICTURE = "confusion_matrix.png"

MAX_MATRIX = 1000
"""More categories than that have no matrix of a million cells, only the pairs that there are."""


def write_results(
    folder: Path, tally: Tally, categories: PerCategory, metrics: Mapping[str, float]
) -> None:
    """Fill an empty folder with the table of categories and the files beside it."""
    columns = {
        "category": pa.array(categories.categories, pa.string()),
        "precision": pa.array(categories.precision),
        "recall": pa.array(categories.recall),
        "f1": pa.array(categories.f1),
        "images": pa.array(categories.support),
        "scored as it": pa.array(categories.assigned),
        "correct": pa.array(categories.correct),
    }
    schema = table_schema({name: column.type for name, column in columns.items()})
    write_data_frame(folder, schema, [pa.record_batch(list(columns.values()), schema)])
    (folder / METRICS).write_text(json.dumps(metrics, indent=2) + "\n", "ascii")
    rows = zip(*(column.to_pylist() for column in columns.values()), strict=True)
    _write_csv(folder / PER_CATEGORY, [tuple(columns), *rows])
    _write_csv(folder / CONFUSIONS, [("label", "scored as", "images"), *confusions(tally)])
    names = categories.categories
    if len(names) <= MAX_MATRIX:
        counts = matrix(tally, range(len(names))).tolist()
        lines = [(name, *row) for name, row in zip(names, counts, strict=True)]
        _write_csv(folder / MATRIX, [("label", *names), *lines])
    chosen = most_confused(tally, categories, LIMIT)
    total = len(names)
    part = f", the {LIMIT} of {total:,} categories with most errors" if total > LIMIT else ""
    picture(
        matrix(tally, chosen),
        categories.support[chosen],
        [names[index] for index in chosen],
        f"Top-1 accuracy {metrics['accuracy']:.1%} of {metrics['images']:,} images{part}",
    ).save(folder / PICTURE)


def _write_csv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
