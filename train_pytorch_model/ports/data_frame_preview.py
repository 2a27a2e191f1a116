"""The file that the designer shows of a table: its first rows, and room for statistics."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

FIRST_ROWS = 100
FIRST_COLUMNS = 100

_NOT_A_NUMBER = {"isNan": True}
_STATISTICS = (
    *("Mean", "Median", "Min", "Max", "Standard Deviation"),
    *("Unique Values", "Missing Values"),
)
_CHARTS = ("Histogram", "Boxplot")


def preview(
    schema: Mapping[str, Any], first: Sequence[Mapping[str, Any]], rows: int
) -> dict[str, Any]:
    """The content of ``_data.visualization``.

    Its statistics are empty, as the original leaves those of scored images.

    Args:
        schema: the ``_schema.json`` of the table.
        first: its first FIRST_ROWS rows, encoded, of at least the first FIRST_COLUMNS columns.
        rows: how many rows it has.
    """
    attributes = schema["columnAttributes"]
    shown = attributes[:FIRST_COLUMNS]
    roles = {
        **dict.fromkeys(schema["scoreColumns"].values(), "Score"),
        **dict.fromkeys(schema["labelColumns"].values(), "Label"),
    }
    described = [
        (a["name"], a["elementType"]["typeName"], f"{a['type']} {roles.get(a['name'], 'Feature')}")
        for a in shown
    ]
    return {
        "visualizationType": "default",
        "data": _part(
            [[row[a["name"]] for a in shown] for row in first],
            described,
            rows,
            len(attributes),
        ),
        "statistics": _part(
            [[_NOT_A_NUMBER] * len(_STATISTICS) for _ in shown if rows],
            [(name, "float64", "Numeric Feature") for name in _STATISTICS],
            len(attributes),
            len(_STATISTICS),
        ),
        "layout": _part(
            [[None] * len(_CHARTS) for _ in shown if rows],
            [(name, "object", "Object Feature") for name in _CHARTS],
            len(attributes),
            len(_CHARTS),
        ),
    }


def _part(
    records: Sequence[Any], features: Sequence[tuple[str, str, str]], rows: int, columns: int
) -> dict[str, Any]:
    described = [
        {"name": name, "index": index, "elementType": element, "featureType": kind}
        for index, (name, element, kind) in enumerate(features)
    ]
    sizes = {"numberOfRows": rows, "numberOfColumns": columns}
    return {"records": records, "features": described, **sizes, "name": None}


def encoded_rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows as the designer's JSON has them: a missing number is not null there."""
    missing = [
        _NOT_A_NUMBER if pa.types.is_floating(field.type) else None for field in batch.schema
    ]
    return [
        {
            name: empty if value is None else _encoded(value)
            for (name, value), empty in zip(row.items(), missing, strict=True)
        }
        for row in batch.to_pylist()
    ]


def _encoded(value: Any) -> Any:
    """``value``, or what the designer has for a number that JSON has not."""
    if isinstance(value, float) and not math.isfinite(value):
        return _NOT_A_NUMBER if math.isnan(value) else str(value)
    return value
