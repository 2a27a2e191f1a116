"""Output directories that appear whole or not at all."""

import errno
import filecmp
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from train_pytorch_model.errors import FailedToWriteOutputsError
from train_pytorch_model.ports.paths import reason

CHECKPOINT = ".checkpoint"
"""A folder in an output that a run needs to go on; ``hidden_beside`` where there is no output."""

_PARTIAL = ".partial"
"""Directories in the making; one that a killed run has left is removed by the next.

Beside an output's entries, one in it says that the output was being put there, and is not whole.
"""

_OTHER_AWAITED = f"{_PARTIAL}-of-two"
"""In an output that is whole, while the other one of two is not."""

MAX_NAME_BYTES = 255


def check_output(path: Path, port: str, *, begun: bool = False) -> None:
    """Check, before any work is done, that the output ``port`` can be written at ``path``.

    What a killed run has put there in part is no obstacle: it is finished, or replaced, in the end.

    Args:
        path: the output.
        port: its name, for messages.
        begun: whether something else says that a killed run was to put this output there.

    Raises:
        FailedToWriteOutputsError: ``path`` is a file, is a directory with something in it, or
            nothing can be written there.
    """
    try:
        if path.is_dir():
            present = entries(path)
            if present and not begun and not _partial(path):
                raise FailedToWriteOutputsError(
                    f"{port}: {str(path)!r} is not empty (it holds {present[0]!r}), expected an "
                    "empty directory or none; empty it or name another."
                )
        elif os.path.lexists(path):
            raise FailedToWriteOutputsError(
                f"{port}: {str(path)!r} is not a directory, expected an empty directory or none; "
                "name another."
            )
        prefix = hidden_beside(Path(os.path.realpath(path)), _PARTIAL).name
        tempfile.TemporaryDirectory(dir=nearest_existing(path), prefix=f"{prefix}-").cleanup()
    except OSError as error:
        raise _failed(path, port, error) from error


def check_space(path: Path, port: str, needed: int) -> None:
    """Check that the file system of an output has space for ``needed`` bytes.

    Raises:
        FailedToWriteOutputsError: it has less.
    """
    try:
        state = os.statvfs(nearest_existing(path))
    except OSError as error:
        raise _failed(path, port, error) from error
    free = state.f_bavail * state.f_frsize
    if state.f_blocks and free < needed:  # some network mounts do not say how large they are
        raise FailedToWriteOutputsError(
            f"{port}: found {free / 1e6:,.0f} MB of free space for {str(path)!r}, expected "
            f"{needed / 1e6:,.0f} MB, for the model and two checkpoints of the training; free "
            "space or name another."
        )


def check_two_outputs(outputs: Mapping[str, Path]) -> None:
    """Check, before any work is done, that two outputs, port → path, can be written.

    Raises:
        FailedToWriteOutputsError: as ``check_output``, or the one lies in the other.
    """
    first, second = (Path(os.path.realpath(path)) for path in outputs.values())
    # It is there for a moment after the first is whole, too.
    begun = os.path.lexists(second / _OTHER_AWAITED)
    for port, path in outputs.items():
        check_output(path, port, begun=begun)
    if first in (second, *second.parents) or second in first.parents:
        raise FailedToWriteOutputsError(
            f"{' and '.join(outputs)}: {str(first)!r} and {str(second)!r} are one or lie in one "
            "another, expected two directories side by side; name others."
        )


@contextmanager
def whole_directory(path: Path, port: str, advice: str | None = None) -> Iterator[Path]:
    """A fresh directory to fill; it becomes ``path`` when the block ends without an exception.

    The directory is filled beside ``path``, flushed to disk and renamed, so that a reader never
    sees half of it. Where that cannot be, because ``path`` is a mount point, as a job's output is
    on Azure, or its parent cannot be written, the entries are put into ``path`` one by one, the
    one that makes the directory readable (``_meta.yaml``) last, out of a folder in ``path`` that
    says to the end that something is missing. Where a run was killed in the midst of this, the
    entries that it has put there and that are not equal to the new ones are replaced.

    Args:
        path: the output.
        port: its name, for messages.
        advice: what to do where it cannot be written, if there is more than to begin again.

    Raises:
        FailedToWriteOutputsError: something could not be written; ``path`` is as it was.
    """
    target = Path(os.path.realpath(path))
    staging = None
    try:
        remove_leftovers(target)
        staging = _staging_for(target)
        yield staging
        _flush(staging)
        _publish(staging, target)
    except OSError as error:
        raise _failed(path, port, error, advice) from error
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
                (second / _OTHER_AWAITED).mkdir()
                yield first, second
            written = True
    except BaseException:
        if written:
            _take_back(other_real, existed)
        raise
    with suppress(OSError):  # both are whole: an empty folder is in nobody's way
        (other_real / _OTHER_AWAITED).rmdir()


def _take_back(directory: Path, existed: bool) -> None:
    """Remove an output that is whole, as the other one of two cannot be written."""
    with suppress(OSError):  # what is told is why the other could not be written
        for entry in directory.iterdir():
            _remove(entry)
        if not existed:
            directory.rmdir()


def entries(directory: Path) -> list[str]:
    """What lies in an output, sorted, but for what a run has put there to go on with."""
    return sorted(
        name
        for name in os.listdir(directory)
        if name != CHECKPOINT and not name.startswith(f"{_PARTIAL}-")
    )


def hidden_beside(target: Path, kind: str) -> Path:
    """Where something of the output ``target`` lies while it cannot lie in it.

    Args:
        target: the output, a real path.
        kind: what it is, such as CHECKPOINT: of each there is one.
    """
    name = f"{kind}-{target.name}"
    if len(os.fsencode(name)) > MAX_NAME_BYTES - 10:
        name = f"{kind}-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:32]}"
    return target.parent / name


