"""DataFrameDirectory: a table as Parquet, and what its columns are for."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import yaml

from train_pytorch_model.errors import InvalidDatasetError, quoted, scalar, shortened
from train_pytorch_model.ports.data_frame_preview import (
    FIRST_COLUMNS,
    FIRST_ROWS,
    encoded_rows,
    preview,
)
from train_pytorch_model.ports.paths import open_inside, read_inside, reason
from train_pytorch_model.ports.plain_json import load_json
from train_pytorch_model.ports.plain_yaml import load_plain

DATA = "_data.parquet"
SCHEMA = "schema/_schema.json"
SAMPLES = "_samples.json"
PREVIEW = "_data.visualization"
META = "_meta.yaml"

SCORED_LABELS = "Scored Labels"
PROBABILITY = "Scored Probabilities_"
"""What the name of a category's column of probabilities begins with."""

TRUE_LABELS = "True Labels"
ASSIGNED_LABELS = "Multi Class Assigned Labels"
"""The schema's names of the roles of two columns."""

MAX_META_BYTES = 1 << 20
MAX_SCHEMA_BYTES = 64 << 20
MAX_BATCH_BYTES = 64 << 20
MAX_BATCH_ROWS = 1 << 16

_COLUMN_TYPES = {
    pa.int64(): ("Numeric", "int64", "int64", "int64"),
    pa.float64(): ("Numeric", "float64", "float64", "float64"),
    pa.bool_(): ("Binary", "bool", "bool", "bool"),
}
"""Arrow type → column type and element type of the port, pandas's type and NumPy's."""

_TEXTS = (pa.string(), pa.large_string())
_TEXT = ("String", "str", "unicode", "object")
_NESTED = ("Object", "object", "object", "object")


