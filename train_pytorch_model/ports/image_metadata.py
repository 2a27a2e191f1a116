"""The ImageDirectory with metadata: ``_meta.yaml``, ``images.lst`` and ``_schema.json``."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import yaml

from train_pytorch_model.errors import InvalidDatasetError, joined, scalar, shortened
from train_pytorch_model.ports.image_list import (
    check_lines,
    class_indices,
    parsed_line,
    raw_lines,
    read_rows,
)
from train_pytorch_model.ports.image_schema import ImageSchema, parse_schema
from train_pytorch_model.ports.image_set import ImageSet
from train_pytorch_model.ports.paths import open_inside, read_inside, reason
from train_pytorch_model.ports.plain_json import load_json
from train_pytorch_model.ports.plain_yaml import load_plain

META = "_meta.yaml"
LIST = "images.lst"
SCHEMA = "_schema.json"
SAMPLES = "_samples.json"

MAX_META_BYTES = 1 << 20
MAX_SCHEMA_BYTES = 64 << 20


def read_with_metadata(root: Path, port: str, one_category: bool = True) -> ImageSet:
    """Read a directory that has a ``_meta.yaml``; see ``read_image_directory``.

    Raises:
        InvalidDatasetError: one of the three files is missing or damaged; what is wrong with the
            schema and with the list is told at once, every damaged line is counted and the first
            ten are named.
    """
    meta = _read_meta(root, port)
    schema_name, list_name = meta.get("schema", SCHEMA), meta.get("image_list", LIST)
    try:
        schema = _read_schema(root, schema_name, port)
    except InvalidDatasetError as error:
        try:
            _check_list(root, list_name, port)
        except InvalidDatasetError as other:
            raise joined([error, other]) from error
        raise
    with _open_list(root, list_name, port) as file:
        rows = read_rows(file, schema, port, list_name, one_category)
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
        labels=class_indices(rows.labels, schema, port, list_name),
        schema=schema,
        columns=rows.columns,
    )


def read_lines(image_set: ImageSet) -> Iterator[bytes]:
    """The n lines of the ``images.lst`` that ``image_set`` was read from, as they are.

    Only a ``base_file_name`` is put in the place of the ``file_name``, as that is where the image
    is.

    Raises:
        InvalidDatasetError: the file has not one line for each image.
    """
    name = _read_meta(image_set.root, image_set.port).get("image_list", LIST)
    with _open_list(image_set.root, name, image_set.port) as file:
        lines = raw_lines(file)
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


def write_metadata(
    folder: Path,
    schema: ImageSchema,
    lines: Iterable[bytes],
    sample_rows: Sequence[Mapping[str, Any]],
) -> None:
    """Write the three files of metadata, and the samples, into ``folder``.

    Args:
        folder: the folder, which holds the images already.
        schema: the columns.
        lines: of ``images.lst``, one for each image.
        sample_rows: the rows of ``_samples.json``.
    """
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
        document = load_json(text)
    except OSError as error:
        raise _unreadable(port, name, error) from error
    except ValueError as error:
        raise InvalidDatasetError(
            f"{port}: {shortened(name)} is not JSON ({shortened(str(error))}), expected an "
            "object of columns; write the directory again with Convert to Image Directory."
        ) from error
    return parse_schema(document, port)


def _check_list(root: Path, name: str, port: str) -> None:
    with _open_list(root, name, port) as file:
        check_lines(file, port, name)


@contextmanager
def _open_list(root: Path, name: str, port: str) -> Iterator[BinaryIO]:
    try:
        with open_inside(root, name) as file:
            yield file
    except OSError as error:
        raise _unreadable(port, name, error) from error


def _unreadable(port: str, name: str, error: OSError) -> InvalidDatasetError:
    return InvalidDatasetError(
        f"{port}: {shortened(name)!r} cannot be read ({reason(error)}), expected it in a directory "
        f"that has a {META}; write the directory again with Convert to Image Directory."
    )
