"""The members of a tar stream, in constant memory.

``tarfile`` is for archives that one trusts: it keeps every header, reads headers of any size into
memory, takes a damaged one for the end of the archive, and in some versions never returns from
headers that are made for that.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

BLOCK = 512
CHUNK = 1 << 20
MAX_EXTENSION = 1 << 20
MAX_EXTENSIONS = 16
"""How large a header may be that extends another, and how many may extend one."""

MAX_PADDING = 16 << 20
"""How much may follow the end of an archive."""

_FOLDER = b"5"
_FILES = (b"0", b"\0", b"7")
_WITHOUT_CONTENT = (b"1", b"2", b"3", b"4", b"5", b"6")  # even if the header says a size
_OTHERS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a named pipe",
    b"S": "a sparse file",
}


class Stream(Protocol):
    """What a tar is read from."""

    def read(self, size: int, /) -> bytes:
        """Read ``size`` bytes, fewer only at the end."""


class DamagedArchiveError(Exception):
    """An archive is not one, is cut off or is damaged; the message says how."""


@dataclass(frozen=True)
class Member:
    """A file or folder in an archive.

    Attributes:
        name: its path; a stranger's, not checked.
        is_folder: whether it is a folder.
        other: what it is (``a symbolic link``), where it is neither folder nor file.
        size: bytes that it takes, unpacked, with what describes it.
        content: its bytes, in pieces of at most CHUNK.
    """

    name: str
    is_folder: bool
    other: str | None
    size: int
    content: Iterator[bytes]


def tar_members(stream: Stream) -> Iterator[Member]:
    """The members of a tar archive of any format (V7, ustar, GNU, pax), in their order.

    The content of a member can be read until the next is asked for.

    Raises:
        DamagedArchiveError: the stream is no tar archive, is cut off or is damaged.
    """
    extensions: list[tuple[bytes, bytes]] = []
    size_before = 0
    while (header := _header(stream)) is not None:
        kind, size = header[156:157], _number(header[124:136])
        if kind in b"xXgLK":
            if size > MAX_EXTENSION or len(extensions) == MAX_EXTENSIONS:
                raise DamagedArchiveError("a header is too large")
            extensions.append((kind, _exactly(stream, size)))
            _exactly(stream, -size % BLOCK)
            size_before += BLOCK + size
            continue
        records = {k: v for t, body in extensions if t in b"xX" for k, v in _records(body)}
        long_names = [body.split(b"\0", 1)[0] for t, body in extensions if t == b"L"]
        name = records.get(b"path") or (long_names or [_name(header)])[-1]
        is_folder = kind == _FOLDER or (kind in _FILES and name.endswith(b"/"))
        other = None if is_folder or kind in _FILES else _OTHERS.get(kind, f"of kind {kind!r}")
        if any(key.startswith(b"GNU.sparse.") for key in records):
            other = _OTHERS[b"S"]
        if b"size" in records:
            size = _decimal(records[b"size"])
        if kind in _WITHOUT_CONTENT:
            size = 0
        content = _content(stream, size)
        yield Member(os.fsdecode(name), is_folder, other, size_before + BLOCK + size, content)
        for _ in content:  # what was not read
            pass
        _exactly(stream, -size % BLOCK)
        extensions, size_before = [], 0
    for _ in range(MAX_PADDING // CHUNK):  # at the end of a compressed stream is its checksum
        if not stream.read(CHUNK):
            break


def _header(stream: Stream) -> bytes | None:
    """The next header; None at the mark that ends an archive."""
    header = _exactly(stream, BLOCK)
    if header == bytes(BLOCK):
        return None
    blank = header[:148] + b" " * 8 + header[156:]
    total, noted = sum(blank), _number(header[148:156])
    # Some old writers add the bytes as signed numbers.
    if noted != total and noted != total - 256 * sum(byte > 127 for byte in blank):
        raise DamagedArchiveError("a header is damaged, or it is no .tar")
    return header


def _name(header: bytes) -> bytes:
    name, prefix = (part.split(b"\0", 1)[0] for part in (header[:100], header[345:500]))
    return prefix + b"/" + name if prefix and header[257:263] == b"ustar\0" else name


def _number(field: bytes) -> int:
    """A number of a header: octal text, or binary with the first bit set."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    text = field.split(b"\0", 1)[0].strip(b" ")
    if not re.fullmatch(rb"[0-7]*", text):
        raise DamagedArchiveError("a header is damaged, or it is no .tar")
    return int(text or b"0", 8)


def _decimal(text: bytes) -> int:
    if not re.fullmatch(rb"[0-9]{1,19}", text):
        raise DamagedArchiveError("a pax header is damaged")
    return int(text)


def _records(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The records of a pax header: each its own length, a space, key=value and a line feed."""
    position = 0
    while position < len(body):
        digits = body[position : position + 20].split(b" ", 1)[0]
        end = position + _decimal(digits)
        key, equals, value = body[position + len(digits) + 1 : end - 1].partition(b"=")
        if not equals or body[end - 1 : end] != b"\n":
            raise DamagedArchiveError("a pax header is damaged")
        yield key, value
        position = end


def _content(stream: Stream, size: int) -> Iterator[bytes]:
    while size:
        chunk = _exactly(stream, min(size, CHUNK))
        yield chunk
        size -= len(chunk)


def _exactly(stream: Stream, size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise DamagedArchiveError("it is cut off")
    return content
