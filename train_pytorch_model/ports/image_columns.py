"""The columns of an ``images.lst`` whose lines are all of the usual form, read at full speed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from train_pytorch_model.ports.image_schema import CLASSIFICATION, ImageSchema
from train_pytorch_model.ports.paths import MAX_DEPTH, MAX_LENGTH, SUSPICIOUS

BLOCK_BYTES = 2 << 20
"""How much of a list is in memory as text: enough for pyarrow to read with several threads."""

_ARROW_TYPES = {
    "int64": pa.int64(),
    "int32": pa.int64(),
    "float64": pa.float64(),
    "float32": pa.float64(),
    "str": pa.string(),
    "bool": pa.bool_(),
}
"""Element type of a column → how its values are read at full speed."""


@dataclass
class Rows:
    """The columns of ``images.lst``: n values each."""

    files: pa.StringArray
    urls: pa.StringArray
    labels: pa.StringArray
    columns: dict[str, pa.Array]


def read_columns(file: BinaryIO, schema: ImageSchema) -> Rows | None:
    """Every line at once, by pyarrow; None where any line is not of the usual form.

    Raises:
        pa.ArrowInvalid: a column is too large to be one array.
    """
    columns = schema.other_columns
    types = {name: _ARROW_TYPES.get(kind) for name, kind in columns.items()}
    label = schema.label_column
    if label is not None and (schema.annotation_type == CLASSIFICATION or types.get(label)):
        types[label] = pa.string()  # a label that is none is read with care
    if None in types.values() or schema.image_ref in types:
        return None
    reference = pa.struct([(k, pa.string()) for k in ("file_name", "base_file_name", "coco_url")])
    fields = pa.schema([(schema.image_ref, reference), *types.items()])
    options = pyarrow.json.ParseOptions(
        explicit_schema=fields, newlines_in_values=False, unexpected_field_behavior="ignore"
    )
    pieces = []
    try:
        for block in _blocks(file):
            piece = _piece(pyarrow.json.read_json(block, parse_options=options), schema)
            if piece is None:
                return None
            pieces.append(piece)
    except pa.ArrowInvalid:
        return None
    return _joined(pieces, list(types), schema)


def _blocks(file: BinaryIO) -> Iterator[pa.BufferReader]:
    """The rest of a list, BLOCK_BYTES and what completes the last line at a time."""
    while block := file.read(BLOCK_BYTES):
        yield pa.BufferReader(block + file.readline())


def _piece(table: pa.Table, schema: ImageSchema) -> list[pa.Array] | None:
    """The files, the URLs and the other columns of ``table``, in its order.

    None where a file has no name, or one that leaves the directory.

    Raises:
        pa.ArrowInvalid: a text is not UTF-8.
    """
    table.validate(full=True)
    named = table.column(schema.image_ref).combine_chunks()
    base, own = pc.struct_field(named, "base_file_name"), pc.struct_field(named, "file_name")
    base = pc.if_else(pc.equal(base, ""), None, base)
    files = pc.coalesce(base, own)
    longest, deepest = pc.max(pc.binary_length(files)), pc.max(pc.count_substring(files, "/"))
    if (longest.as_py() or 0) > MAX_LENGTH or (deepest.as_py() or 0) > MAX_DEPTH:
        return None
    if own.null_count or pc.any(pc.match_substring_regex(files, SUSPICIOUS)).as_py():
        return None
    others = (
        table.column(i) for i, name in enumerate(table.column_names) if name != schema.image_ref
    )
    return [
        files,
        pc.struct_field(named, "coco_url"),
        *(values.combine_chunks() for values in others),
    ]


def _joined(pieces: list[list[pa.Array]], names: list[str], schema: ImageSchema) -> Rows:
    """The rows of all pieces; ``names`` are those of their other columns."""
    parts_of = [list(parts) for parts in zip(*pieces, strict=True)]
    pieces.clear()
    joined = []
    while parts_of:  # each column's parts are freed when it is joined: no two copies of all of them
        joined.append(pa.concat_arrays(parts_of.pop(0)))
        pa.default_memory_pool().release_unused()  # malloc keeps what lies between other columns'
    files, urls, *others = joined or [pa.array([], pa.string())] * (2 + len(names))
    columns = dict(zip(names, others, strict=True))
    labels = None if schema.label_column is None else columns.get(schema.label_column)
    if labels is None:
        labels = pa.nulls(len(files), pa.string())
    return Rows(files=files, urls=urls, labels=labels, columns=columns)
