"""What Evaluate Image Model writes: a DataFrameDirectory of the categories, and files beside it."""

import csv
import json
from collections.abc import Mapping
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
CONFUSIONS = "confusions.csv"
PICTURE = "confusion_matrix.png"


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
    with open(folder / CONFUSIONS, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "scored as", "images"])
        writer.writerows(confusions(tally))
    chosen = most_confused(tally, categories, LIMIT)
    total = len(categories.categories)
    part = f", the {LIMIT} of {total:,} categories with most errors" if total > LIMIT else ""
    picture(
        matrix(tally, chosen),
        categories.support[chosen],
        [categories.categories[index] for index in chosen],
        f"Top-1 accuracy {metrics['accuracy']:.1%} of {metrics['images']:,} images{part}",
    ).save(folder / PICTURE)