def remove_leftovers(target: Path) -> None:
    """Remove what killed runs have left of unfinished copies of the output ``target``."""
    # mkdtemp's eight characters have no hyphen: "a" takes nothing for its own of "a-b".
    beside = re.compile(re.escape(hidden_beside(target, _PARTIAL).name) + "-[a-z0-9_]{8}")
    with suppress(OSError):  # no such folder, or not ours to read: nothing is in the way
        for name in filter(beside.fullmatch, os.listdir(target.parent)):
            shutil.rmtree(target.parent / name, ignore_errors=True)
    with suppress(OSError):
        begun = bool(entries(target))
        for folder in _partial(target):
            if begun:  # the folder itself says so
                for entry in folder.iterdir():
                    _remove(entry)
            else:
                shutil.rmtree(folder, ignore_errors=True)


def _partial(target: Path) -> list[Path]:
    """What says, beside the entries of an output, that it is not whole."""
    found = [target / name for name in os.listdir(target) if name.startswith(f"{_PARTIAL}-")]
    return [folder for folder in found if folder.is_dir() and not folder.is_symlink()]


def nearest_existing(path: Path) -> Path:
    """``path``, or the nearest folder above it that exists."""
    return next(p for p in [path, *path.absolute().parents] if os.path.lexists(p))


def _failed(
    path: Path, port: str, error: OSError, advice: str | None = None
) -> FailedToWriteOutputsError:
    advice = advice or "free space, make it writable or name another, and run again"
    return FailedToWriteOutputsError(
        f"{port}: {str(path)!r} cannot be written ({reason(error)}), expected a writable folder "
        f"with space for the output; {advice}."
    )


def _staging_for(target: Path) -> Path:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return _staging_in(target.parent, hidden_beside(target, _PARTIAL).name)
    except OSError:
        if not target.is_dir():
            raise
        return _staging_in(target, _PARTIAL)


def _staging_in(folder: Path, prefix: str) -> Path:
    """A new directory; mkdtemp lets only its owner read it, so it gets mkdir's permissions."""
    directory = Path(tempfile.mkdtemp(dir=folder, prefix=f"{prefix}-"))
    mask = os.umask(0)
    os.umask(mask)
    directory.chmod(0o777 & ~mask)
    return directory


def _publish(staging: Path, target: Path) -> None:
    """Make ``target`` what ``staging`` is. Nothing that fails after that fails the run."""
    if staging.parent == target or (target.is_dir() and entries(target)):
        _fill(target, staging)
    else:
        try:
            if (target / CHECKPOINT).exists():  # only an empty directory can be renamed over
                os.rename(target / CHECKPOINT, hidden_beside(target, CHECKPOINT))
            os.rename(staging, target)
        except OSError:
            if not target.is_dir():
                raise
            # A mount point: it cannot be renamed over, and may be another file system.
            _fill(target, staging)
    with suppress(OSError):  # the parent may not be ours to open; the output is there all the same
        flush_entry(target.parent)


def _fill(target: Path, staging: Path) -> None:
    """Put the entries of ``staging`` into the directory ``target``, which may have some of them."""
    left = [folder for folder in _partial(target) if folder != staging]
    inside = staging if staging.parent == target else _staging_in(target, _PARTIAL)
    try:
        if inside != staging:
            shutil.copytree(staging, inside, dirs_exist_ok=True)
            _flush(inside)
        _move_up(inside, target, replace=bool(left))
    finally:
        shutil.rmtree(inside, ignore_errors=True)
    for folder in left:
        if folder.name != _OTHER_AWAITED:
            shutil.rmtree(folder, ignore_errors=True)
    flush_entry(target)


def _move_up(staging: Path, target: Path, replace: bool) -> None:
    """Move the entries of ``staging`` that ``target`` does not have.

    Those that it has must be equal, or are replaced; what ``staging`` has not is never removed.
    """
    others = [name for name in entries(target) if not _equal(staging / name, target / name)]
    for name in others:
        if not (replace and os.path.lexists(staging / name)):
            raise OSError(errno.ENOTEMPTY, f"it holds another {name!r}")
    for name in sorted(others, key=lambda name: (name != "_meta.yaml", name)):
        _remove(target / name)
    moved: list[Path] = []
    try:
        for name in sorted(os.listdir(staging), key=lambda name: (name == "_meta.yaml", name)):
            if not os.path.lexists(target / name):
                os.rename(staging / name, target / name)
                moved.append(target / name)
    except BaseException:
        for entry in moved:
            _remove(entry)
        raise


def _equal(first: Path, second: Path) -> bool:
    """Whether two files, or two folders of files, have the same content."""
    if first.is_dir() and second.is_dir():
        names = sorted(os.listdir(first))
        return names == sorted(os.listdir(second)) and all(
            _equal(first / name, second / name) for name in names
        )
    return first.is_file() and second.is_file() and filecmp.cmp(first, second, shallow=False)


def _remove(entry: Path) -> None:
    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _flush(directory: Path) -> None:
    for parent, _, names in os.walk(directory):
        for name in names:
            flush_entry(Path(parent, name))
        flush_entry(Path(parent))


# Some network mounts cannot fsync a directory; the rename is then as durable as they make it.
_CANNOT_FLUSH = {errno.EINVAL, errno.ENOTSUP}


def flush_entry(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk.

    Raises:
        OSError: they are not, and never may be.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH:
            raise
    finally:
        os.close(descriptor)
