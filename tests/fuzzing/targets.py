"""The fuzz targets: each reads an input made from bytes, as the front door would.

A target ends with a value or with a UserError (for an image: an UnreadableImageError); anything
else is a finding. While it runs, nothing outside its own folder may be opened, changed or started.
"""

import io
import json
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.test_image_directory import categories_of, schema_of, values_of
from train_pytorch_model.data.decode import UnreadableImageError, decode
from train_pytorch_model.errors import Problems, UserError
from train_pytorch_model.models.weights import checked_weights
from train_pytorch_model.ports.archive import unpacked
from train_pytorch_model.ports.data_frame_directory import open_data_frame
from train_pytorch_model.ports.image_directory import (
    check_categories,
    labelled,
    read_image_directory,
    samples,
)
from train_pytorch_model.ports.listing import read_listing, write_listing
from train_pytorch_model.ports.model_directory import read_model_directory
from train_pytorch_model.ports.transformation_directory import read_transformation_directory

PART = b"\f"
"""What stands between the files of a directory that is made from one input."""

MAX_MESSAGE = 10_000

NET = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Linear(2, 3))
"""The network that files of weights are for; its last layer is ``2``."""

MODEL_META = b"type: ModelDirectory"
SPEC = {
    "flavor": {"name": "pytorch", "serialization_method": "state_dict"},
    "model_file": "model",
    "flavor_extras": {"module": "m", "class": "c", "init_params": {"model_name": "n"}},
}

SCHEMA = schema_of(categories_of("cat", "dog", 7), note="str", weight="float64", ok="bool")
CAREFUL = schema_of(
    categories_of("cat", "dog", 7), note="str", weight="float64", ok="bool", more="object"
)
"""The same with a column that only the careful reader of ``images.lst`` takes."""


def run(name: str, data: bytes) -> str:
    """Run a target; returns the error that it ended with, empty where it gave a value.

    Raises:
        AssertionError: it touched what is not its own, or its message is not one line.
    """
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's and torch's, which the readers' callers silence
        try:
            with _contained(folder):
                TARGETS[name](data, Path(folder))
        except UnreadableImageError as error:
            return f"p: {error}"
        except UserError as error:
            message = str(error)
        else:
            return ""
    assert message.isprintable(), ascii(message)
    assert len(message) < MAX_MESSAGE, message
    assert "): p: " in message, message
    return message


def _images_lst(data: bytes, folder: Path) -> None:
    """The list of a directory; its two readers must agree."""
    files = {"_meta.yaml": b"type: x", "images.lst": data}
    found: list[dict[str, Any] | UserError] = []
    for name, schema in (("fast", SCHEMA), ("careful", CAREFUL)):
        root = _put(folder / name, files | {"_schema.json": json.dumps(schema).encode()})
        try:
            found.append(values_of(read_image_directory(root, "p")))
        except UserError as error:
            found.append(error)
    fast, careful = found
    if isinstance(fast, UserError):
        raise fast
    if isinstance(careful, UserError):  # what no column holds, the fast one passes over
        assert len(fast["files"]) == len([*filter(bytes.strip, data.split(b"\n"))]), careful
        return
    for key in ("files", "urls", "labels"):
        assert fast[key] == careful[key], (key, fast[key], careful[key])
    for key, values in fast["columns"].items():
        assert [*map(repr, values)] == [*map(repr, careful["columns"][key])], (key, values)


def _image_directory(data: bytes, folder: Path) -> None:
    """A directory with metadata: its three files; what is written of it must be readable."""
    _read_images(_put(folder / "in", _parts(data, "_meta.yaml", "images.lst", "_schema.json")))


def _schema(data: bytes, folder: Path) -> None:
    """The columns of a directory."""
    line = b'{"image_info": {"file_name": "x.png"}, "category": "cat"}\n'
    files = {"_meta.yaml": b"type: x", "images.lst": line, "_schema.json": data}
    _read_images(_put(folder / "in", files))


def _coco(data: bytes, folder: Path) -> None:
    """A directory with COCO annotations."""
    _read_images(_put(folder / "in", {"annotations.json": data}))


def _read_images(root: Path) -> None:
    """Read a directory in every way there is, write it again and read that."""
    error = None
    try:
        image_set = read_image_directory(root, "p")
        check_categories(image_set)
        samples(labelled(image_set))
    except UserError as refused:
        error = refused  # what cannot be trained from may still be split
    listing = read_listing(root, "p")
    copy = root.with_name("copy")
    copy.mkdir()
    write_listing(copy, listing)
    assert len(read_listing(copy, "p")) == len(listing)
    if error is not None:
        raise error


def _model_spec(data: bytes, folder: Path) -> None:
    """What a model directory says of itself: ``_meta.yaml``, ``model_spec.yaml`` and labels."""
    parts = _parts(data, "_meta.yaml", "model_spec.yaml", "index_to_label.csv")
    read_model_directory(_put(folder / "in", parts | {"model": _WEIGHTS}), "p")


