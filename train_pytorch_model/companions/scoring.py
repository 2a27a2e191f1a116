"""Scoring: a trained model and images → probabilities, piece by piece."""

import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import nn

from train_pytorch_model.data.batches import normalise
from train_pytorch_model.data.decode import UnreadableImageError, read_pixels
from train_pytorch_model.data.threads import decoding_threads
from train_pytorch_model.engine.runtime import memory_for, start
from train_pytorch_model.errors import (
    InvalidDatasetError,
    InvalidModelDirectoryError,
    Problems,
    shortened,
)
from train_pytorch_model.models.network import network
from train_pytorch_model.ports.data_frame_directory import scored_schema, write_scored
from train_pytorch_model.ports.image_directory import read_image_directory
from train_pytorch_model.ports.image_set import ImageSet
from train_pytorch_model.ports.model_directory import read_model_directory
from train_pytorch_model.ports.output import check_output, whole_directory
from train_pytorch_model.report.console import progress_bar

CHUNK = 256
"""Images whose pixels are in memory at a time."""

BATCH = 32
"""Images that go through the network at once."""


def score(trained_model: Path, dataset: Path, target: Path, device: str = "auto") -> str:
    """Score every image of ``dataset`` and write a DataFrameDirectory.

    Returns:
        One sentence for people: how many images, and the accuracy where they are labelled.

    Raises:
        InvalidModelDirectoryError: ``trained_model`` is not a trained model.
        InvalidDatasetError: ``dataset`` is not an image directory, or images cannot be read.
        FailedToWriteOutputsError: ``target`` cannot be written.
    """
    check_output(target, "scored_dataset")
    runtime = start(device)
    model = read_model_directory(trained_model, "trained_model")
    if model.labels is None:
        raise InvalidModelDirectoryError(
            "trained_model: found an untrained model (it names no label_map_file), expected a "
            "trained one; connect the output of Train PyTorch Model."
        )
    labels = model.labels
    net = network(model, labels, seed=0).to(runtime.device).eval()
    images = read_image_directory(dataset, "dataset", one_category=False)
    others = [name for name in images.schema.non_feature_columns if name in images.columns]
    schema = scored_schema({name: images.columns[name].type for name in others}, labels)
    true_labels, hits = _true_labels(images), 0

    def tables() -> Iterator[pa.RecordBatch]:
        nonlocal hits
        problems = Problems()
        with progress_bar(len(images), "scoring") as bar:
            for start_index, probabilities in _probabilities(net, runtime.device, images, problems):
                rows = slice(start_index, start_index + len(probabilities))
                scored = [labels[i] for i in probabilities.argmax(axis=1)]
                hits += sum(a == b for a, b in zip(true_labels[rows], scored, strict=True))
                known = [images.columns[name][rows] for name in others]
                columns = [pa.array(column) for column in probabilities.T.astype(np.float64)]
                yield pa.record_batch([*known, *columns, pa.array(scored, pa.string())], schema)
                bar.update(len(probabilities))
        if problems:
            raise InvalidDatasetError(
                f"dataset: images that cannot be read, {problems}. Replace or remove these files."
            )

    with whole_directory(target, "scored_dataset") as folder, memory_for(BATCH):
        count = write_scored(folder, schema, tables(), images.schema.label_column)
    labelled = sum(label is not None for label in true_labels)
    accuracy = f"; top-1 accuracy {hits / labelled:.1%}" if labelled else ""
    return f"{count:,} images scored{accuracy}."


def _true_labels(images: ImageSet) -> list[str | None]:
    classes = images.schema.classes
    return [classes[index] if index >= 0 else None for index in images.labels.tolist()]


def _probabilities(
    net: nn.Module, device: torch.device, images: ImageSet, problems: Problems
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """For each chunk of images, the index of its first and (chunk, classes) probabilities.

    Once an image could not be read, the others are only read, so that all are known.
    """

    def read(index: int) -> NDArray[np.uint8] | str:
        try:
            return read_pixels(images, index)
        except UnreadableImageError as error:
            return f"{shortened(images.file(index))!r} ({shortened(str(error))})"

    with ThreadPoolExecutor(decoding_threads(), "decode") as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of odd metadata; the pixels are what counts
        for first in range(0, len(images), CHUNK):
            results = list(pool.map(read, range(first, min(first + CHUNK, len(images)))))
            pixels = [result for result in results if not isinstance(result, str)]
            for result in results:
                if isinstance(result, str):
                    problems.add(result)
            if not problems:
                yield first, _softmax(net, device, pixels)


def _softmax(
    net: nn.Module, device: torch.device, images: Sequence[NDArray[np.uint8]]
) -> NDArray[np.float32]:
    """(n, classes) float32: the probabilities of images (height, width, 3), of any sizes."""
    results = []
    with torch.inference_mode():
        for _, same_size in groupby(images, key=np.shape):
            group = list(same_size)
            for first in range(0, len(group), BATCH):
                batch = torch.from_numpy(np.stack(group[first : first + BATCH]))
                logits = net(normalise(batch.to(device)))
                results.append(logits.softmax(dim=1).cpu().numpy())
    return np.concatenate(results)
