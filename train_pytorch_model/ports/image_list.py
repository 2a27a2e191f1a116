"""The ImageDirectory with metadata: ``_meta.yaml``, ``images.lst`` and ``_schema.json``."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
import yaml
from numpy.typing import NDArray

from train_pytorch_model.errors import InvalidDatasetError, Problems, quoted, scalar, shortened
from train_pytorch_model.ports.image_schema import (
    CLASSIFICATION,
    ImageSchema,
    is_text,
    label_name,
    parse_schema,
)
from train_pytorch_model.ports.image_set import UNLABELLED, ImageSet
from train_pytorch_model.ports.paths import (
    SUSPICIOUS,
    is_safe_name,
    open_inside,
    read_inside,
    reason,
)
from train_pytorch_model.ports.plain_yaml import load_plain

META = "_meta.yaml"
LIST = "images.lst"
SCHEMA = "_schema.json"
SAMPLES = "_samples.json"

MAX_META_BYTES = 1 << 20
MAX_SCHEMA_BYTES = 64 << 20
BOM = b"\xef\xbb\xbf"

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
class _Rows:
    """The columns of ``images.lst``: n values each."""

    files: pa.StringArray
    urls: pa.StringArray
    labels: pa.StringArray
    columns: dict[str, pa.Array]


def read_with_metadata(root: Path, port: str, one_category: bool = True) -> ImageSet:
    """Read a directory that has a ``_meta.yaml``; see ``read_image_directory``.

    Raises:
        InvalidDatasetError: one of the three files is missing or damaged; every damaged line is
            counted and the first ten are named.
    """
    meta = _read_meta(root, port)
    schema = _read_schema(root, meta.get("schema", SCHEMA), port)
    list_name = meta.get("image_list", LIST)
    try:
        with open_inside(root, list_name) as file:
            rows = _read_fast(_after_bom(file), schema)
            if rows is None:
                file.seek(0)
                rows = _read_line_by_line(_after_bom(file), schema, port, list_name, one_category)
    except OSError as error:
        raise _unreadable(port, list_name, error) from error
    if len(rows.files) == 0:
        raise InvalidDatasetError(
            f"{port}: {list_name} lists no image, expected at least one line; write the directory "
            "again with Convert to Image Directory."
        )
    return ImageSet(
        port=port,
        root=root,
        files=rows.files.cast(pa.binary()),
        urls=rows.urls if rows.urls.null_count < len(rows.urls) else None,
        labels=_class_indices(rows.labels, schema, port, list_name),
        schema=schema,
        columns=rows.columns,
    )


def _unreadable(port: str, name: str, error: OSError) -> InvalidDatasetError:
    return InvalidDatasetError(
        f"{port}: {shortened(name)!r} cannot be read ({reason(error)}), expected it in a directory "
        f"that has a {META}; write the directory again with Convert to Image Directory."
    )


def read_lines(image_set: ImageSet) -> Iterator[bytes]:
    """The n lines of the ``images.lst`` that ``image_set`` was read from, as they are.

    Only a ``base_file_name`` is put in the place of the ``file_name``, as that is where the image
    is.

    Raises:
        InvalidDatasetError: the file has not one line for each image.
    """
    name = _read_meta(image_set.root, image_set.port).get("image_list", LIST)
    try:
        with open_inside(image_set.root, name) as file:
            lines = [line.strip() for line in _after_bom(file) if line.strip()]
    except OSError as error:
        raise _unreadable(image_set.port, name, error) from error
    if len(lines) != len(image_set):
        raise InvalidDatasetError(
            f"{image_set.port}: found {len(lines):,} lines in {shortened(name)} for "
            f"{len(image_set):,} images, expected a JSON object a line; write the directory again "
            "with Convert to Image Directory."
        )
    for index, line in enumerate(lines):
        if b"base_file_name" not in line:
            yield line
            continue
        row = parsed_line(line, image_set.port)
        reference = row[image_set.schema.image_ref]
        reference.pop("base_file_name", None)
        yield json.dumps(
            row | {image_set.schema.image_ref: reference | {"file_name": image_set.file(index)}}
        ).encode()


def parsed_line(line: bytes, port: str) -> dict[str, Any]:
    """The object of a line of ``images.lst``.

    Raises:
        InvalidDatasetError: it holds what pyarrow passes over and Python cannot read.
    """
    try:
        row: dict[str, Any] = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidDatasetError(
            f"{port}: the line {shortened(line.decode(errors='replace'))!r} of its list of images "
            f"cannot be read ({shortened(str(error))}); correct it."
        ) from error
    return row


def lines_of(image_set: ImageSet, names: Sequence[str]) -> Iterator[bytes]:
    """A line of an ``images.lst`` for each of the n images, whose files are ``names``."""
    columns = {name: values.to_pylist() for name, values in sorted(image_set.columns.items())}
    for index, name in enumerate(names):
        row: dict[str, Any] = {image_set.schema.image_ref: {"file_name": name}}
        row.update((column, values[index]) for column, values in columns.items())
        yield json.dumps(row).encode()


def write_with_metadata(
    folder: Path,
    image_set: ImageSet,
    names: Sequence[str],
    sample_rows: Sequence[Mapping[str, Any]],
) -> None:
    """Write the three files of metadata, and the samples, into ``folder``.

    Args:
        folder: the folder, which holds the images already.
        image_set: the n images.
        names: n paths below ``folder``, where each image is.
        sample_rows: the rows of ``_samples.json``.
    """
    write_metadata(folder, image_set.schema, lines_of(image_set, names), sample_rows)


def write_metadata(
    folder: Path,
    schema: ImageSchema,
    lines: Iterable[bytes],
    sample_rows: Sequence[Mapping[str, Any]],
) -> None:
    """As ``write_with_metadata``, with the ``lines`` of ``images.lst`` as they will stand there."""
    with open(folder / LIST, "wb") as file:
        file.writelines(line + b"\n" for line in lines)
    (folder / SCHEMA).write_text(json.dumps(schema.document, indent=2), "ascii")
    (folder / SAMPLES).write_text(json.dumps(sample_rows, indent=2), "ascii")
    meta = {"type": "ImageDirectory", "extension": {}, "image_list": LIST}
    files = {"samples": SAMPLES, "schema": SCHEMA}
    (folder / META).write_text(yaml.safe_dump({**meta, **files}, sort_keys=False), "ascii")


def _read_meta(root: Path, port: str) -> dict[str, Any]:
    try:
        meta = load_plain(read_inside(root, META, MAX_META_BYTES))
    except OSError as error:
        raise _unreadable(port, META, error) from error
    except ValueError as error:
        raise InvalidDatasetError(
            f"{port}: {META} is not YAML ({error}), expected type: ImageDirectory; "
            "write the directory again with Convert to Image Directory."
        ) from error
    kind = meta.get("type") if isinstance(meta, dict) else None
    if not kind:
        raise InvalidDatasetError(
            f"{port}: {META} has no type, expected type: ImageDirectory; write the directory again "
            "with Convert to Image Directory."
        )
    if kind in ("ModelDirectory", "DataFrameDirectory", "TransformationDirectory"):
        raise InvalidDatasetError(
            f"{port}: found a {kind}, expected an ImageDirectory; connect the output of Convert to "
            "Image Directory, Split Image Directory or Apply Image Transformation."
        )
    assert isinstance(meta, dict)
    for key in ("image_list", "schema"):
        if not isinstance(meta.get(key, key), str):
            raise InvalidDatasetError(
                f"{port}: the {key} of {META} is {scalar(meta[key])}, expected a file name; write "
                "the directory again with Convert to Image Directory."
            )
    return meta


def _read_schema(root: Path, name: str, port: str) -> ImageSchema:
    try:
        text = read_inside(root, name, MAX_SCHEMA_BYTES).decode("utf-8-sig")
        document = json.loads(text)
    except OSError as error:
        raise _unreadable(port, name, error) from error
    except (ValueError, RecursionError) as error:
        raise InvalidDatasetError(
            f"{port}: {shortened(name)} is not JSON ({shortened(str(error))}); write the directory "
            "again with Convert to Image Directory."
        ) from error
    return parse_schema(document, port)


def _after_bom(file: BinaryIO) -> BinaryIO:
    if file.read(len(BOM)) != BOM:
        file.seek(0)
    return file


def _read_fast(file: BinaryIO, schema: ImageSchema) -> _Rows | None:
    """Every line at once, by pyarrow; None where any line is not of the usual form."""
    columns = schema.other_columns
    types = {name: _ARROW_TYPES.get(kind) for name, kind in columns.items()}
    if schema.annotation_type == CLASSIFICATION:
        types[str(schema.label_column)] = pa.string()
    if None in types.values() or schema.image_ref in types:
        return None
    reference = pa.struct([(k, pa.string()) for k in ("file_name", "base_file_name", "coco_url")])
    fields = pa.schema([(schema.image_ref, reference), *types.items()])
    options = pyarrow.json.ParseOptions(
        explicit_schema=fields, newlines_in_values=False, unexpected_field_behavior="ignore"
    )
    try:
        table = pyarrow.json.read_json(file, parse_options=options).combine_chunks()
        table.validate(full=True)
    except pa.ArrowInvalid:
        return None
    named = table.column(schema.image_ref).combine_chunks()
    base, own = pc.struct_field(named, "base_file_name"), pc.struct_field(named, "file_name")
    base = pc.if_else(pc.equal(base, ""), None, base)
    files = pc.coalesce(base, own)
    if own.null_count or pc.any(pc.match_substring_regex(files, SUSPICIOUS)).as_py():
        return None
    values = {name: table.column(name).combine_chunks() for name in types}
    no_labels = pa.nulls(len(files), pa.string())
    return _Rows(
        files=files,
        urls=pc.struct_field(named, "coco_url"),
        labels=values.get(schema.label_column or "", no_labels),
        columns=values,
    )


def _read_line_by_line(
    file: BinaryIO, schema: ImageSchema, port: str, name: str, one_category: bool
) -> _Rows:
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
            problems.add(f"line {number} names {shortened(path)!r}, outside the directory")
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
    if problems:
        raise InvalidDatasetError(
            f"{port}: {name} has {problems}. Correct these lines, or write the directory again "
            "with Convert to Image Directory."
        )
    return _Rows(
        files=pa.array(files, pa.string()),
        urls=pa.array(urls, pa.string()),
        labels=pa.array(labels, pa.string()),
        columns={column: _array(cells) for column, cells in values.items()},
    )


def _json_lines(file: BinaryIO, problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each line's number and object; blank lines are passed over."""
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode())
        except (ValueError, RecursionError):
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
    value = row.get(schema.label_column or "")
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


def _class_indices(
    names: pa.StringArray, schema: ImageSchema, port: str, list_name: str
) -> NDArray[np.int64]:
    """(n,) int64: the class index of each name, UNLABELLED where it is null or empty.

    Raises:
        InvalidDatasetError: naming the labels that are not among the categories.
    """
    encoded = names.dictionary_encode()
    distinct: list[str] = encoded.dictionary.to_pylist()
    known = schema.class_index
    unknown = [name for name in distinct if name and name not in known]
    if unknown:
        missing = pc.sum(pc.is_in(names, pa.array(unknown, pa.string()))).as_py()
        raise InvalidDatasetError(
            f"{port}: {list_name} has {missing:,} images with {len(unknown):,} labels that are not "
            f"among the {len(known):,} categories of the schema: {quoted(unknown)}. Correct the "
            "labels, or add the categories."
        )
    index_of = np.array([known.get(name, UNLABELLED) for name in distinct] + [UNLABELLED])
    positions = pc.fill_null(encoded.indices, len(distinct)).to_numpy(zero_copy_only=False)
    result: NDArray[np.int64] = index_of.astype(np.int64)[positions]
    return result
