"""The ``images.lst`` of a directory with metadata: a line of JSON for each image."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from train_pytorch_model.errors import InvalidDatasetError, Problems, quoted, shortened
from train_pytorch_model.ports.image_columns import Rows, read_columns
from train_pytorch_model.ports.image_schema import ImageSchema, is_text, label_name
from train_pytorch_model.ports.image_set import UNLABELLED, ImageSet
from train_pytorch_model.ports.paths import is_safe_name
from train_pytorch_model.ports.plain_json import load_json

CHUNK = 1 << 20
MAX_LINE_BYTES = 64 << 20
MAX_CELLS = 1 << 28

BOM = b"\xef\xbb\xbf"

ROWS_AT_ONCE = 1 << 16
"""How many labels are positions among the distinct ones at a time, on their way to indices."""


def read_rows(
    file: BinaryIO, schema: ImageSchema, port: str, name: str, one_category: bool
) -> Rows:
    """The columns of a list.

    Args:
        file: the list, from its beginning.
        schema: the columns of the directory.
        port: the name of the input, for messages.
        name: of the list, for messages.
        one_category: whether an image of several categories is an error; else it has no label.

    Raises:
        InvalidDatasetError: lines are damaged: all of them are counted, the first ten named.
    """
    _check_length(file, len(schema.other_columns), port, name)
    try:
        rows = read_columns(_after_bom(file), schema)
    except pa.ArrowInvalid as error:  # what pyarrow says of a column of more than 2 GiB
        raise _too_large(port, name) from error
    file.seek(0)
    if rows is None or len(rows.files) != _objects(_after_bom(file)):
        file.seek(0)
        rows = _read_line_by_line(_after_bom(file), schema, port, name, one_category)
        columns = (rows.files, rows.urls, rows.labels, *rows.columns.values())
        if any(isinstance(column, pa.ChunkedArray) for column in columns):
            raise _too_large(port, name)
    return rows


def _too_large(port: str, name: str) -> InvalidDatasetError:
    return InvalidDatasetError(
        f"{port}: {name} has a column of more than 2 GiB of text, expected less in each; remove "
        "columns that are not needed, or shorten the names of files."
    )


def check_lines(file: BinaryIO, port: str, name: str) -> None:
    """Check what can be told of a list without its schema.

    Args:
        file: the list, from its beginning.
        port: the name of the input, for messages.
        name: of the list, for messages.

    Raises:
        InvalidDatasetError: naming every line that is not a JSON object.
    """
    _check_length(file, 0, port, name)
    problems = Problems()
    for _ in _json_lines(_after_bom(file), problems):
        pass  # what is wrong has been noted
    _raise_if(problems, port, name)


def _check_length(file: BinaryIO, columns: int, port: str, name: str) -> None:
    """Refuse a list of few bytes that takes all memory, since each column has a cell a line.

    Raises:
        InvalidDatasetError: it has more than MAX_CELLS cells, or a line of MAX_LINE_BYTES.
    """
    lines, rest = 1, 0
    while chunk := file.read(CHUNK):
        first, last = chunk.find(b"\n"), chunk.rfind(b"\n")
        lines += chunk.count(b"\n")
        rest = rest + len(chunk) if first < 0 else len(chunk) - last
        if rest > MAX_LINE_BYTES:
            raise InvalidDatasetError(
                f"{port}: {name} has a line of more than {MAX_LINE_BYTES:,} bytes, expected a JSON "
                "object a line; write the directory again with Convert to Image Directory."
            )
    if lines * columns > MAX_CELLS:
        raise InvalidDatasetError(
            f"{port}: {name} has {lines:,} lines of {columns:,} columns, expected at most "
            f"{MAX_CELLS:,} values; remove columns that are not needed."
        )
    file.seek(0)


def raw_lines(file: BinaryIO) -> list[bytes]:
    """The lines of a list as they are; blank ones are passed over."""
    return [line.strip() for line in _after_bom(file) if line.strip()]


def parsed_line(line: bytes, port: str) -> dict[str, Any]:
    """The object of a line of ``images.lst``.

    Raises:
        InvalidDatasetError: it holds what pyarrow passes over and Python cannot read.
    """
    try:
        row: dict[str, Any] = load_json(line)
    except ValueError as error:
        raise InvalidDatasetError(
            f"{port}: the line {shortened(line.decode(errors='replace'))!r} of its list of images "
            f"cannot be read ({shortened(str(error))}), expected a JSON object; correct it."
        ) from error
    return row


def lines_of(image_set: ImageSet, names: Sequence[str]) -> Iterator[bytes]:
    """A line of an ``images.lst`` for each of the n images, whose files are ``names``."""
    columns = {name: values.to_pylist() for name, values in sorted(image_set.columns.items())}
    for index, name in enumerate(names):
        row: dict[str, Any] = {image_set.schema.image_ref: {"file_name": name}}
        row.update((column, values[index]) for column, values in columns.items())
        yield json.dumps(row).encode()


def _after_bom(file: BinaryIO) -> BinaryIO:
    if file.read(len(BOM)) != BOM:
        file.seek(0)
    return file


def _objects(file: BinaryIO) -> int:
    """How many lines hold an object; -1 where a line does not begin and end as one.

    pyarrow also takes several objects on a line, and one on several lines.
    """
    count = 0
    for line in file:
        if text := line.strip():
            if not (text.startswith(b"{") and text.endswith(b"}")):
                return -1
            count += 1
    return count


def _read_line_by_line(
    file: BinaryIO, schema: ImageSchema, port: str, name: str, one_category: bool
) -> Rows:
    """Every line by itself, so that each problem can be named.

    Raises:
        InvalidDatasetError: naming every line that is not JSON or does not describe an image.
    """
    problems = Problems()
    files: list[str] = []
    urls: list[str | None] = []
    labels: list[str | None] = []
    values: dict[str, list[Any]] = {column: [] for column in schema.other_columns}
    for number, row in _json_lines(file, problems):
        found = row.get(schema.image_ref)
        reference = found if isinstance(found, dict) else {}
        path = reference.get("base_file_name") or reference.get("file_name")
        if not isinstance(path, str):
            problems.add(f"line {number} has no {schema.image_ref}.file_name")
        elif not is_safe_name(path) or not is_text(path):
            problems.add(
                f"line {number} names {shortened(path)!r}, outside the directory or too deep"
            )
        else:
            files.append(path)
            url = reference.get("coco_url")
            urls.append(url if isinstance(url, str) and url and is_text(url) else None)
            try:
                labels.append(_label(row, schema, one_category))
            except ValueError as error:
                problems.add(f"line {number} {error}")
            for column, cells in values.items():
                cells.append(row.get(column))
    _raise_if(problems, port, name)
    return Rows(
        files=pa.array(files, pa.string()),
        urls=pa.array(urls, pa.string()),
        labels=pa.array(labels, pa.string()),
        columns={column: _array(cells) for column, cells in values.items()},
    )


def _raise_if(problems: Problems, port: str, name: str) -> None:
    if problems:
        raise InvalidDatasetError(
            f"{port}: {name} has {problems}. Expected a line of JSON for each image, which "
            "names its file in the directory; correct these lines, or write the directory again "
            "with Convert to Image Directory."
        )


def _json_lines(file: BinaryIO, problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each line's number and object; blank lines are passed over."""
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            row = load_json(line.decode())
        except ValueError:
            text = line.decode(errors="replace").rstrip()
            problems.add(f"line {number} is not JSON ({shortened(text)!r})")
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            problems.add(f"line {number} is not a JSON object")


