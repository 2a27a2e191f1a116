"""Hostile and damaged archives: each is refused in one line, and leaves nothing anywhere."""

import bz2
import gzip
import lzma
import random
import resource
import stat
import subprocess
import sys
import tarfile
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.archives import (
    END,
    GOOD,
    PACKERS,
    Entries,
    header,
    padded,
    png,
    tar_member,
    tar_of,
    tar_with,
    zip_member,
    zip_of,
    zip_with,
)
from tests.test_convert import convert
from train_pytorch_model.ports import archive

START = "InvalidDatasetError (0018): input_dataset: 'images'"

LEADS_OUT = "leads out of the archive"
CANNOT = "cannot be unpacked ("
CUT = CANNOT + "it is cut off"
NO_TAR = CANNOT + "a header is damaged, or it is no .tar"

Hostile = Callable[[Path], bytes]
"""A place outside the archive → an archive that would leave a mark there."""


def zipped(name: str) -> Hostile:
    """A zip with a member of this name beside good ones; ``OUTSIDE`` is a place outside."""
    return lambda outside: zip_of(GOOD | {name.replace("OUTSIDE", str(outside)): png()})


def tarred(name: str) -> Hostile:
    """A tar with a member of this name beside good ones."""
    return lambda outside: tar_of(GOOD | {name.replace("OUTSIDE", str(outside)): png()})


def replaced(entries: Entries, old: bytes, new: bytes) -> bytes:
    """A zip in which some bytes are others."""
    content = zip_of(entries, zipfile.ZIP_STORED)
    assert old in content
    return content.replace(old, new)


def zip_through_a_link(outside: Path) -> bytes:
    """A link that leads out, and a file below it."""
    link = zip_member("way", stat.S_IFLNK | 0o777)
    return zip_with([(link, str(outside).encode()), (zip_member("way/mark.png"), png())])


def tar_through_a_link(outside: Path) -> bytes:
    """A link that leads out, and a file below it."""
    link = tar_member("way", tarfile.SYMTYPE, linkname=str(outside))
    return tar_with([(link, b""), (tar_member("way/mark.png"), png())])


def special(kind: bytes, **known: object) -> Hostile:
    """A tar with a member that is no file."""
    return lambda _: tar_with([(tar_member("cat/mark.png", kind, **known), b"")])


