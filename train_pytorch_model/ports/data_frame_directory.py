"""DataFrameDirectory: the table that Score Image Model writes."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import yaml

DATA = "_data.parquet"
SCHEMA = "schema/_schema.json"
SAMPLES = "_samples.json"
META = "_meta.yaml"

SCORED_LABELS = "Scored Labels"
_PROBABILITY = "Scored Probabilities_"

_COLUMN_TYPES = {
    pa.int64(): ("Numeric", "int64", "int64", "int64"),
    pa.float64(): ("Numeric", "float64", "float64", "float64"),
    pa.bool_(): ("Binary", "bool", "bool", "bool"),
}
"""Arrow type → column type and element type of the port, pandas's type and NumPy's."""

_TEXT = ("String", "str", "unicode", "object")


def scored_schema(others: Mapping[str, pa.DataType], labels: Sequence[str]) -> pa.Schema:
    """The columns of scored images, in the original's order.

    First ``others`` (name → type) as they come, then a probability per label, then the scored
    label. The metadata is what pandas writes, so that it reads the table as its own.
    """
    fields = [
        *others.items(),
        *((_PROBABILITY + label, pa.float64()) for label in labels),
        (SCORED_LABELS, pa.string()),
    ]
    described = [
        {
            "name": name,
            "field_name": name,
            "pandas_type": _COLUMN_TYPES.get(kind, _TEXT)[2],
            "numpy_type": _COLUMN_TYPES.get(kind, _TEXT)[3],
            "metadata": None,
        }
        for name, kind in fields
    ]
    pandas = {"index_columns": [], "column_indexes": [], "columns": described}
    metadata = {"pandas": json.dumps({**pandas, "pandas_version": "1.1.5"})}
    return pa.schema(fields, metadata=metadata)


def write_scored(
    folder: Path, schema: pa.Schema, tables: Iterable[pa.RecordBatch], label_column: str | None
) -> int:
    """Fill an empty folder with the scored images; returns how many there are.

    Args:
        folder: the folder, which exists.
        schema: from ``scored_schema``.
        tables: the rows, piece by piece; no more than one piece is kept in memory.
        label_column: the column of true labels, if there is one.
    """
    rows = 0
    samples: list[dict[str, Any]] = []
    with pyarrow.parquet.ParquetWriter(folder / DATA, schema, compression="snappy") as writer:
        for table in tables:
            writer.write_batch(table)
            rows += table.num_rows
            samples += table.slice(0, max(0, 3 - len(samples))).to_pylist()
    (folder / SCHEMA).parent.mkdir()
    (folder / SCHEMA).write_text(json.dumps(_document(schema, label_column), indent=2), "ascii")
    (folder / SAMPLES).write_text(json.dumps(samples, indent=2), "ascii")
    meta = {
        "type": "DataFrameDirectory",
        "visualization": [],
        "extension": {},
        "format": "Parquet",
        "data": DATA,
        "samples": SAMPLES,
        "schema": SCHEMA,
    }
    (folder / META).write_text(yaml.safe_dump(meta, sort_keys=False), "ascii")
    return rows


def _document(schema: pa.Schema, label_column: str | None) -> dict[str, Any]:
    """The content of ``schema/_schema.json``."""
    probabilities = [name for name in schema.names if name.startswith(_PROBABILITY)]
    not_features = {*probabilities, SCORED_LABELS, label_column}
    columns = []
    for field in schema:
        column_type, element_type, *_ = _COLUMN_TYPES.get(field.type, _TEXT)
        columns.append(
            {
                "name": field.name,
                "type": column_type,
                "isFeature": field.name not in not_features,
                "elementType": {"typeName": element_type, "isNullable": False},
            }
        )
    assigned = {"Multi Class Assigned Labels": SCORED_LABELS}
    return {
        "columnAttributes": columns,
        "featureChannels": [],
        "labelColumns": {} if label_column is None else {"True Labels": label_column},
        "scoreColumns": {**{name: name for name in probabilities}, **assigned},
    }