@dataclass(frozen=True)
class ScoreColumns:
    """Which columns of a table tell how images were scored; none of them has to be there.

    Attributes:
        true: the column of the labels that the images have.
        assigned: the column of the labels that a model has given them.
        probabilities: the columns of probabilities; PROBABILITY and a category's name.
    """

    true: str | None = None
    assigned: str | None = None
    probabilities: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataFrame:
    """A table that is read piece by piece.

    Attributes:
        port: the name of the input, for messages.
        columns: what its columns are for.
        file: its Parquet file.
    """

    port: str
    columns: ScoreColumns
    file: pyarrow.parquet.ParquetFile

    def batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The columns ``names``, so many rows at a time that they take MAX_BATCH_BYTES or so.

        Raises:
            InvalidDatasetError: the file is damaged.
        """
        rows = max(1, min(MAX_BATCH_ROWS, MAX_BATCH_BYTES // (8 * len(names))))
        try:
            for batch in self.file.iter_batches(batch_size=rows, columns=list(names)):
                chosen = batch.select(names)
                chosen.validate(full=True)  # that its text is UTF-8, above all
                yield chosen
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise _not_parquet(self.port, error) from error


def table_schema(fields: Mapping[str, pa.DataType]) -> pa.Schema:
    """The columns of a table (name → type), with the metadata that pandas writes.

    pandas reads the table as its own then.
    """
    described = [
        {
            "name": name,
            "field_name": name,
            "pandas_type": _types(kind)[2],
            "numpy_type": _types(kind)[3],
            "metadata": None,
        }
        for name, kind in fields.items()
    ]
    pandas = {"index_columns": [], "column_indexes": [], "columns": described}
    metadata = {"pandas": json.dumps({**pandas, "pandas_version": "1.1.5"})}
    return pa.schema(list(fields.items()), metadata=metadata)


def _types(kind: pa.DataType) -> tuple[str, str, str, str]:
    return _COLUMN_TYPES.get(kind, _NESTED if pa.types.is_nested(kind) else _TEXT)


def write_data_frame(
    folder: Path,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    columns: ScoreColumns | None = None,
) -> int:
    """Fill an empty folder with a table; returns how many rows it has.

    Args:
        folder: the folder, which exists.
        schema: from ``table_schema``.
        batches: the rows, piece by piece; no more than one piece is kept in memory. Each becomes
            a row group of the Parquet file.
        columns: what the columns are for; None where they are features, all of them.
    """
    rows = 0
    samples: list[dict[str, Any]] = []
    first: list[dict[str, Any]] = []
    with pyarrow.parquet.ParquetWriter(folder / DATA, schema, compression="snappy") as writer:
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
            samples += encoded_rows(batch.slice(0, max(0, 3 - len(samples))))
            shown = batch.select(schema.names[:FIRST_COLUMNS])
            first += encoded_rows(shown.slice(0, max(0, FIRST_ROWS - len(first))))
    document = _document(schema, columns or ScoreColumns())
    (folder / SCHEMA).parent.mkdir()
    (folder / SCHEMA).write_text(json.dumps(document, indent=2), "ascii")
    (folder / SAMPLES).write_text(json.dumps(samples, indent=2), "ascii")
    (folder / PREVIEW).write_text(json.dumps(preview(document, first, rows), indent=2), "ascii")
    meta = {
        "type": "DataFrameDirectory",
        "visualization": [{"type": "Visualization", "path": PREVIEW}],
        "extension": {},
        "format": "Parquet",
        "data": DATA,
        "samples": SAMPLES,
        "schema": SCHEMA,
    }
    (folder / META).write_text(yaml.safe_dump(meta, sort_keys=False), "ascii")
    return rows


def _document(schema: pa.Schema, columns: ScoreColumns) -> dict[str, Any]:
    """The content of ``schema/_schema.json``."""
    not_features = {*columns.probabilities, columns.assigned, columns.true}
    attributes = []
    for field in schema:
        column_type, element_type, *_ = _types(field.type)
        attributes.append(
            {
                "name": field.name,
                "type": column_type,
                "isFeature": field.name not in not_features,
                "elementType": {"typeName": element_type, "isNullable": False},
            }
        )
    assigned = {} if columns.assigned is None else {ASSIGNED_LABELS: columns.assigned}
    return {
        "columnAttributes": attributes,
        "featureChannels": [],
        "labelColumns": {} if columns.true is None else {TRUE_LABELS: columns.true},
        "scoreColumns": {**{name: name for name in columns.probabilities}, **assigned},
    }


@contextmanager
def open_data_frame(root: Path, port: str) -> Iterator[DataFrame]:
    """A DataFrameDirectory, of ours or of the original's; nothing in it is executed.

    Args:
        root: the directory.
        port: the name of the input, for messages.

    Raises:
        InvalidDatasetError: there is no such directory, it is damaged, or not Parquet.
    """
    meta = _mapping(_read(root, META, MAX_META_BYTES, port, "YAML"), META, port)
    if meta.get("type") != "DataFrameDirectory":
        raise InvalidDatasetError(
            f"{port}: {META} has type {scalar(meta.get('type'))}, expected 'DataFrameDirectory'; "
            f"{_CONNECT}."
        )
    if meta.get("format") != "Parquet":
        raise InvalidDatasetError(
            f"{port}: {META} has format {scalar(meta.get('format'))}, expected 'Parquet'; "
            f"{_CONNECT}."
        )
    names = [meta.get("data"), meta.get("schema")]
    for key, name in zip(("data", "schema"), names, strict=True):
        if not isinstance(name, str):
            raise InvalidDatasetError(
                f"{port}: the {key} of {META} is {scalar(name)}, expected a file name; {_CONNECT}."
            )
    data, schema = map(str, names)
    document = _mapping(_read(root, schema, MAX_SCHEMA_BYTES, port, "JSON"), schema, port)
    try:
        content = open_inside(root, data)
    except OSError as error:
        raise _unreadable(port, data, error) from error
    columns = _columns(document)
    with content:
        try:
            file = pyarrow.parquet.ParquetFile(content)
            fields = list(file.schema_arrow)
            # A label is kept once, not once a row: a small file can repeat a long one very often.
            labels = {columns.true, columns.assigned}
            texts = [f.name for f in fields if f.name in labels and f.type in _TEXTS]
            file = pyarrow.parquet.ParquetFile(content, read_dictionary=texts)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise _not_parquet(port, error) from error
        counts = Counter(field.name for field in fields)
        roles = Counter([columns.true, columns.assigned, *columns.probabilities])
        missing = [n for n, c in roles.items() if n is not None and (c != 1 or counts[n] != 1)]
        if missing:
            raise InvalidDatasetError(
                f"{port}: {shortened(schema)!r} and {shortened(data)!r} have not one column for "
                f"each role: {quoted(missing)}; {_CONNECT}."
            )
        yield DataFrame(port=port, columns=columns, file=file)


_CONNECT = "connect the output of Score Image Model"


def _columns(document: Mapping[str, Any]) -> ScoreColumns:
    """What a ``_schema.json`` says of its columns; of several labels the first counts."""
    labels, scores = (
        {role: name for role, name in found.items() if isinstance(name, str)}
        if isinstance(found := document.get(key), dict)
        else {}
        for key in ("labelColumns", "scoreColumns")
    )
    return ScoreColumns(
        true=next(iter(labels.values()), None),
        assigned=scores.get(ASSIGNED_LABELS),
        probabilities=tuple(n for role, n in scores.items() if n.startswith(PROBABILITY)),
    )


def _read(root: Path, name: str, max_bytes: int, port: str, language: str) -> Any:
    """The content of a YAML or JSON file."""
    try:
        content = read_inside(root, name, max_bytes)
        return load_plain(content) if language == "YAML" else load_json(content)
    except OSError as error:
        raise _unreadable(port, name, error) from error
    except ValueError as error:
        raise InvalidDatasetError(
            f"{port}: {shortened(name)!r} is not {language} ({shortened(str(error))}); {_CONNECT}."
        ) from error


def _mapping(document: object, name: str, port: str) -> dict[Any, Any]:
    if not isinstance(document, dict):
        raise InvalidDatasetError(
            f"{port}: {shortened(name)!r} holds {scalar(document)}, expected a mapping; {_CONNECT}."
        )
    return document


def _unreadable(port: str, name: str, error: OSError) -> InvalidDatasetError:
    return InvalidDatasetError(
        f"{port}: {shortened(name)!r} cannot be read ({reason(error)}), expected it in a "
        f"DataFrameDirectory; {_CONNECT}."
    )


def _not_parquet(port: str, error: Exception) -> InvalidDatasetError:
    return InvalidDatasetError(
        f"{port}: its data is not a whole Parquet file ({shortened(str(error))}); {_CONNECT}."
    )
