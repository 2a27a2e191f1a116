"""A file of weights: a state dict that PyTorch has saved."""

import io
import zipfile
from typing import BinaryIO

import torch
from torch import Tensor

from train_pytorch_model.errors import scalar, shortened


def load_state_dict(file: BinaryIO) -> dict[str, Tensor]:
    """The tensors in a file, by name, on the CPU; nothing in it is executed.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a state dict; the message goes on from the file's name ("holds 3").
    """
    try:
        _check_not_compressed(file)
        state = torch.load(file, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch.load raises anything on a damaged file
        summary = (str(error) or type(error).__name__).split("\n", 1)[0].split(". ", 1)[0]
        raise ValueError(f"is damaged or not a state dict ({shortened(summary)})") from error
    tensors = isinstance(state, dict) and all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    )
    if not tensors:
        raise ValueError(f"holds {scalar(state)}")
    return dict(state)


def _check_not_compressed(file: BinaryIO) -> None:
    """Refuse a zip whose content is larger than the file: PyTorch stores, it does not compress."""
    if zipfile.is_zipfile(file):
        file.seek(0)
        with zipfile.ZipFile(file) as archive:
            expanded = sum(entry.file_size for entry in archive.infolist())
        if expanded > file.seek(0, io.SEEK_END):
            raise ValueError("its content is compressed")
    file.seek(0)
