"""The labels of scored images: a table → what is counted of it."""

import math

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from train_pytorch_model.companions.evaluation import Batch, Tally
from train_pytorch_model.errors import InvalidDatasetError, NotLabeledDatasetError, examples
from train_pytorch_model.ports.data_frame_directory import PROBABILITY, DataFrame


def counted(table: DataFrame) -> Tally:
    """All rows of a table, counted.

    Raises:
        InvalidDatasetError: it has no scored labels, or probabilities that are none.
        NotLabeledDatasetError: no row has a label.
    """
    roles = table.columns
    if roles.assigned is None:
        raise InvalidDatasetError(
            f"{table.port}: found no column of scored labels, expected one; connect the output of "
            "Score Image Model."
        )
    _check_types(table)
    names = [name.removeprefix(PROBABILITY) for name in roles.probabilities]
    tally = Tally({name: index for index, name in enumerate(names)})
    rows = 0
    wanted = [roles.true, roles.assigned, *roles.probabilities]
    for piece in table.batches([name for name in wanted if name is not None]):
        rows += piece.num_rows
        if roles.true is None:
            break
        true, scored, *columns = piece.columns
        probabilities = None
        if columns:
            values = [c.to_numpy(zero_copy_only=False) for c in columns]
            probabilities = np.stack(values, axis=1).astype(np.float64)
            wrong = ~((probabilities >= 0) & (probabilities <= 1)).all(axis=1)
            if wrong.any():
                raise InvalidDatasetError(
                    f"{table.port}: {int(wrong.sum()):,} of its first {rows:,} rows have a "
                    "probability that is not a number from 0 to 1; write it again with Score "
                    "Image Model."
                )
        indices = [
            _indices(column, scored.type, tally.categories, table.port, missing)
            for column, missing in ((scored, False), (true, True))
        ]
        tally.add(Batch(true=indices[1], scored=indices[0], probabilities=probabilities))
    if not tally.pairs:
        found = "no column of labels" if roles.true is None else f"no label in {rows:,} rows"
        raise NotLabeledDatasetError(
            f"{table.port}: found {found}, expected a label for each image; score labelled images."
        )
    return tally


def _check_types(table: DataFrame) -> None:
    types = {field.name: field.type for field in table.file.schema_arrow}
    roles = table.columns
    labels = [name for name in (roles.true, roles.assigned) if name is not None]
    wrong = [f"{name!r} of type {types[name]}" for name in labels if not _is_label(types[name])]
    wrong += [
        f"{name!r} of type {types[name]}"
        for name in roles.probabilities
        if not pa.types.is_floating(types[name])
    ]
    if wrong:
        raise InvalidDatasetError(
            f"{table.port}: found columns of other types than labels and probabilities have, "
            f"{examples(wrong)}; connect the output of Score Image Model."
        )


def _is_label(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_label(kind.value_type)
    known = ("string", "large_string", "floating", "integer", "boolean", "null")
    return any(getattr(pa.types, f"is_{name}")(kind) for name in known)


def _indices(
    column: pa.Array,
    scored: pa.DataType,
    categories: dict[str, int],
    port: str,
    may_be_missing: bool,
) -> NDArray[np.int64]:
    """(n,) int64: each label's index among ``categories``, which grows; -1 for none.

    The original writes labels that are all numbers, or all truth values, as such: then the true
    labels are compared as what the scored ones are.
    """
    encoded = column.dictionary_encode()
    known = []
    for label in encoded.dictionary.to_pylist():
        text = _text(label, scored)
        known.append(categories.setdefault(text, len(categories)) if text else -1)
    if not may_be_missing and (-1 in known or encoded.null_count):
        raise InvalidDatasetError(
            f"{port}: found rows without a scored label, expected one in each; write it again with "
            "this package's Score Image Model (the original's has none for a category such as NA)."
        )
    places = encoded.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
    found: NDArray[np.int64] = np.array([*known, -1], np.int64)[places]
    return found


def _text(label: object, scored: pa.DataType) -> str:
    """A label as text, in the form that labels of the type ``scored`` have."""
    if label is None or (isinstance(label, float) and math.isnan(label)):
        return ""
    text = str(label)
    if pa.types.is_boolean(scored) and text.lower() in ("true", "false"):  # pandas: in any case
        return text.capitalize()
    is_number = pa.types.is_floating(scored) or pa.types.is_integer(scored)
    if not is_number and isinstance(label, float) and label.is_integer():
        return str(int(label))  # integers of which some are missing are floats in a table
    if is_number and "_" not in text:  # Python alone reads 1_0 as a number
        try:
            return str(float(text)) if pa.types.is_floating(scored) else str(int(text))
        except ValueError:
            return text
    return text
