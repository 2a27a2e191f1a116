"""UntrainedModelDirectory and ModelDirectory, which are one format: a spec and a state dict."""

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from train_pytorch_model.errors import InvalidModelDirectoryError, Problems, scalar, shortened
from train_pytorch_model.ports.image_schema import MAX_CLASSES
from train_pytorch_model.ports.model_spec import (
    LABELS,
    ModelSpec,
    parse_model_spec,
    trained_spec_document,
    untrained_spec_document,
)
from train_pytorch_model.ports.paths import open_inside, read_inside, reason
from train_pytorch_model.ports.plain_yaml import load_plain
from train_pytorch_model.ports.state_dict import load_state_dict, save_state_dict

META = "_meta.yaml"
SPEC = "model_spec.yaml"
SCHEMA = "_schema.json"
SAMPLES = "_samples.json"

MAX_YAML_BYTES = 1 << 20
MAX_LABELS_BYTES = 64 << 20

CONNECT = "connect the output of ResNet, DenseNet, Image Model or Train PyTorch Model"


@dataclass(frozen=True)
class ModelDirectory:
    """A model directory in memory.

    Attributes:
        port: the name of the input, for messages.
        spec: what it says of its network.
        weights: the state dict as it stands in the file, on the CPU.
        labels: class index → label; None for an untrained model.
    """

    port: str
    spec: ModelSpec
    weights: Mapping[str, Tensor]
    labels: tuple[str, ...] | None


def read_model_directory(root: Path, port: str) -> ModelDirectory:
    """Read a model directory; nothing in it is executed.

    Args:
        root: the directory.
        port: the name of the input, for messages.

    Raises:
        InvalidModelDirectoryError: there is none, it is damaged, or it is not a PyTorch model of a
            state dict.
    """
    if not os.path.isdir(root):
        found = "a file" if os.path.exists(root) else "nothing"
        raise InvalidModelDirectoryError(
            f"{port}: found {found} at {str(root)!r}, expected a model directory; {CONNECT}."
        )
    meta = _read_yaml(root, META, port)
    kind = meta.get("type")
    if kind not in ("ModelDirectory", "UntrainedModelDirectory"):
        raise InvalidModelDirectoryError(
            f"{port}: {META} has type {scalar(kind)}, expected 'ModelDirectory'; {CONNECT}."
        )
    spec_name = meta.get("model", SPEC)
    if not isinstance(spec_name, str):
        raise InvalidModelDirectoryError(
            f"{port}: {META} has model {scalar(spec_name)}, expected {SPEC!r}; {CONNECT}."
        )
    problems = Problems()
    spec = parse_model_spec(_read_yaml(root, spec_name, port), problems)
    if problems:
        raise InvalidModelDirectoryError(
            f"{port}: {spec_name} has {problems}. Expected a PyTorch model; {CONNECT}."
        )
    return ModelDirectory(
        port=port,
        spec=spec,
        weights=_read_weights(root, spec.weights_file, port),
        labels=None if spec.labels_file is None else _read_labels(root, spec.labels_file, port),
    )


def _unreadable(port: str, name: str, error: OSError) -> InvalidModelDirectoryError:
    return InvalidModelDirectoryError(
        f"{port}: {shortened(name)!r} cannot be read ({reason(error)}), expected it in a model "
        f"directory; {CONNECT}."
    )


def _read_yaml(root: Path, name: str, port: str) -> dict[Any, Any]:
    try:
        document = load_plain(read_inside(root, name, MAX_YAML_BYTES))
    except OSError as error:
        raise _unreadable(port, name, error) from error
    except ValueError as error:
        raise InvalidModelDirectoryError(
            f"{port}: {name} is not YAML ({error}), expected a mapping of plain values; {CONNECT}."
        ) from error
    return document if isinstance(document, dict) else {}


def _read_weights(root: Path, name: str, port: str) -> dict[str, Tensor]:
    try:
        with open_inside(root, name) as file:
            return load_state_dict(file)
    except OSError as error:
        raise _unreadable(port, name, error) from error
    except ValueError as error:
        raise InvalidModelDirectoryError(
            f"{port}: {name!r} {error}, expected a tensor per name, saved by PyTorch; {CONNECT}."
        ) from error