def _weights(data: bytes, folder: Path) -> None:
    """The file of weights of a model directory."""
    files = {"_meta.yaml": MODEL_META, "model_spec.yaml": json.dumps(SPEC).encode()}
    directory = read_model_directory(_put(folder / "in", files | {"model": data}), "p")
    problems = Problems()
    weights = checked_weights(directory.weights, NET, "2", problems)
    assert len(str(problems)) < MAX_MESSAGE
    if not problems:
        assert weights.keys() == NET.state_dict().keys()


def _image(data: bytes, _: Path) -> None:
    """The file of an image."""
    pixels = decode(data)
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert pixels.size > 0


def _archive(data: bytes, folder: Path) -> None:
    """An archive, which is unpacked."""
    _put(folder, {"in.zip": data})
    (folder / "tmp").mkdir()
    before, tempfile.tempdir = tempfile.tempdir, str(folder / "tmp")
    try:
        with unpacked(folder / "in.zip", "p") as images:
            assert all(not path.is_symlink() for path in images.rglob("*"))
    finally:
        tempfile.tempdir = before
    assert not list((folder / "tmp").iterdir())


def _data_frame(data: bytes, folder: Path) -> None:
    """A table of scored images: its metadata, its schema and its data."""
    parts = _parts(data, "_meta.yaml", "schema/_schema.json", "_data.parquet")
    with open_data_frame(_put(folder / "in", parts), "p") as frame:
        roles = (frame.columns.true, frame.columns.assigned, *frame.columns.probabilities)
        names = [name for name in roles if name is not None]
        if names:
            for batch in frame.batches(names):
                batch.to_pylist()


def _transformation(data: bytes, folder: Path) -> None:
    """Operations on images."""
    parts = _parts(data, "_meta.yaml", "_transforms.json")
    read_transformation_directory(_put(folder / "in", parts), "p")


def weights_of(net: nn.Module, zipped: bool = True) -> bytes:
    """The file of a network's weights."""
    file = io.BytesIO()
    torch.save(net.state_dict(), file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


_WEIGHTS = weights_of(NET)

Target = Callable[[bytes, Path], None]

TARGETS: dict[str, Target] = {
    "images_lst": _images_lst,
    "image_directory": _image_directory,
    "schema": _schema,
    "coco": _coco,
    "model_spec": _model_spec,
    "weights": _weights,
    "image": _image,
    "archive": _archive,
    "data_frame": _data_frame,
    "transformation": _transformation,
}
"""Name → what it reads."""


def _parts(data: bytes, *names: str) -> dict[str, bytes]:
    """The files that an input holds, in this order; those that it has no part for are absent."""
    return dict(zip(names, data.split(PART, len(names) - 1), strict=False))


def _put(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


_STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork")
_CONNECTS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname")
_CHANGES = ("open", "os.", "shutil.", "tempfile.")
_HARMLESS = ("os.putenv", "os.unsetenv", "os.listdir", "os.scandir", "os.walk", "os.fwalk")
_owner: tuple[int, str] | None = None
_audited = False


@contextmanager
def _contained(folder: str) -> Iterator[None]:
    """Within the block, this thread may open and change nothing that is not below ``folder``.

    Python's own files, which are read when a module is imported, may be read.
    """
    global _owner, _audited  # noqa: PLW0603 - an audit hook cannot be taken away, only told to rest
    if not _audited:
        sys.addaudithook(_audit)
        _audited = True
    _owner = (threading.get_ident(), folder)
    try:
        yield
    finally:
        _owner = None


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _owner is None or _owner[0] != threading.get_ident():
        return
    if event in _CONNECTS:
        raise OSError("no network here")
    if event in _STARTS:
        raise AssertionError(f"{event} {arguments}")
    path = arguments[0] if arguments else None
    changes = event.startswith(_CHANGES) and event not in _HARMLESS
    if not changes or not isinstance(path, str | bytes | os.PathLike):
        return  # what is no path is a descriptor, which was opened before
    below = arguments[-1]
    parent = f"/proc/self/fd/{below}" if event != "open" and isinstance(below, int) else ""
    real = os.path.realpath(os.path.join(parent if below != -1 else "", os.fsdecode(path)))
    own = os.path.realpath(_owner[1])
    if real == own or real.startswith(own + os.sep):
        return
    reading = event == "open" and arguments[1] in ("r", "rb", None)
    if not (reading and real.startswith(_PYTHON)):
        raise AssertionError(f"{event} {arguments}")


_OURS = Path(__file__).parents[2]
_PYTHON = (sys.prefix, sys.base_prefix, str(_OURS), "/usr/share/zoneinfo", *filter(None, sys.path))
