"""Evaluate Image Model: definitions by hand-made tables, and what it does with odd ones."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

from train_pytorch_model.companions import evaluate_image_model
from train_pytorch_model.ports.data_frame_directory import (
    PROBABILITY,
    ScoreColumns,
    table_schema,
    write_data_frame,
)


def scored(
    folder: Path,
    true: Sequence[Any] | None,
    assigned: Sequence[Any],
    probabilities: Mapping[str, Sequence[float]] | None = None,
) -> Path:
    """Write a table of scored images."""
    found = {
        PROBABILITY + name: pa.array(p, pa.float64()) for name, p in (probabilities or {}).items()
    }
    columns = {
        **({} if true is None else {"category": pa.array(true)}),
        **found,
        "Scored Labels": pa.array(assigned),
    }
    schema = table_schema({name: column.type for name, column in columns.items()})
    folder.mkdir()
    roles = ScoreColumns(None if true is None else "category", "Scored Labels", tuple(found))
    write_data_frame(folder, schema, [pa.record_batch(list(columns.values()), schema)], roles)
    return folder


def evaluate(source: Path, target: Path) -> int:
    """Run Evaluate Image Model."""
    words = ["--scored-dataset", str(source), "--evaluation-results", str(target)]
    return evaluate_image_model.main(words)


def metrics(folder: Path) -> dict[str, float]:
    """What ``metrics.json`` holds."""
    found: dict[str, float] = json.loads((folder / "metrics.json").read_text())
    return found


def rows(folder: Path) -> dict[str, tuple[float, ...]]:
    """Category → precision, recall, F1, images."""
    table = pyarrow.parquet.read_table(folder / "_data.parquet").to_pylist()
    return {r["category"]: (r["precision"], r["recall"], r["f1"], r["images"]) for r in table}


def test_the_definitions(tmp_path: Path) -> None:
    """By hand: nine images of three categories, one category that nothing was given to."""
    true = ["a", "a", "a", "a", "b", "b", "b", "c", "c"]
    assigned = ["a", "a", "a", "b", "b", "b", "a", "a", "b"]
    third = [1 / 3] * 9
    source = scored(tmp_path / "in", true, assigned, {"a": third, "b": third, "c": third})
    assert evaluate(source, tmp_path / "out") == 0
    assert rows(tmp_path / "out") == {
        "a": (3 / 5, 3 / 4, pytest.approx(2 / 3), 4),
        "b": (2 / 4, 2 / 3, pytest.approx(4 / 7), 3),
        "c": (0.0, 0.0, 0.0, 2),
    }
    f1 = [2 / 3, 4 / 7, 0]
    assert metrics(tmp_path / "out") == {
        "images": 9,
        "images_without_label": 0,
        "categories": 3,
        "accuracy": pytest.approx(5 / 9),
        "top5_accuracy": 1.0,
        "log_loss": pytest.approx(np.log(3)),
        "macro_precision": pytest.approx((3 / 5 + 2 / 4) / 3),
        "weighted_precision": pytest.approx((4 * 3 / 5 + 3 * 2 / 4) / 9),
        "macro_recall": pytest.approx((3 / 4 + 2 / 3) / 3),
        "weighted_recall": pytest.approx(5 / 9),
        "macro_f1": pytest.approx(sum(f1) / 3),
        "weighted_f1": pytest.approx((4 * f1[0] + 3 * f1[1]) / 9),
    }
    with open(tmp_path / "out" / "confusions.csv", encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["label", "scored as", "images"],
            *(["a", "a", "3"], ["a", "b", "1"], ["b", "a", "1"], ["b", "b", "2"]),
            *(["c", "a", "1"], ["c", "b", "1"]),
        ]
    assert (tmp_path / "out" / "confusion_matrix.csv").read_text().splitlines() == [
        *("label,a,b,c", "a,3,1,0", "b,1,2,0", "c,1,1,0")
    ]
    files = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert files == {
        *("_meta.yaml", "_data.parquet", "_data.visualization", "_samples.json", "_schema.json"),
        *("metrics.json", "per_category.csv", "confusions.csv"),
        *("confusion_matrix.csv", "confusion_matrix.png"),
    }
    with Image.open(tmp_path / "out" / "confusion_matrix.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 100


def test_top_5_and_log_loss(tmp_path: Path) -> None:
    """Of seven categories; a label that the model does not know has no probability."""
    names = "abcdefg"
    ranked = [0.4, 0.2, 0.15, 0.1, 0.08, 0.05, 0.02]
    true = ["a", "e", "f", "stranger"]
    probabilities = {name: [p] * 4 for name, p in zip(names, ranked, strict=True)}
    source = scored(tmp_path / "in", true, ["a"] * 4, probabilities)
    assert evaluate(source, tmp_path / "out") == 0
    found = metrics(tmp_path / "out")
    assert found["accuracy"] == 0.25
    assert found["top5_accuracy"] == 0.5
    losses = [-np.log(p) for p in (0.4, 0.08, 0.05, np.finfo(float).eps)]
    assert found["log_loss"] == pytest.approx(np.mean(losses))
    assert found["categories"] == 8
    assert rows(tmp_path / "out")["stranger"] == (0, 0, 0, 1)
    # Categories without an image that nothing was given to are not part of the mean.
    assert found["macro_recall"] == pytest.approx(1 / 4)


@pytest.mark.parametrize(
    ("true", "assigned", "accuracy"),
    [
        (["7", "1e3"], [7.0, 1000.0], 1.0),
        (["007", "8"], [7, 8], 1.0),
        (["True", "False"], [True, True], 0.5),
        (["true", "FALSE", "maybe"], [True, False, True], 2 / 3),
        ([7.0, 8.0, None], ["7", "7", "8"], 0.5),
        (["1", "x"], [1.0, 1.0], 0.5),
        ([7, 8], [7, 7], 0.5),
        (["ä", "日本"], ["ä", "日本"], 1.0),
    ],
    ids=[
        *("floats", "integers", "truth values", "truth values in any case", "a number missing"),
        *("mixed", "numbers both", "any script"),
    ],
)
def test_labels_of_other_types(
    tmp_path: Path, true: list[Any], assigned: list[Any], accuracy: float
) -> None:
    """The original writes labels that are all numbers, or all truth values, as such."""
    source = scored(tmp_path / "in", true, assigned)
    assert evaluate(source, tmp_path / "out") == 0
    found = metrics(tmp_path / "out")
    assert found["accuracy"] == accuracy
    assert "log_loss" not in found


def test_images_without_a_label_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And counted."""
    source = scored(tmp_path / "in", ["a", "", None, "b"], ["a", "a", "b", "a"])
    assert evaluate(source, tmp_path / "out") == 0
    found = metrics(tmp_path / "out")
    assert (found["images"], found["images_without_label"]) == (2, 2)
    assert found["accuracy"] == 0.5
    assert "scored_dataset: 2 images have no label" in capsys.readouterr().err


