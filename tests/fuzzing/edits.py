"""How an input is changed so that more than its outermost layer is tried.

Each edit asks ``choose`` for whatever is open, which makes it serve hypothesis and libFuzzer alike.
"""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from tests.fuzzing.targets import PART

Choose = Callable[[Sequence[Any]], Any]
Edit = Callable[[bytes, Choose], bytes]

ODD: list[Any] = [
    *(None, True, False, 0, -1, 1, 7, 1.5, -0.0, 2**31, 2**63, -(2**63) - 1, 10**30, 1e308),
    *(float("nan"), float("inf"), "", " ", "x", "cat", "7", "1.0", "é", "\ud800", "a\0b", "a\nb"),
    *("..", "../x", "/etc/hostname", "C:\\x", "\\\\x", "a/../b", "x" * 300, "file:///x", "true"),
    *("2020-01-01", "2020-01-01T00:00:00Z", "12:00", "\u2028", "\u202e", "{}", "a.png"),
    *([], {}, [[]], [{}], [None], {"": None}, {"id": 0}, {"category_id": 1}, [{"category_id": 9}]),
    *({"file_name": "x"}, ["x", 1], [0.5, 0.5, 0.5]),
]
"""Values that readers trip over."""

ODD_BYTES = [b"", b"\0", b"\xff", b"\xff\xff\xff\xff", b"\x80", b"\n", b'"', b"{", b"[", b"}", b","]
ODD_BYTES += [
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\f",
    b"\r",
    b"\\",
    b"\x7f\xff\xff\xff",
    b"\1\0\0\0",
]
ODD_BYTES += [b"!!python/name:os.system", b"&a ", b"*a", b"<<: ", b"!!binary ", b"---\n", b"1e999"]


def edit_bytes(data: bytes, choose: Choose) -> bytes:
    """Overwrite, insert, drop or repeat a few bytes."""
    start = choose(range(len(data) + 1))
    length = choose((0, 1, 1, 2, 4, 8, 64, len(data)))
    piece = choose(
        (choose(ODD_BYTES), bytes([choose(range(256))]), data[start : start + length] * 2)
    )
    return data[:start] + piece + data[start + length :]


def edit_json(data: bytes, choose: Choose) -> bytes:
    """Change a value in a JSON document, or a line of JSON, of one of an input's files."""
    parts = data.split(PART)
    which = choose(range(len(parts)))
    whole = _parsed(parts[which])
    lines = [parts[which]] if whole is not None else parts[which].split(b"\n")
    number = choose(range(len(lines)))
    try:
        lines[number] = _edit_document(lines[number], choose)
    except RecursionError:  # it is as deep as Python writes
        lines[number] = edit_bytes(lines[number], choose)
    parts[which] = b"\n".join(lines)
    return PART.join(parts)


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _edit_document(text: bytes, choose: Choose) -> bytes:
    document = _parsed(text)
    places = list(_places(document))
    way = choose(("replace", "replace", "drop", "add", "copy", "twice", "beside", "deep", "bytes"))
    if way == "beside":
        return text + choose((b"", b" ", b",", b"\r", b"\0")) + text
    if not places or way == "bytes":
        return edit_bytes(text, choose)
    container, key = choose(places)
    if way == "replace":
        container[key] = choose(ODD)
    elif way == "drop":
        del container[key]
    elif way == "copy":
        container[key] = _value(*choose(places))
    elif way == "deep":
        for _ in range(choose((1, 10, 10, 60))):
            container[key] = [container[key]]
    elif isinstance(container, list):
        container.insert(choose(range(len(container) + 1)), choose((container[key], choose(ODD))))
    elif way == "twice":  # the same key once more, which a dict cannot hold
        name = json.dumps(key).encode()
        return text.replace(name, name + b": " + json.dumps(choose(ODD)).encode() + b", " + name, 1)
    else:
        container[choose((key, *_KEYS))] = choose(ODD)
    separators = choose(((", ", ": "), (",", ":"), (",\n", ":")))
    written = json.dumps(document, ensure_ascii=choose((True, False)), separators=separators)
    return written.encode("utf-8", "surrogatepass")


_KEYS = ["", "x", "a.b", "id", "file_name", "base_file_name", "coco_url", "image_info", "category"]
_KEYS += ["properties", "annotation_type", "categories", "name", "elementType", "caption", "note"]


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a document: what holds it, and under which key."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        container = waiting.pop()
        if isinstance(container, dict | list):
            keys = list(container) if isinstance(container, dict) else range(len(container))
            found += [(container, key) for key in keys]
            waiting += [container[key] for key in keys]
    return found


def _value(container: Any, key: Any) -> Any:
    return json.loads(json.dumps(container[key]))


def edit_image(data: bytes, choose: Choose) -> bytes:
    """Change an image's bytes; of a PNG a chunk, whose checksum is made right."""
    if not data.startswith(b"\x89PNG") or choose((True, False)):
        return edit_bytes(data, choose)
    chunks = []
    position = 8
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        kind, body = data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        chunks.append((kind, body))
        position += 12 + length
    if not chunks:
        return edit_bytes(data, choose)
    which = choose(range(len(chunks)))
    kind, body = chunks[which]
    if kind == b"IDAT" and choose((True, False)):
        try:
            body = zlib.compress(edit_bytes(zlib.decompressobj().decompress(body, 1 << 20), choose))
        except zlib.error:
            body = edit_bytes(body, choose)
    else:
        body = edit_bytes(body, choose)
    new = (
        choose((kind, kind, b"tRNS", b"PLTE", b"iCCP", b"eXIf", b"acTL", b"fcTL", b"zTXt")),
        body,
    )
    chunks[which : which + 1] = choose(([new], [new, chunks[which]]))
    written = [
        struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks
    ]
    return data[:8] + b"".join(written)


def edit_zip(data: bytes, choose: Choose) -> bytes:
    """Change an archive's bytes, or those of a member, whose checksum is made right."""
    members = _members(data) if data.startswith(b"PK") else []
    if not members or choose((True, False)):
        return edit_bytes(data, choose)
    which = choose(range(len(members)))
    name, content = members[which]
    if choose((True, True, False)):
        content = edit_bytes(content, choose)
    else:
        name = edit_bytes(name.encode(), choose).decode(errors="replace")
    members[which] = (name, content)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


def _members(data: bytes) -> list[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return [
                (i.filename, archive.read(i)) for i in archive.infolist() if i.file_size < 1 << 20
            ]
    except Exception:  # whatever zipfile raises of an archive that is damaged
        return []


EDITS: dict[str, Edit] = {
    "image": edit_image,
    "weights": edit_zip,
    "archive": edit_zip,
}
"""Target → how its inputs are changed; JSON, which is YAML too, where none is named."""
