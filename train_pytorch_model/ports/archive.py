"""Archives as input: a .zip or .tar of images → a temporary folder of them.

An archive is a stranger's, and its names, sizes and kinds are claims. Nothing is written but
regular files, each new and below the temporary folder, and no more bytes than the limits allow.
"""

import bz2
import errno
import gzip
import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from train_pytorch_model.errors import InvalidDatasetError, Problems, quoted, shortened
from train_pytorch_model.ports.class_folders import is_image_name, is_litter
from train_pytorch_model.ports.image_metadata import META
from train_pytorch_model.ports.paths import (
    MAX_DEPTH,
    MAX_LENGTH,
    is_safe_name,
    open_file,
    open_inside,
    reason,
)
from train_pytorch_model.ports.tar import CHUNK, DamagedArchiveError, Member, tar_members
from train_pytorch_model.ports.zip_index import BoundedIndex

ENDINGS = (".zip", ".tar", ".tgz", ".gz", ".tbz2", ".bz2")
"""The names, in any case, that make a file in a folder its archive; what it is, its bytes say."""

MAX_MEMBERS = 10_000_000
MAX_RATIO = 200
ALWAYS_ALLOWED = 4 << 30
"""What an archive may hold: MAX_RATIO times its own size, or this many bytes if that is more.

Photographs shrink by a few per cent, the drawn digits of MNIST as BMP files to a tenth.
"""

SHARE_OF_FREE_SPACE = 0.9

MIN_FILE = 4096
"""What a file takes on a disk, however small it is."""

MAX_INDEX = 256 << 20
"""The size of a zip's index, of which zipfile makes about ten times as much in memory."""

_STORED_OR_DEFLATED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""What zipfile takes apart in bounded memory: bzip2 and LZMA it does not."""

_METHODS = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard"}

T = TypeVar("T")


@contextmanager
def unpacked(path: Path, port: str) -> Iterator[Path]:
    """The folder of images that ``path`` is, or that is in its archive.

    Args:
        path: a folder; a .zip or .tar, or a .tar that is compressed with gzip or bzip2; or a
            folder in which one such file lies, which then is the input.
        port: the name of the input, for messages.

    Yields:
        ``path`` itself, or a temporary folder that is removed afterwards. Where the archive holds
        a single folder that holds everything, it is that folder.

    Raises:
        InvalidDatasetError: there are several archives, or the archive is damaged, holds what is
            no regular file or leads out of it, or is too large when unpacked.
    """
    with ExitStack() as stack:
        try:
            archive = _archive(path, port)
            if archive is not None:
                name, file = archive
                stack.enter_context(file)
                folder = stack.enter_context(_temporary_folder(name))
        except OSError as error:
            raise InvalidDatasetError(
                f"{port}: {str(path)!r} cannot be opened or unpacked ({reason(error)}); make it "
                "readable, and the folder for temporary files (TMPDIR) writable."
            ) from error
        if archive is None:
            yield path
        else:
            _unpack(file, folder, f"{port}: {shortened(name)!r}")
            yield _folder_of_images(folder)


@contextmanager
def _temporary_folder(archive: str) -> Iterator[Path]:
    """A folder whose name tells of its archive, since messages name what lies in it."""
    folder = Path(tempfile.mkdtemp(prefix=f"{archive[:50]}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _archive(path: Path, port: str) -> tuple[str, BinaryIO] | None:
    """The archive that ``path`` is, or that lies in it: its name and itself."""
    if path.is_file():
        return path.name, open_file(path)
    if not path.is_dir():
        return None
    with os.scandir(path) as entries:
        names = sorted(e.name for e in entries if _is_archive_name(e.name) and e.is_file())
    if len(names) > 1:
        raise InvalidDatasetError(
            f"{port}: found {len(names):,} archives in {str(path)!r} ({quoted(names)}), expected "
            "one, or a folder of images; name one of them."
        )
    return (names[0], open_inside(path, names[0])) if names else None


def beside_archive(path: Path) -> list[str]:
    """What else lies in a folder that has an archive, which alone is the input then; sorted."""
    try:
        with os.scandir(path) as entries:
            files = {e.name: e.is_file() for e in entries if not is_litter(e.name)}
    except OSError:
        return []  # no folder, or one that cannot be read: ``unpacked`` tells why
    archives = {name for name, is_file in files.items() if is_file and _is_archive_name(name)}
    return sorted(files.keys() - archives) if archives else []


def _is_archive_name(name: str) -> bool:
    return name.lower().endswith(ENDINGS) and not is_litter(name)


def _unpack(file: BinaryIO, folder: Path, named: str) -> None:
    """Write the files of an archive into the empty ``folder``."""
    problems = Problems()
    limit, exceeded = _limit(os.fstat(file.fileno()).st_size, folder)
    used = 0
    try:
        for count, member in enumerate(_members(file), start=1):
            used += max(member.size, MIN_FILE) + MIN_FILE * member.name.count("/")
            if used > limit or count > MAX_MEMBERS:
                raise InvalidDatasetError(f"{named} holds {exceeded}.")
            problem = _problem(member) or _write(member, folder)
            if problem:
                problems.add(f"{shortened(member.name)!r} {problem}")
    except DamagedArchiveError as error:
        raise InvalidDatasetError(
            f"{named} cannot be unpacked ({error}), expected a whole .zip or .tar, or a .tar that "
            "is compressed with gzip or bzip2; pack or copy it again, or name the folder."
        ) from error
    except OSError as error:
        raise InvalidDatasetError(
            f"{named} cannot be unpacked into {str(folder.parent)!r} ({reason(error)}); free "
            "space there, or name another folder in TMPDIR."
        ) from error
    if problems:
        raise InvalidDatasetError(
            f"{named} holds what is not unpacked, {problems}. Pack folders and plain files only, "
            "each once; or unpack it where you trust it and name the folder."
        )


def _limit(size: int, folder: Path) -> tuple[int, str]:
    """How many bytes an archive of ``size`` bytes may hold, and what it holds if it is more."""
    allowed = max(ALWAYS_ALLOWED, MAX_RATIO * size)
    free = int(shutil.disk_usage(folder).free * SHARE_OF_FREE_SPACE)
    if free < allowed:
        return free, (
            f"more than {free:,} bytes, for which there is no space in {str(folder.parent)!r}; "
            "free space there, or name another folder in TMPDIR"
        )
    return allowed, (
        f"more than {allowed:,} bytes or {MAX_MEMBERS:,} files, expected at most that of an "
        f"archive of {size:,} bytes; if that is right, unpack it and name the folder"
    )


def _members(file: BinaryIO) -> Iterator[Member]:
    """The members of an archive; what it is, its first bytes say."""
    magic = file.read(3)
    file.seek(0)
    if magic[:2] == b"PK":
        return _told(_zip_members(file))
    if magic[:2] == b"\x1f\x8b":
        return _told(tar_members(gzip.GzipFile(fileobj=file)))
    return _told(tar_members(bz2.BZ2File(file) if magic == b"BZh" else file))


def _told(items: Iterable[T]) -> Iterator[T]:
    """``items``; whatever the standard library raises of damaged archives is one error."""
    try:
        yield from items
    except (DamagedArchiveError, MemoryError):
        raise
    except Exception as error:
        raise DamagedArchiveError(shortened(str(error)) or type(error).__name__) from error


def _zip_members(file: BinaryIO) -> Iterator[Member]:
    with zipfile.ZipFile(BoundedIndex(file, MAX_INDEX)) as archive:
        infos = archive.infolist()
        end = 0
        for info in sorted(infos, key=lambda info: info.header_offset):
            if info.header_offset < end:
                raise DamagedArchiveError("its files overlap")
            end = info.header_offset + 30 + info.compress_size
        for info in infos:
            name = _zip_name(info)
            is_folder = name.endswith("/")
            content = _zip_content(archive, info)
            yield Member(name, is_folder, _zip_kind(info), info.file_size, content)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The whole name; UTF-8 that is not marked as such, as the Finder writes it, is UTF-8."""
    name = info.orig_filename
    if not info.flag_bits & 0x800:
        try:
            return name.encode("cp437").decode("utf-8")
        except UnicodeError:
            pass
    return name