def test_many_categories_and_rows(tmp_path: Path) -> None:
    """Ten thousand categories take neither a matrix of them nor a picture of them."""
    names = [f"category {i}" for i in range(10_000)]
    assigned = [names[(i * 7) % 10_000] for i in range(50_000)]
    true = [names[i % 10_000] for i in range(50_000)]
    source = scored(tmp_path / "in", true, assigned)
    assert evaluate(source, tmp_path / "out") == 0
    same = sum(a == b for a, b in zip(true, assigned, strict=True))
    assert metrics(tmp_path / "out")["accuracy"] == pytest.approx(same / 50_000)
    assert not (tmp_path / "out" / "confusion_matrix.csv").exists()
    with Image.open(tmp_path / "out" / "confusion_matrix.png") as picture:
        assert max(picture.size) < 2_000


@pytest.mark.parametrize(
    ("table", "error"),
    [
        ({"true": None, "assigned": ["a"]}, "NotLabeledDatasetError (0024)"),
        ({"true": ["", None], "assigned": ["a", "a"]}, "NotLabeledDatasetError (0024)"),
        ({"true": [], "assigned": []}, "NotLabeledDatasetError (0024)"),
        ({"true": ["a"], "assigned": [None]}, "InvalidDatasetError (0018)"),
        ({"true": [["a"]], "assigned": ["a"]}, "InvalidDatasetError (0018)"),
        (
            {"true": ["a"], "assigned": ["a"], "probabilities": {"a": [float("nan")]}},
            "InvalidDatasetError (0018)",
        ),
        (
            {"true": ["a"], "assigned": ["a"], "probabilities": {"a": [1.5]}},
            "InvalidDatasetError (0018)",
        ),
    ],
    ids=["no column", "no label", "no row", "no score", "lists", "nan", "not a probability"],
)
def test_what_cannot_be_evaluated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], table: dict[str, Any], error: str
) -> None:
    """Is told in one line, and nothing is written."""
    source = scored(tmp_path / "in", **table)
    assert evaluate(source, tmp_path / "out") == 1
    err = capsys.readouterr().err
    assert err.startswith(f"{error}: scored_dataset: ")
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_table_that_was_not_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Such as an evaluation."""
    assert evaluate(scored(tmp_path / "in", ["a"], ["a"]), tmp_path / "out") == 0
    assert evaluate(tmp_path / "out", tmp_path / "again") == 1
    err = capsys.readouterr().err
    assert "InvalidDatasetError (0018): scored_dataset: found no column of scored labels" in err