def twice(first: str, second: str) -> bytes:
    """A zip of two files, whatever their names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of a name that comes again
        return zip_with([(zip_member(first), png(0)), (zip_member(second), png(1))])


def zip_field(offset: int, value: bytes, only_directory: bool = True) -> bytes:
    """A zip in whose directory (and headers) every entry has another value in a field."""
    content = bytearray(zip_of(GOOD, zipfile.ZIP_STORED))
    for magic, shift in ((b"PK\x01\x02", 0), (b"PK\x03\x04", -2)):
        position = content.find(magic)
        while position >= 0 and not (only_directory and shift):
            start = position + offset + shift
            content[start : start + len(value)] = value
            position = content.find(magic, position + 1)
    return bytes(content)


def overlapping() -> bytes:
    """A zip whose entries all are the first file: a small one can grow without end."""
    content = zip_field(42, bytes(4))
    for name in list(GOOD)[1:]:
        content = content.replace(name.encode(), next(iter(GOOD)).encode())
    return content


def tar_of_blocks(*blocks: bytes) -> bytes:
    """A tar as it is written, right or wrong."""
    return b"".join(blocks) + END


def extended(*records: bytes) -> bytes:
    """A tar of one image whose pax header has these records."""
    body = b"".join(records)
    return tar_of_blocks(
        header(b"x", b"x", b"%011o" % len(body)) + padded(body),
        header(b"cat/0.png", b"0", b"%011o" % len(png())) + padded(png()),
    )


def record(key: bytes, value: bytes) -> bytes:
    """A record of a pax header, of less than 100 bytes."""
    return b"%d %s=%s\n" % (len(key) + len(value) + 5, key, value)


TAR = tar_of(GOOD, tarfile.USTAR_FORMAT)
GZIPPED = gzip.compress(TAR, mtime=0)


@pytest.mark.parametrize(
    ("hostile", "expected"),
    [
        # names that lead out
        pytest.param(
            zipped("../mark.png"),
            LEADS_OUT,
            id="zip ..",
        ),
        pytest.param(zipped("cat/../../../mark.png"), LEADS_OUT, id="zip .. inside"),
        pytest.param(zipped("OUTSIDE/mark.png"), LEADS_OUT, id="zip absolute"),
        pytest.param(zipped("C:/mark.png"), LEADS_OUT, id="zip drive"),
        pytest.param(zipped("..\\mark.png"), LEADS_OUT, id="zip backslash"),
        pytest.param(zipped("\\mark.png"), LEADS_OUT, id="zip backslash root"),
        pytest.param(zipped("cat\\mark.png"), LEADS_OUT, id="zip backslash inside"),
        pytest.param(zipped("../"), LEADS_OUT, id="zip folder outside"),
        pytest.param(
            lambda _: replaced({"cat/xmark.png": png()}, b"/xmark", b"/\0mark"), LEADS_OUT, id="NUL"
        ),
        pytest.param(
            lambda _: replaced({"____________": png()}, b"_" * 12, b"../\xc3\xa9_____.x"),
            LEADS_OUT,
            id="zip .. in UTF-8",
        ),
        pytest.param(tarred("../mark.png"), LEADS_OUT, id="tar .."),
        pytest.param(tarred("OUTSIDE/mark.png"), LEADS_OUT, id="tar absolute"),
        pytest.param(tarred("cat/.."), LEADS_OUT, id="tar .. last"),
        pytest.param(tarred("OUTSIDE/" + "x" * 150 + "/mark.png"), LEADS_OUT, id="tar pax name"),
        pytest.param(
            lambda _: tar_of({"../" * 60 + "mark.png": png()}, tarfile.GNU_FORMAT),
            LEADS_OUT,
            id="tar GNU name",
        ),
        pytest.param(
            lambda outside: extended(record(b"path", bytes(outside) + b"/m.png")),
            LEADS_OUT,
            id="tar pax path",
        ),
        # what is no file
        pytest.param(zip_through_a_link, "'way' is a symbolic link", id="zip link"),
        pytest.param(
            lambda _: zip_with([(zip_member("mark", stat.S_IFIFO), b"")]),
            "'mark' is a device or a pipe",
            id="zip pipe",
        ),
        pytest.param(tar_through_a_link, "'way' is a symbolic link", id="tar link"),
        pytest.param(
            special(tarfile.LNKTYPE, linkname="/etc/passwd"), "is a hard link", id="tar hard link"
        ),
        pytest.param(
            special(tarfile.CHRTYPE, devmajor=1, devminor=5), "is a device", id="tar device"
        ),
        pytest.param(special(tarfile.BLKTYPE), "is a device", id="tar block device"),
        pytest.param(special(tarfile.FIFOTYPE), "is a named pipe", id="tar pipe"),
        pytest.param(special(tarfile.GNUTYPE_SPARSE), "is a sparse file", id="tar sparse"),
        pytest.param(
            lambda _: extended(record(b"GNU.sparse.major", b"1")), "is a sparse", id="pax sparse"
        ),
        pytest.param(special(b"V"), "is of kind b'V'", id="tar unknown"),
        # names that are taken
        pytest.param(lambda _: twice("cat/0.png", "cat/0.png"), "name of another", id="twice"),
        pytest.param(lambda _: twice("cat/0.png", "./cat//0.png"), "name of another", id="same"),
        pytest.param(lambda _: twice("cat", "cat/0.png"), "name of another", id="file, folder"),
        pytest.param(lambda _: twice("cat/0.png", "cat"), "name of another", id="folder, file"),
        pytest.param(lambda _: twice("a", "a/b/c.png"), "name of another", id="file, folders"),
        pytest.param(tarred("x" * 300), "a name that is too long", id="long name"),
        # what zips can be besides
        pytest.param(lambda _: zip_field(8, b"\x01\x00"), "is encrypted", id="encrypted"),
        pytest.param(
            lambda _: zip_of(GOOD, zipfile.ZIP_LZMA), "compressed by the method LZMA", id="LZMA"
        ),
        pytest.param(lambda _: zip_of(GOOD, zipfile.ZIP_BZIP2), "the method bzip2", id="bzip2"),
        pytest.param(lambda _: zip_field(10, b"\x63\x00"), "by the method 99", id="unknown"),
        pytest.param(lambda _: zip_field(24, b"\x09\x00\x00\x00"), CANNOT, id="size too small"),
        pytest.param(lambda _: zip_field(24, b"\xff\xff\x00\x00"), CANNOT, id="size too large"),
        pytest.param(
            lambda _: zip_field(20, b"\xff\xff\x00\x00"), CANNOT, id="packed size too large"
        ),
        pytest.param(lambda _: zip_field(42, b"\x07\x00\x00\x00"), CANNOT, id="wrong offset"),
        pytest.param(lambda _: overlapping(), CANNOT + "its files overlap", id="overlapping"),
        pytest.param(
            lambda _: replaced(GOOD, png(0)[-20:-12], b"CHANGED!"), "Bad CRC-32", id="checksum"
        ),
        pytest.param(
            lambda _: zip_of(GOOD).replace(b"cat/0", b"bat/0", 1), "differ", id="two names"
        ),
        pytest.param(lambda _: zip_of(GOOD)[:-30], CANNOT, id="zip without its end"),
        pytest.param(lambda _: zip_of(GOOD)[-300:], CANNOT, id="zip without its start"),
        pytest.param(lambda _: zip_of(GOOD)[:300], CANNOT, id="half a zip"),
        pytest.param(
            lambda _: zip_field(8, b"\x00\x08").replace(b"cat/", b"c\xfft/"), CANNOT, id="no UTF-8"
        ),
        # what tars can be besides
        pytest.param(lambda _: TAR[:600], CUT, id="tar cut in a file"),
        pytest.param(lambda _: TAR[:1024], CUT, id="tar cut between files"),
        pytest.param(lambda _: TAR[:1400], CUT, id="tar cut in a header"),
        pytest.param(
            lambda _: TAR.replace(b"cat/1.png", b"cat/9.png"), NO_TAR, id="tar header damaged"
        ),
        pytest.param(
            lambda _: tar_of_blocks(header(b"a.png", b"0", b"\xff" * 12)), NO_TAR, id="negative"
        ),
        pytest.param(
            lambda _: tar_of_blocks(header(b"a.png", b"0", b"12_3")), NO_TAR, id="no number"
        ),
        pytest.param(
            lambda _: tar_of_blocks(header(b"a.png", b"0", b"\x80" + b"\xff" * 11)),
            "holds more than",
            id="tar huge",
        ),
        pytest.param(lambda _: extended(record(b"size", b"9" * 19)), "holds more", id="pax huge"),
        pytest.param(
            lambda _: extended(record(b"size", b"-1")), "pax header is", id="pax negative"
        ),
        pytest.param(lambda _: extended(b"0 path=x\n"), "pax header is damaged", id="pax loop"),
        pytest.param(lambda _: extended(b"99 path=x\n"), "pax header is damaged", id="pax long"),
        pytest.param(lambda _: extended(b"9 path\nxx"), "pax header is damaged", id="pax key"),
        pytest.param(lambda _: extended(b"1" * 500), "pax header is damaged", id="pax digits"),
        pytest.param(
            lambda _: tar_of_blocks(header(b"x", b"x", b"77777777777")),
            "a header is too large",
            id="pax header huge",
        ),
        pytest.param(
            lambda _: tar_of_blocks(*[header(b"x", b"L", b"0")] * 17),
            "a header is too large",
            id="headers of headers",
        ),
        # what is compressed
        pytest.param(lambda _: GZIPPED[:-30], CANNOT, id="gzip cut"),
        pytest.param(lambda _: GZIPPED[:40] + b"xx" + GZIPPED[42:], CANNOT, id="gzip damaged"),
        pytest.param(lambda _: bz2.compress(TAR)[:-30], CANNOT, id="bzip2 cut"),
        pytest.param(lambda _: b"BZh9" + bytes(99), CANNOT, id="no bzip2"),
        pytest.param(lambda _: lzma.compress(TAR), CANNOT, id="xz"),
        pytest.param(lambda _: gzip.compress(png()), CUT, id="an image in gzip"),
        pytest.param(lambda _: gzip.compress(zip_of(GOOD)), NO_TAR, id="a zip in gzip"),
        pytest.param(lambda _: b"", CUT, id="nothing"),
        pytest.param(lambda _: b"PK", CANNOT, id="only the magic"),
        pytest.param(lambda _: png() * 9, NO_TAR, id="an image"),
    ],
)
def test_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    hostile: Hostile,
    expected: str,
) -> None:
    """What it is, in one line; no file is new, outside or in the temporary folder."""
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "images").write_bytes(hostile(outside))
    before = sorted(tmp_path.rglob("*"))
    assert convert(tmp_path / "images", tmp_path / "out") == 1
    err = capsys.readouterr().err
    assert err.startswith(START)
    assert len(err.splitlines()) == 1
    assert expected in err
    assert sorted(tmp_path.rglob("*")) == before


def test_all_that_is_wrong_is_told_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """How many there are, and the first ten."""
    (tmp_path / "images").write_bytes(zip_of(GOOD | {f"../{i}.png": png() for i in range(30)}))
    assert convert(tmp_path / "images", tmp_path / "out") == 1
    err = capsys.readouterr().err
    assert "holds what is not unpacked, 30 problems: '../0.png' leads" in err
    assert "… and 20 more" in err


@pytest.mark.parametrize(
    ("limit", "value", "expected"),
    [
        pytest.param("ALWAYS_ALLOWED", 9000, "holds more than 9,000 bytes", id="bytes"),
        pytest.param("MAX_MEMBERS", 2, "bytes or 2 files", id="files"),
        pytest.param("SHARE_OF_FREE_SPACE", 0, "for which there is no space", id="free space"),
        pytest.param("MAX_INDEX", 100, "its index is larger than 100 bytes", id="index"),
    ],
)
def test_limits(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    limit: str,
    value: int,
    expected: str,
) -> None:
    """Each ends the unpacking; they are lowered here, to be reached."""
    monkeypatch.setattr(archive, "MAX_RATIO", 1)
    monkeypatch.setattr(archive, limit, value)
    (tmp_path / "images").write_bytes(zip_of(GOOD))
    assert convert(tmp_path / "images", tmp_path / "out") == 1
    err = capsys.readouterr().err
    assert err.startswith(START)
    assert expected in err


ZEROS = 48 << 20


def gzipped_zeros(before: bytes) -> bytes:
    """``before`` and then zeros, compressed a thousand times."""
    return gzip.compress(before + bytes(ZEROS), 1)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(lambda: zip_of(GOOD | {"cat/z.bmp": bytes(ZEROS)}), 0, id="zip"),
        pytest.param(
            lambda: bz2.compress(tar_of(GOOD | {"cat/z.bmp": bytes(ZEROS)})), 0, id="bzip2"
        ),
        pytest.param(
            lambda: gzip.compress(tar_of(GOOD | {"__MACOSX/z": bytes(ZEROS)})), 0, id="passed over"
        ),
        pytest.param(
            lambda: gzipped_zeros(header(b"x", b"x", b"%011o" % ZEROS)), 1, id="pax header"
        ),
        pytest.param(
            lambda: gzipped_zeros(header(b"x", b"L", b"\x80" + bytes(10) + b"\xff")), 1, id="name"
        ),
    ],
)
def test_memory_is_bounded(tmp_path: Path, content: Callable[[], bytes], code: int) -> None:
    """Whatever a member's size is: 48 MiB of zeros are in memory nowhere."""
    (tmp_path / "images").write_bytes(content())
    convert(tmp_path / "nothing", tmp_path / "out")  # imports what it needs
    tracemalloc.start()
    try:
        assert convert(tmp_path / "images", tmp_path / "out") == code
        assert tracemalloc.get_traced_memory()[1] < 24 << 20
    finally:
        tracemalloc.stop()