def _zip_kind(info: zipfile.ZipInfo) -> str | None:
    """What a member is, where it cannot be unpacked."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "a symbolic link"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a device or a pipe"
    if info.flag_bits & 0x1:
        return "encrypted"
    if info.compress_type not in _STORED_OR_DEFLATED:
        return f"compressed by the method {_METHODS.get(info.compress_type, info.compress_type)}"
    return None


def _zip_content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    size = 0
    with archive.open(info) as file:
        while chunk := file.read(CHUNK):
            size += len(chunk)
            yield chunk
    if size != info.file_size:
        raise DamagedArchiveError(f"{shortened(info.filename)!r} is cut off")


def _problem(member: Member) -> str | None:
    """Why a member is not unpacked."""
    if member.name.count("/") > MAX_DEPTH:
        return f"lies more than {MAX_DEPTH} folders deep"
    if len(member.name) > MAX_LENGTH:
        return "has a name that is too long"
    if not is_safe_name(member.name) or "\\" in member.name:
        return "leads out of the archive, or would on some systems"
    return f"is {member.other}" if member.other else None


_CLASH = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR)


def _write(member: Member, folder: Path) -> str | None:
    """Write a file, which is new; says what is wrong with its name, if something is."""
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    if member.is_folder or is_litter(member.name) or not parts:
        return None
    path = folder.joinpath(*parts)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "xb") as file:
            for chunk in _told(member.content):
                file.write(chunk)
    except OSError as error:
        if error.errno in _CLASH:
            return "has the name of another"
        if error.errno == errno.ENAMETOOLONG:
            return "has a name that is too long"
        raise
    return None


def _folder_of_images(folder: Path) -> Path:
    """The folder to read: most archives hold one folder that holds everything.

    A folder without folders is a category, so it is the folder above that is read; unless it has
    metadata or COCO annotations.
    """
    top = folder
    while True:
        with os.scandir(folder) as entries:
            is_folder = {entry.name: entry.is_dir() for entry in entries}
        folders = [name for name in is_folder if is_folder[name]]
        files = is_folder.keys() - folders
        described = any(name.endswith(".json") or name == META for name in files)
        if not folders and folder != top and not described:
            return folder.parent
        if described or len(folders) != 1 or any(is_image_name(name) for name in files):
            return folder
        folder /= folders[0]
