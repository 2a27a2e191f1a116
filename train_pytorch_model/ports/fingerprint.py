"""Digests of inputs: equal where, and only where, what a run reads of them is equal."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from train_pytorch_model.ports.image_set import ImageSet
from train_pytorch_model.ports.model_directory import ModelDirectory


def model_digest(directory: ModelDirectory) -> str:
    """``sha256:…`` of a model directory whose weights have passed every check."""
    digest = hashlib.sha256()
    facts = {"spec": asdict(directory.spec), "labels": directory.labels}
    digest.update(json.dumps(facts, sort_keys=True, default=str).encode())
    _add_tensors(digest, directory.weights)
    return f"sha256:{digest.hexdigest()}"


def images_digest(images: ImageSet) -> str:
    """``sha256:…`` of a list of images: paths, URLs, labels and schema, in their order.

    A million rows take about a tenth of a second: columns are hashed, not rows.
    """
    digest = hashlib.sha256()
    facts = {"schema": images.schema.document, "classes": images.schema.classes}
    digest.update(json.dumps(facts, sort_keys=True).encode())
    digest.update(np.ascontiguousarray(images.labels, dtype="<i8").tobytes())
    _add_strings(digest, images.files)
    if images.urls is not None:
        _add_strings(digest, images.urls)
    return f"sha256:{digest.hexdigest()}"


def _add_tensors(digest: "hashlib._Hash", tensors: Mapping[str, Tensor]) -> None:
    for name in sorted(tensors):
        tensor = tensors[name].detach().contiguous()
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode(errors="replace"))
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)


def _add_strings(digest: "hashlib._Hash", strings: pa.Array) -> None:
    """The lengths (-1: null) and then the bytes of a column of strings."""
    column = strings.cast(pa.large_binary())
    lengths = pc.fill_null(pc.binary_length(column), -1)
    digest.update(lengths.to_numpy().astype("<i8").tobytes())
    column = column.fill_null(b"")  # what the bytes of a null are, nobody says
    _, offsets, content = column.buffers()
    if content is not None:
        bounds = np.frombuffer(offsets, np.int64)[column.offset :]
        digest.update(content[int(bounds[0]) : int(bounds[len(column)])])
