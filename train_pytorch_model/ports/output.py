"""Output directories that appear whole or not at all."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from train_pytorch_model.errors import FailedToWriteOutputsError
from train_pytorch_model.ports.paths import reason


def check_output(path: Path, port: str) -> None:
    """Check, before any work is done, that the output ``port`` can be written at ``path``.

    Raises:
        FailedToWriteOutputsError: ``path`` is a file, is a directory with something in it, or
            nothing can be written there.
    """
    try:
        if path.is_dir():
            present = sorted(os.listdir(path))
            if present:
                raise FailedToWriteOutputsError(
                    f"{port}: {str(path)!r} is not empty (it holds {present[0]!r}), expected an "
                    "empty directory or none; empty it or name another."
                )
        elif os.path.lexists(path):
            raise FailedToWriteOutputsError(
                f"{port}: {str(path)!r} is not a directory, expected an empty directory or none; "
                "name another."
            )
        existing = next(p for p in [path, *path.absolute().parents] if os.path.lexists(p))
        tempfile.TemporaryDirectory(dir=existing, prefix=".write-test-").cleanup()
    except OSError as error:
        raise FailedToWriteOutputsError(
            f"{port}: {str(path)!r} cannot be written ({reason(error)}); make it writable or name "
            "another."
        ) from error


@contextmanager
def whole_directory(path: Path, port: str) -> Iterator[Path]:
    """A fresh directory to fill; it becomes ``path`` when the block ends without an exception.

    The directory is filled beside ``path``, flushed to disk and renamed, so that a reader never
    sees half of it. Where ``path`` is a mount point, as a job's output is on Azure, or its
    parent cannot be written, it is filled inside ``path`` and its entries are moved up, the one
    that makes the directory readable (``_meta.yaml``) last.

    Raises:
        FailedToWriteOutputsError: something could not be written; ``path`` is as it was.
    """
    try:
        staging = _staging_for(path)
    except OSError as error:
        raise _failed(path, port, error) from error
    try:
        yield staging
        _flush(staging)
        if staging.parent == path:
            _move_up(staging, path)
        else:
            os.rename(staging, path)
        _flush_entry(path.parent)
    except OSError as error:
        raise _failed(path, port, error) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _failed(path: Path, port: str, error: OSError) -> FailedToWriteOutputsError:
    return FailedToWriteOutputsError(
        f"{port}: {str(path)!r} cannot be written ({reason(error)}); free space or make it "
        "writable, and run again."
    )


def _staging_for(path: Path) -> Path:
    prefix = f".{path.name}.partial-"
    if not os.path.ismount(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return _readable(Path(tempfile.mkdtemp(dir=path.parent, prefix=prefix)))
        except PermissionError:
            if not path.is_dir():
                raise
    return _readable(Path(tempfile.mkdtemp(dir=path, prefix=prefix)))


def _readable(directory: Path) -> Path:
    """Give a directory of mkdtemp, which only its owner may read, the permissions of mkdir."""
    mask = os.umask(0)
    os.umask(mask)
    directory.chmod(0o777 & ~mask)
    return directory


def _move_up(staging: Path, path: Path) -> None:
    moved: list[Path] = []
    try:
        for name in sorted(os.listdir(staging), key=lambda name: (name == "_meta.yaml", name)):
            os.rename(staging / name, path / name)
            moved.append(path / name)
    except OSError:
        for entry in moved:
            entry.unlink()
        raise


def _flush(directory: Path) -> None:
    for parent, _, names in os.walk(directory):
        for name in names:
            _flush_entry(Path(parent, name))
        _flush_entry(Path(parent))


def _flush_entry(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH:
            raise
    finally:
        os.close(descriptor)


# Some network mounts cannot fsync a directory; the rename is then as durable as they make it.
_CANNOT_FLUSH = {errno.EINVAL, errno.ENOTSUP}
