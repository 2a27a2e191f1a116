"""A published file, fetched once and kept in PyTorch's cache."""

import http.client
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from train_pytorch_model.errors import FailedToDownloadFilesError, shortened
from train_pytorch_model.ports.paths import reason

SECONDS = 10
"""How long a server may be silent. A compute without a way out must not wait for minutes."""


def downloaded(url: str, port: str, seconds: float = SECONDS) -> Path:
    """The file at ``url``, in PyTorch's cache (``TORCH_HOME``), fetched if it is not there yet.

    Args:
        url: an address whose last part is ``NAME-HASH.ENDING``, where HASH begins the SHA-256 of
            the content, as torchvision names its weights.
        port: the name of the input that would take its place, for messages.
        seconds: how long the server may be silent.

    Raises:
        FailedToDownloadFilesError: it cannot be fetched, or is another file than the one named.
    """
    name = url.rsplit("/", 1)[1]
    path = Path(torch.hub.get_dir(), "checkpoints", name)
    digest = re.search(r"-([0-9a-f]{8,})\.[a-z]+$", name)
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with _timeout(seconds):
                torch.hub.download_url_to_file(
                    url, str(path), digest and digest[1], progress=sys.stderr.isatty()
                )
    except (OSError, http.client.HTTPException, RuntimeError, ValueError) as error:
        raise FailedToDownloadFilesError(
            f"{port}: {url} cannot be downloaded ({shortened(_why(error))}), expected to reach it "
            f"and to write to {str(path.parent)!r}; check the network settings of the compute, or "
            f"download it elsewhere and name the file as {port}, or set pretrained to False."
        ) from error
    return path


@contextmanager
def _timeout(seconds: float) -> Iterator[None]:
    """The limit of each step of a connection, which torch.hub takes from the process."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _why(error: Exception) -> str:
    cause = getattr(error, "reason", error)  # a URLError's is the OSError behind it
    return reason(cause) if isinstance(cause, OSError) else str(error)
