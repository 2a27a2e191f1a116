"""Output directories that appear whole or not at all."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
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
            present = sorted(name for name in os.listdir(path) if not _is_ours(name))
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
        tempfile.TemporaryDirectory(dir=existing, prefix=_PREFIX).cleanup()
    except OSError as error:
        raise _failed(path, port, error) from error


def check_two_outputs(outputs: Mapping[str, Path]) -> None:
    """Check, before any work is done, that two outputs, port → path, can be written.

    Raises:
        FailedToWriteOutputsError: as ``check_output``, or the one lies in the other.
    """
    for port, path in outputs.items():
        check_output(path, port)
    first, second = (Path(os.path.realpath(path)) for path in outputs.values())
    if first in (second, *second.parents) or second in first.parents:
        raise FailedToWriteOutputsError(
            f"{' and '.join(outputs)}: {str(first)!r} and {str(second)!r} are one or lie in one "
            "another, expected two directories side by side; name others."
        )


@contextmanager
def whole_directory(path: Path, port: str) -> Iterator[Path]:
    """A fresh directory to fill; it becomes ``path`` when the block ends without an exception.

    The directory is filled beside ``path``, flushed to disk and renamed, so that a reader never
    sees half of it. Where that cannot be, because ``path`` is a mount point, as a job's output is
    on Azure, or its parent cannot be written, the entries are put into ``path`` one by one, the
    one that makes the directory readable (``_meta.yaml``) last.

    Raises:
        FailedToWriteOutputsError: something could not be written; ``path`` is as it was.
    """
    target = Path(os.path.realpath(path))
    staging = None
    try:
        staging = _staging_for(target)
        yield staging
        _flush(staging)
        _publish(staging, target)
    except OSError as error:
        raise _failed(path, port, error) from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def two_whole_directories(outputs: Mapping[str, Path]) -> Iterator[tuple[Path, Path]]:
    """``whole_directory`` of two outputs, port → path: both appear, or neither.

    Raises:
        FailedToWriteOutputsError: something could not be written; both are as they were.
    """
    (port, path), (other_port, other_path) = outputs.items()
    other_real = Path(os.path.realpath(other_path))
    existed, written = other_real.is_dir(), False
    try:
        with whole_directory(path, port) as first:
            with whole_directory(other_path, other_port) as second:
                yield first, second
            written = True
    except BaseException:
        if written:
            _take_back(other_real, existed)
        raise


def _take_back(directory: Path, existed: bool) -> None:
    """Remove an output that was empty before, or was not there."""
    with suppress(OSError):  # what is told is why the other could not be written
        for entry in directory.iterdir():
            _remove(entry)
        if not existed:
            directory.rmdir()


# Directories in the making; one that a killed run has left in an output is passed over.
_PREFIX = ".partial-"


def _is_ours(name: str) -> bool:
    return name.startswith(_PREFIX)


def _failed(path: Path, port: str, error: OSError) -> FailedToWriteOutputsError:
    return FailedToWriteOutputsError(
        f"{port}: {str(path)!r} cannot be written ({reason(error)}); free space, make it writable "
        "or name another, and run again."
    )


def _staging_for(target: Path) -> Path:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return _staging_in(target.parent)
    except OSError:
        if not target.is_dir():
            raise
        return _staging_in(target)


def _staging_in(folder: Path) -> Path:
    """A new directory; mkdtemp lets only its owner read it, so it gets mkdir's permissions."""
    directory = Path(tempfile.mkdtemp(dir=folder, prefix=_PREFIX))
    mask = os.umask(0)
    os.umask(mask)
    directory.chmod(0o777 & ~mask)
    return directory


def _publish(staging: Path, target: Path) -> None:
    """Make ``target`` what ``staging`` is. Nothing that fails after that fails the run."""
    if target.is_dir():
        for name in filter(_is_ours, os.listdir(target)):
            if target / name != staging:
                shutil.rmtree(target / name)
    if staging.parent == target:
        _move_up(staging, target)
    else:
        try:
            os.rename(staging, target)
        except OSError:
            if not target.is_dir():
                raise
            # A mount point: it cannot be renamed over, and may be another file system.
            inside = _staging_in(target)
            try:
                shutil.copytree(staging, inside, dirs_exist_ok=True)
                _flush(inside)
                _move_up(inside, target)
            finally:
                shutil.rmtree(inside, ignore_errors=True)
    with suppress(OSError):  # the parent may not be ours to open; the output is there all the same
        _flush_entry(target.parent)


def _move_up(staging: Path, target: Path) -> None:
    moved: list[Path] = []
    try:
        for name in sorted(os.listdir(staging), key=lambda name: (name == "_meta.yaml", name)):
            os.rename(staging / name, target / name)
            moved.append(target / name)
    except OSError:
        for entry in moved:
            _remove(entry)
        raise


def _remove(entry: Path) -> None:
    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _flush(directory: Path) -> None:
    for parent, _, names in os.walk(directory):
        for name in names:
            _flush_entry(Path(parent, name))
        _flush_entry(Path(parent))


# Some network mounts cannot fsync a directory; the rename is then as durable as they make it.
_CANNOT_FLUSH = {errno.EINVAL, errno.ENOTSUP}


def _flush_entry(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH:
            raise
    finally:
        os.close(descriptor)
