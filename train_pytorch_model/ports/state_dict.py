"""A file of weights: a state dict that PyTorch saves."""

import io
import warnings
import zipfile
from collections.abc import Mapping
from typing import BinaryIO

import torch
from torch import Tensor

from train_pytorch_model.errors import scalar, shortened
from train_pytorch_model.ports.state_pickle import check_pickle
from train_pytorch_model.ports.zip_index import BoundedIndex, has_one_index

MAX_INDEX = 16 << 20
"""The size of the index of a file of weights: some 200,000 tensors."""

ZIP_START = b"PK\x03\x04"
"""How a zip begins that PyTorch takes for one; ``zipfile`` looks at the end alone."""

LEGACY_PICKLES = 5
"""What PyTorch wrote before 1.6: a mark, a version, the machine, the tensors, their keys."""


def load_state_dict(file: BinaryIO) -> dict[str, Tensor]:
    """The tensors in a file, by name, on the CPU; nothing in it is executed.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a state dict; the message goes on from the file's name ("holds 3").
    """
    try:
        _check(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, of kinds of tensors that are refused below
            state = torch.load(file, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch.load raises anything on a damaged file
        summary = (str(error) or type(error).__name__).split("\n", 1)[0].split(". ", 1)[0]
        tells = " " in summary and not summary.startswith("[")  # not "101", not a line of C++
        why = f" ({shortened(summary)})" if tells else ""
        raise ValueError(f"is damaged or not a state dict of tensors{why}") from error
    tensors = isinstance(state, dict) and all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    )
    if not tensors:
        raise ValueError(f"holds {scalar(state)}")
    if _claimed_bytes(state) > file.seek(0, io.SEEK_END):
        raise ValueError("claims more values than it holds")
    return dict(state)


def _claimed_bytes(state: Mapping[str, Tensor]) -> int:
    """The size of all storages; PyTorch allocates what a pickle says, before it reads a value."""
    storages = (
        tensor.untyped_storage()
        for tensor in state.values()
        if tensor.layout == torch.strided and tensor.device.type == "cpu"
    )
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def save_state_dict(tensors: Mapping[str, Tensor], file: BinaryIO) -> None:
    """Write tensors to a file; the same tensors give the same bytes.

    Raises:
        OSError: it cannot be written; PyTorch itself says a RuntimeError then.
    """
    try:
        torch.save(dict(tensors), file)
    except RuntimeError as error:
        cause = error.__context__
        raise cause if isinstance(cause, OSError) else OSError(str(error)) from error


def _check(file: BinaryIO) -> None:
    """Refuse what would take time or memory out of proportion, before PyTorch reads it."""
    is_zip = file.read(len(ZIP_START)) == ZIP_START
    file.seek(0)
    if is_zip:
        _check_zip(file)
    else:
        for _ in range(LEGACY_PICKLES):
            check_pickle(file)
    file.seek(0)


def _check_zip(file: BinaryIO) -> None:
    """Refuse a zip whose content is larger than the file: PyTorch stores, it does not compress."""
    if not has_one_index(file):
        raise ValueError("its index is not where PyTorch puts it")
    with zipfile.ZipFile(BoundedIndex(file, MAX_INDEX)) as archive:
        entries = archive.infolist()
        compressed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
        if compressed or sum(entry.file_size for entry in entries) > file.seek(0, io.SEEK_END):
            raise ValueError("its content is compressed")
        for entry in entries:
            if entry.filename.lower().endswith(".pkl"):  # PyTorch takes either case
                with archive.open(entry) as pickle:
                    check_pickle(pickle)
