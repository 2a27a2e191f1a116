"""Archives, good and bad, from what is to be in them."""

import bz2
import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

from tests.conftest import picture

Entries = Mapping[str, bytes]


def png(seed: int = 0) -> bytes:
    """The file of a small picture."""
    file = io.BytesIO()
    picture(seed, 8).save(file, "PNG")
    return file.getvalue()


GOOD: Entries = {"cat/0.png": png(0), "cat/1.png": png(1), "dog/0.png": png(2)}
"""Two categories."""


def below(folder: str, entries: Entries) -> Entries:
    """``entries`` in a folder."""
    return {f"{folder}/{name}": content for name, content in entries.items()}


def zip_of(entries: Entries, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A .zip."""
    return zip_with([(zipfile.ZipInfo(name), content) for name, content in entries.items()], method)


def zip_with(
    members: Iterable[tuple[zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    """A .zip of members with more than a name."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for info, content in members:
            info.create_system = 3
            archive.writestr(info, content, method)
    return file.getvalue()


def zip_member(name: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    """A member of a .zip, of a Unix mode."""
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def tar_of(entries: Entries, format_: int = tarfile.PAX_FORMAT) -> bytes:
    """A .tar."""
    return tar_with([(tarfile.TarInfo(n), content) for n, content in entries.items()], format_)


def tar_with(
    members: Iterable[tuple[tarfile.TarInfo, bytes]], format_: int = tarfile.PAX_FORMAT
) -> bytes:
    """A .tar of members with more than a name."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format_) as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def tar_member(name: str, kind: bytes = tarfile.REGTYPE, **known: Any) -> tarfile.TarInfo:
    """A member of a .tar, of a type."""
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in known.items():
        setattr(info, key, value)
    return info


def header(name: bytes, kind: bytes, size: bytes, magic: bytes = b"ustar\x0000") -> bytes:
    """A tar header as it is written, right or wrong, with a right checksum."""
    block = bytearray(512)
    block[0 : len(name)] = name
    block[124 : 124 + len(size)] = size
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[257 : 257 + len(magic)] = magic
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(content: bytes) -> bytes:
    """``content`` as a tar holds it."""
    return content + bytes(-len(content) % 512)


END = bytes(1024)
"""The mark that ends a .tar."""

PACKERS = {
    ".zip": zip_of,
    ".tar": tar_of,
    ".tar.gz": lambda entries: gzip.compress(tar_of(entries)),
    ".tgz": lambda entries: gzip.compress(tar_of(entries)),
    ".gz": lambda entries: gzip.compress(tar_of(entries, tarfile.GNU_FORMAT)),
    ".bz2": lambda entries: bz2.compress(tar_of(entries, tarfile.USTAR_FORMAT)),
}
"""Ending → how to pack."""