def test_a_full_disk(tmp_path: Path) -> None:
    """Is told as what it is."""
    (tmp_path / "images").write_bytes(zip_of(GOOD | {"cat/z.bmp": bytes(1 << 20)}))
    module = "train_pytorch_model.companions.convert_to_image_directory"
    words = ("--input_path", str(tmp_path / "images"), "--output_path", str(tmp_path / "out"))
    result = subprocess.run(
        [sys.executable, "-m", module, *words],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, 1 << 19)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.startswith(START + " cannot be unpacked into '")
    assert "(File too large)" in result.stderr
    assert not (tmp_path / "out").exists()


def test_several_archives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It cannot be said which is meant; a link that leads out is none to open."""
    for name in ("a.zip", "b.tar.gz"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(zip_of(GOOD))
    assert convert(tmp_path / "in", tmp_path / "out") == 1
    assert "found 2 archives" in capsys.readouterr().err
    (tmp_path / "in" / "a.zip").rename(tmp_path / "outside.zip")
    (tmp_path / "in" / "b.tar.gz").unlink()
    (tmp_path / "in" / "a.zip").symlink_to("../outside.zip")
    assert convert(tmp_path / "in", tmp_path / "out") == 1
    assert "(a link leads out of the directory)" in capsys.readouterr().err


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tar.gz", ".bz2"])
def test_damage_anywhere(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ending: str,
) -> None:
    """Is an error of one line, or does no harm; never a traceback, and nothing is left."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    good = PACKERS[ending](GOOD)
    numbers = random.Random(ending)
    codes = set()
    for turn in range(100):
        content = bytearray(good)
        for _ in range(numbers.randint(1, 4)):
            # Headers lie at the start and, in a zip, at the end.
            position = int(len(content) * numbers.betavariate(0.3, 0.3))
            content[position % len(content)] = numbers.choice((0, 1, 0x7F, 0x80, 0xFF, 0x2F))
        (tmp_path / "images").write_bytes(
            content[: numbers.choice((None, None, -numbers.randint(1, 99)))]
        )
        codes.add(convert(tmp_path / "images", tmp_path / str(turn)))
        err = capsys.readouterr().err
        assert len(err.splitlines()) == (not (tmp_path / str(turn)).exists())
        assert sorted(p.name for p in tmp_path.iterdir() if not p.name.isdigit()) == [
            "images",
            "temporary",
        ]
        assert list((tmp_path / "temporary").iterdir()) == []
    assert 1 in codes
