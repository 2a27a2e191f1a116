"""Scoring: a trained model and images → probabilities, piece by piece."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from train_pytorch_model.companions.probabilities import probabilities
from train_pytorch_model.data.memory import memory_for
from train_pytorch_model.engine.runtime import start
from train_pytorch_model.errors import (
    InvalidDatasetError,
    InvalidModelDirectoryError,
    quoted,
)
from train_pytorch_model.models.inference import for_inference
from train_pytorch_model.models.network import network
from train_pytorch_model.ports.data_frame_directory import (
    PROBABILITY,
    SCORED_LABELS,
    ScoreColumns,
    table_schema,
    write_data_frame,
)
from train_pytorch_model.ports.image_directory import read_image_directory
from train_pytorch_model.ports.image_set import UNLABELLED, ImageSet
from train_pytorch_model.ports.model_directory import ModelDirectory, read_model_directory
from train_pytorch_model.ports.output import check_output, whole_directory

GROUP_ROWS = 1 << 16
GROUP_BYTES = 128 << 20
"""A row group of the Parquet file, which is in memory as a whole: its rows, or the bytes of its
probabilities where the categories are many."""


def score(
    trained_model: Path,
    dataset: Path,
    target: Path,
    device: str = "auto",
    private_urls: bool = False,
) -> str:
    """Score every image of ``dataset`` and write a DataFrameDirectory.

    Returns:
        One sentence for people: how many images, and the accuracy where they are labelled.

    Raises:
        InvalidModelDirectoryError: ``trained_model`` is not a trained model.
        InvalidDatasetError: ``dataset`` is not an image directory, or images cannot be read.
        OutOfMemoryError: the network, or a batch of images, does not fit in memory.
        FailedToWriteOutputsError: ``target`` cannot be written.
        UserError: the device cannot be used; see ``engine.runtime.start``.
    """
    check_output(target, "scored_dataset")
    runtime = start(device)
    model = read_model_directory(trained_model, "trained_model")
    images = read_image_directory(dataset, "dataset", one_category=False, private_urls=private_urls)
    labels = _labels(model)
    known = _known_columns(images)
    scored = [*(PROBABILITY + label for label in labels), SCORED_LABELS]
    _check_names(images, known, scored)
    with memory_for(_TOO_LARGE):
        net = for_inference(network(model, labels, seed=0), runtime.device)

    types = {name: values.type for name, values in known.items()}
    types |= {**dict.fromkeys(scored, pa.float64()), SCORED_LABELS: pa.string()}
    schema = table_schema(types)
    names = pa.array(labels, pa.string())
    true_labels = _indices(images, labels)
    hits = 0

    def tables() -> Iterator[pa.RecordBatch]:
        nonlocal hits
        first = 0
        for group in _row_groups(probabilities(model, net, images), len(images), len(labels)):
            best = group.argmax(axis=0)
            rows = slice(first, first + len(best))
            first = rows.stop
            hits += int((best == true_labels[rows]).sum())
            others = [values[rows] for values in known.values()]
            assigned = names.take(pa.array(best))
            yield pa.record_batch([*others, *map(pa.array, group), assigned], schema)

    columns = ScoreColumns(
        true=images.schema.label_column if images.schema.label_column in known else None,
        assigned=SCORED_LABELS,
        probabilities=tuple(name for name in schema.names if name.startswith(PROBABILITY)),
    )
    with whole_directory(target, "scored_dataset") as folder, memory_for(_TOO_LARGE):
        count = write_data_frame(folder, schema, tables(), columns)
    labelled = int((images.labels != UNLABELLED).sum())
    accuracy = f"; top-1 accuracy {hits / labelled:.1%}" if labelled else ""
    return f"{count:,} images scored{accuracy}."


_TOO_LARGE = (
    "dataset: its images, even a few at a time, and the network do not fit in memory; choose a "
    "larger compute, or, if they are large, smaller images (Apply Image Transformation)."
)


def _labels(model: ModelDirectory) -> tuple[str, ...]:
    if model.labels is None:
        raise InvalidModelDirectoryError(
            "trained_model: found an untrained model (it names no label_map_file), expected a "
            "trained one; connect the output of Train PyTorch Model."
        )
    twice = [label for label, count in Counter(model.labels).items() if count > 1]
    if twice:
        raise InvalidModelDirectoryError(
            f"trained_model: {len(twice):,} labels belong to more than one class: {quoted(twice)}; "
            "connect the output of Train PyTorch Model."
        )
    return model.labels


def _known_columns(images: ImageSet) -> dict[str, pa.Array]:
    """What is written of each image beside its scores, by name, in the original's order.

    Integers of which some are missing become floats, as in the original. Labels of another form
    (the annotations of a converted COCO data set) become their categories.
    """
    label = images.schema.label_column
    names = images.columns.keys() & {*images.schema.non_feature_columns, label}
    known = {name: images.columns[name] for name in sorted(names)}
    for name, values in known.items():
        if values.null_count and pa.types.is_integer(values.type):
            known[name] = values.cast(pa.float64(), safe=False)
        if name != label and _has_empty_objects(values.type):  # which Parquet has no form for
            known[name] = pa.array([json.dumps(value) for value in values.to_pylist()])
    if label is not None and label in known and pa.types.is_nested(known[label].type):
        missing = images.labels == UNLABELLED
        known[label] = pa.array(images.schema.classes).take(pa.array(images.labels, mask=missing))
    return known


def _has_empty_objects(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return kind.num_fields == 0 or any(_has_empty_objects(field.type) for field in kind)
    return pa.types.is_list(kind) and _has_empty_objects(kind.value_type)


def _check_names(images: ImageSet, known: Iterable[str], scored: Sequence[str]) -> None:
    taken = sorted(set(known) & set(scored))
    if taken:
        raise InvalidDatasetError(
            f"{images.port}: its columns {quoted(taken)} have names of columns that scoring adds, "
            "expected other names; rename them, or score images that are not scored yet."
        )


def _indices(images: ImageSet, labels: Sequence[str]) -> NDArray[np.int64]:
    """(n,): each image's true label as an index into ``labels``, UNLABELLED where it is none."""
    index_of = {label: index for index, label in enumerate(labels)}
    indices = [index_of.get(name, UNLABELLED) for name in (*images.schema.classes, "")]
    return np.array(indices)[images.labels]  # the last is that of images without a label


def _row_groups(
    batches: Iterator[NDArray[np.float32]], count: int, classes: int
) -> Iterator[NDArray[np.float64]]:
    """(b, classes) of each batch → (classes, rows) of each row group; one array, filled anew."""
    rows = min(count, GROUP_ROWS, max(1, GROUP_BYTES // (8 * classes)))
    group = np.empty((classes, rows))
    filled = 0
    for batch in batches:
        rest = batch
        while len(rest):
            part, rest = np.split(rest, [rows - filled])
            group[:, filled : filled + len(part)] = part.T
            filled += len(part)
            if filled == rows:
                yield group
                filled = 0
    if filled:
        yield group[:, :filled]