def _label(row: dict[str, Any], schema: ImageSchema, one_category: bool) -> str | None:
    """The category name of a line, None where it is unlabelled or has several that are allowed.

    Raises:
        ValueError: the line has a label that is not one category.
    """
    value = None if schema.label_column is None else row.get(schema.label_column)
    if value in (None, "", []):
        return None
    if isinstance(value, list):  # the annotations of a converted COCO data set
        numbers: list[Any] = [a.get("category_id") if isinstance(a, dict) else "" for a in value]
        if all(number is None for number in numbers):
            return None  # captions, as in the COCO form
        if not all(type(number) is int for number in numbers):
            raise ValueError("has annotations without a category_id")
        if len(set(numbers)) > 1 and not one_category:
            return None
        if len(set(numbers)) > 1:
            raise ValueError(f"has annotations of {len(set(numbers))} categories, expected of one")
        return schema.categories.get(numbers[0], f"id {numbers[0]}")
    name = label_name(value)
    if name is None:
        raise ValueError(f"has the label {shortened(repr(value))}, expected a category's name")
    return name


def _array(cells: list[Any]) -> pa.Array:
    """The values of a column; where they are not of one type, their JSON."""
    try:
        return pa.array(cells)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
        return pa.array([None if cell is None else json.dumps(cell) for cell in cells])


def class_indices(
    names: pa.StringArray, schema: ImageSchema, port: str, list_name: str
) -> NDArray[np.int64]:
    """(n,) int64: the class index of each name, UNLABELLED where it is null or empty.

    Raises:
        InvalidDatasetError: naming the labels that are not among the categories.
    """
    distinct = names.unique()
    known = schema.class_index
    unknown = [name for name in distinct.to_pylist() if name and name not in known]
    if unknown:
        missing = pc.sum(pc.is_in(names, pa.array(unknown, pa.string()))).as_py()
        raise InvalidDatasetError(
            f"{port}: {list_name} has {missing:,} images with {len(unknown):,} labels that are not "
            f"among the {len(known):,} categories of the schema: {quoted(unknown)}. Expected "
            f"one of {quoted(list(known)) or 'none'}; correct the labels, or add the categories."
        )
    index_of = np.array([known.get(name, UNLABELLED) for name in distinct.to_pylist()], np.int64)
    result = np.empty(len(names), np.int64)
    for start in range(0, len(names), ROWS_AT_ONCE):
        positions = pc.index_in(names.slice(start, ROWS_AT_ONCE), value_set=distinct)
        result[start : start + ROWS_AT_ONCE] = index_of[positions.to_numpy()]
    return result