def _read_labels(root: Path, name: str, port: str) -> tuple[str, ...]:
    """Class index → label. Labels are text, whatever they look like (``01``, ``nan``).

    An index that the table leaves out, as the original does of a category id that nothing has, is
    named by its number.
    """
    try:
        text = read_inside(root, name, MAX_LABELS_BYTES).decode("utf-8-sig")
        table = (row for row in csv.reader(io.StringIO(text, newline="")) if row)
        rows = list(islice(table, 1, MAX_CLASSES + 2))
        labels = {int(row[0]): row[1] for row in rows}
        if len(rows) > MAX_CLASSES:
            raise ValueError(f"it has more than {MAX_CLASSES:,} rows")
        if len(labels) < len(rows) or not all(0 <= index < MAX_CLASSES for index in labels):
            raise ValueError("its indices are not different numbers from 0")
    except OSError as error:
        raise _unreadable(port, name, error) from error
    except (ValueError, IndexError, csv.Error) as error:
        raise InvalidModelDirectoryError(
            f"{port}: {name!r} is not a table of an index and a label ({shortened(str(error))}), "
            f"expected rows such as 0,cat; {CONNECT}."
        ) from error
    return tuple(labels.get(index, str(index)) for index in range(max(labels, default=-1) + 1))


def write_untrained_model(folder: Path, spec: ModelSpec, weights: Mapping[str, Tensor]) -> None:
    """Fill an empty folder with an UntrainedModelDirectory.

    Args:
        folder: the folder, which exists.
        spec: what to say of the network.
        weights: its state dict, names as the original's (``model.conv1.weight``, …).
    """
    _write_weights(folder / spec.weights_file, weights)
    _write_yaml(folder / SPEC, untrained_spec_document(spec))
    _write_yaml(folder / META, {"type": "ModelDirectory", "extension": {}, "model": SPEC})


def write_trained_model(
    folder: Path,
    spec: ModelSpec,
    weights: Mapping[str, Tensor],
    labels: Sequence[str],
    schema: Mapping[str, Any],
    samples: Sequence[Mapping[str, Any]],
) -> None:
    """Fill an empty folder with a ModelDirectory that Score Image Model reads.

    Args:
        folder: the folder, which exists.
        spec: what to say of the network, with ``num_classes`` and ``labels_file``.
        weights: its state dict, names as the original's.
        labels: class index → label.
        schema: the ``_schema.json`` of the training images.
        samples: the ``_samples.json`` of the training images.
    """
    _write_weights(folder / spec.weights_file, weights)
    with open(folder / LABELS, "w", encoding="utf-8", newline="") as file:
        file.write(",label\n")
        file.writelines(f"{index},{_csv_field(label)}\n" for index, label in enumerate(labels))
    _write_json(folder / SCHEMA, schema)
    _write_json(folder / SAMPLES, samples)
    deployment = resources.files("train_pytorch_model") / "deployment"
    for name in ("score.py", "conda_env.yaml"):
        (folder / name).write_text((deployment / name).read_text("utf-8"), "utf-8")
    _write_yaml(folder / SPEC, trained_spec_document(spec))
    meta = {"type": "ModelDirectory", "extension": {}, "model": SPEC}
    trained = {"registerModel": True, "modelOutputPath": "trained_model_outputs"}
    _write_yaml(folder / META, {**meta, **trained})


def _write_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    with open(path, "wb") as file:
        save_state_dict(weights, file)


def _csv_field(text: str) -> str:
    """``text`` as pandas writes it; csv.writer leaves a lone carriage return unquoted."""
    if any(char in text for char in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _write_yaml(path: Path, document: Mapping[str, Any]) -> None:
    path.write_text(yaml.safe_dump(document, sort_keys=False), "ascii")


def _write_json(path: Path, document: object) -> None:
    path.write_text(json.dumps(document, indent=2), "ascii")
