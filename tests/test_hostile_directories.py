"""Directories that a stranger made to do harm: what they try would leave a mark if it worked.

Each is given to the front door. It is refused in one line, at once, in bounded memory; no file
named ``mark`` appears, and nothing outside of the directory is read.
"""

import functools
import io
import json
import os
import pickle
import pickletools
import re
import shutil
import socket
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import Arguments, Run, class_folders, picture, refused
from tests.loading import load
from tests.test_damaged_images import columns, in_turn, lines, meta, put
from tests.test_image_directory import categories_of, coco_of, describe, rows_of, schema_of
from tests.test_model_directory import file_with, spec_with, weights
from train_pytorch_model.ports.image_directory import read_image_directory
from train_pytorch_model.ports.paths import is_safe_name, read_inside

ROOT = Path(__file__).parent.parent

Damage = Callable[[Path], object]

NAMES_OUT = {
    # names of files that lead out of a directory, here or on another system
    "up": "../secret.png",
    "up later": "image/../../secret.png",
    "up at the end": "image/..",
    "absolute": "/etc/hostname",
    "NUL": "image/0.png\0.txt",
    "drive": "C:\\secret.png",
    "drive without root": "c:secret.png",
    "drive with slashes": "C:/secret.png",
    "UNC": "\\\\server\\share\\secret.png",
    "UNC with slashes": "//server/share/secret.png",
    "device of Windows": "\\\\.\\PhysicalDrive0",
    "backslash up": "..\\secret.png",
    "backslash up later": "image\\..\\..\\secret.png",
    "mixed": "image/..\\../secret.png",
    "empty": "",
}


@pytest.fixture
def mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that code of a directory would make; it is named absolutely and relatively."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mark"


def at_once(run: Run, arguments: Arguments, changes: Mapping[str, object], start: str) -> str:
    """``refused``, within a few seconds."""
    begin = time.monotonic()
    line = refused(run, arguments, changes, start)
    assert time.monotonic() - begin < 20
    assert len(line) < 3000
    return line


@pytest.mark.parametrize("what", NAMES_OUT)
def test_names_that_lead_out(tmp_path: Path, what: str) -> None:
    """Are told by themselves, before a file is looked for."""
    name = NAMES_OUT[what]
    assert not is_safe_name(name)
    (tmp_path / "secret.png").write_bytes(b"secret")
    (tmp_path / "d/image").mkdir(parents=True)
    with pytest.raises(OSError, match="its path leaves the directory"):
        read_inside(tmp_path / "d", name, 100)


# --- model directories ---


def os_system(protocol: int) -> bytes:
    """A pickle that runs a command when it is loaded."""

    class Command:
        def __reduce__(self) -> tuple[object, ...]:
            return os.system, ("touch mark",)

    return pickle.dumps({"model.fc.weight": Command()}, protocol)


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip as PyTorch writes them."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(f"archive/{name}", content)
    return file.getvalue()


def state(pickled: bytes, **members: bytes) -> bytes:
    """A file of weights with this pickle."""
    others = {"byteorder": b"little", "version": b"3\n"}
    return zipped({"data.pkl": pickled, **others, **members})


def legacy(pickled: bytes) -> bytes:
    """A file of weights as PyTorch wrote them before it wrote zips."""
    head = (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True})
    first = b"".join(pickle.dumps(part, 2) for part in head)
    return first + pickled + pickle.dumps([], 2)


def tar_of_pickles() -> bytes:
    """A file of weights as PyTorch wrote them at first."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in ("storages", "tensors", "pickle"):
            info = tarfile.TarInfo(name)
            info.size = len(os_system(2))
            archive.addfile(info, io.BytesIO(os_system(2)))
    return file.getvalue()


def doubled_tuples(times: int) -> bytes:
    """A key of two keys, each of two keys, …: as a key of a dict it takes 2**times steps."""
    layers = b"".join(b"h%c\x86q%c" % (i, i + 1) for i in range(times))
    return b"\x80\x02})q\x00" + layers + b"Ns."


def saved(value: object, **options: object) -> bytes:
    """What ``torch.save`` writes."""
    file = io.BytesIO()
    torch.save(value, file, **options)  # type: ignore[arg-type]  # its options are named
    return file.getvalue()


def two_indices() -> bytes:
    """A zip in which Python's reader finds stored files, and PyTorch's compressed ones."""
    small, large = zipped({"data.pkl": b"x"}), zipped({"data.pkl": bytes(1 << 20)}, 8)
    end = zipfile.ZipFile(io.BytesIO(small)).start_dir
    start = zipfile.ZipFile(io.BytesIO(large)).start_dir
    index = large[start:-22]
    own = small[end:-22]
    assert len(own) == len(index)
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(index), start, 0)
    return large[:start] + index + own + tail


def overlapping() -> bytes:
    """A zip of a thousand files that are one."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", b"x" * 100_000)
        for number in range(1000):
            info = zipfile.ZipInfo(f"archive/data/{number}")
            first = archive.infolist()[0]
            info.file_size, info.compress_size = first.file_size, first.compress_size
            info.CRC, info.header_offset = first.CRC, 0
            archive.filelist.append(info)
    return file.getvalue()


def huge_index() -> bytes:
    """A zip of a little more than all that an index of weights may take."""
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", *[0] * 9, 1, *[0] * 6) + b"x"
    count = (17 << 20) // len(entry)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, count * len(entry), 4, 0)
    return b"PK\3\4" + entry * count + end


def pickle_before_a_zip() -> bytes:
    """A zip by its end, as Python sees it; PyTorch looks at the beginning, and unpickles that."""
    file = io.BytesIO(doubled_tuples(60))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("archive/version", "3\n")
    return file.getvalue()


def zip_before_pickles() -> bytes:
    """A zip by its beginning, as PyTorch sees it; by its end it is none."""
    large = zipped({"data.pkl": bytes(1 << 20)}, 8)
    return b"PK\3\4\x0a.N.N.N.N." + large + b"PK\5\6"


def claimed_without_keys() -> bytes:
    """A legacy file whose pickle claims 2**28 values, and which says that it holds none."""
    content = io.BytesIO(saved({"x": torch.zeros(4)}, _use_new_zipfile_serialization=False))
    pickles = []
    for _ in range(5):
        start = content.tell()
        for _ in pickletools.genops(content):
            pass  # up to the end of one
        pickles.append(content.getvalue()[start : content.tell()])
    before = pickles[3]
    pickles[3] = before.replace(b"K\x04N", b"J" + struct.pack("<i", 1 << 28) + b"N", 1)
    assert pickles[3] != before
    return b"".join(pickles[:4]) + pickle.dumps([], 2)


def claimed(number: int) -> bytes:
    """A zip whose pickle claims that a storage has this many values."""
    content = saved({"x": torch.zeros(4)})
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}
    before = members["data.pkl"]
    members["data.pkl"] = before.replace(b"K\x04tq", b"J" + struct.pack("<i", number) + b"tq", 1)
    assert members["data.pkl"] != before
    return zipped(members)


def weights_of(make: Callable[[], bytes]) -> Damage:
    """Damage to the file of weights, made when it is needed."""
    return lambda path: (path / "model").write_bytes(make())


def instead_of_weights(make: Callable[[Path], object]) -> Damage:
    """Something that is no file in the place of the weights."""
    return in_turn(lambda path: (path / "model").unlink(), lambda path: make(path / "model"))


def a_socket(path: Path) -> None:
    """A socket in the file system."""
    with socket.socket(socket.AF_UNIX) as endpoint:
        before = Path.cwd()
        os.chdir(path.parent)  # the names of sockets are short
        try:
            endpoint.bind(path.name)
        finally:
            os.chdir(before)


def labels(content: str) -> Damage:
    """A file of labels."""
    return in_turn(
        spec_with(lambda spec: spec.update(label_map_file="l.csv")),
        file_with("l.csv", content.encode()),
    )


def spec_line(text: str) -> Damage:
    """A line more in the spec."""
    return lambda path: (path / "model_spec.yaml").write_text(
        (path / "model_spec.yaml").read_text() + text
    )


def outside_link(name: str) -> Damage:
    """A file that is a link to a good copy of itself outside of the directory."""

    def damage(path: Path) -> None:
        outside = path.parent / "outside"
        (path / name).rename(outside)
        (path / name).symlink_to(outside)

    return damage


MODELS: dict[str, tuple[Damage, str]] = {
    # what is tried: (the damage, a part of the message)
    **{
        f"pickle {protocol}": (weights_of(lambda p=protocol: os_system(p)), "not a state dict")
        for protocol in range(5)
    },
    "pickle in a zip": (weights_of(lambda: state(os_system(2))), "names 'posix system'"),
    "pickle in capitals": (
        weights_of(lambda: zipped({"DATA.PKL": os_system(2), "version": b"3\n"})),
        "names 'posix system'",
    ),
    "pickle beside the pickle": (
        weights_of(lambda: state(pickle.dumps({}, 2), **{"constants.pkl": os_system(2)})),
        "names 'posix system'",
    ),
    "legacy pickle": (weights_of(lambda: legacy(os_system(2))), "names 'posix system'"),
    "tar of pickles": (weights_of(tar_of_pickles), "not a state dict"),
    "text pickle": (weights_of(lambda: b"cos\nsystem\n(S'touch mark'\ntR."), "not a state dict"),
    "eval": (
        weights_of(lambda: state(b"\x80\x02cbuiltins\neval\nX\x04\0\0\x001+1.\x85R.")),
        "names 'builtins eval'",
    ),
    "attribute of torch": (
        weights_of(lambda: state(b"\x80\x02ctorch\nserialization.os.system\n.")),
        "names 'torch serialization.os.system'",
    ),
    "torch.load in torch.load": (
        weights_of(lambda: state(b"\x80\x02ctorch.hub\nload\n.")),
        "names 'torch.hub load'",
    ),
    "numpy": (
        weights_of(lambda: saved({"model.fc.weight": np.zeros(2)})),
        "_reconstruct'",
    ),
    "memory": (
        weights_of(lambda: state(b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R.")),
        "names '__builtin__ bytearray'",
    ),
    "sparse": (
        weights_of(lambda: saved({"model.fc.weight": torch.zeros(2, 2).to_sparse()})),
        "_rebuild_sparse_tensor'",
    ),
    "doubled tuples": (weights_of(lambda: state(doubled_tuples(60))), "holds a tuple twice"),
    "deep tuples": (
        weights_of(lambda: state(b"\x80\x02})" + b"\x85" * 1_000_000 + b"Ns.")),
        "more than 10 tuples in one another",
    ),
    "pickle before a zip": (weights_of(pickle_before_a_zip), "holds a tuple twice"),
    "zip before pickles": (
        weights_of(zip_before_pickles),
        "its index is not where PyTorch puts it",
    ),
    "storage made of a number": (
        weights_of(lambda: state(b"\x80\x02ctorch.storage\nTypedStorage\nJ\xff\xff\xff\x7f\x85R.")),
        "names 'torch.storage TypedStorage'",
    ),
    "claims without keys": (
        weights_of(claimed_without_keys),
        "claims more values than it holds",
    ),
    "huge storage": (weights_of(lambda: claimed(2**31 - 1)), "not a state dict"),
    "compressed": (
        weights_of(lambda: zipped({"data.pkl": pickle.dumps({}, 2), "data/0": bytes(1 << 24)}, 8)),
        "its content is compressed",
    ),
    "overlapping": (weights_of(overlapping), "its content is compressed"),
    "two indices": (weights_of(two_indices), "its index is not where PyTorch puts it"),
    "index after a comment": (
        weights_of(lambda: state(pickle.dumps({}, 2)) + b"comment"),
        "its index is not where PyTorch puts it",
    ),
    "huge index": (weights_of(huge_index), "its index is larger than 16,777,216 bytes"),
    "pipe": (instead_of_weights(os.mkfifo), "it is not a regular file"),
    "folder": (instead_of_weights(Path.mkdir), "it is not a regular file"),
    "socket": (instead_of_weights(a_socket), "'model' cannot be read"),
    "endless device": (
        instead_of_weights(lambda path: path.symlink_to("/dev/zero")),
        "a link leads out of the directory",
    ),
    **{
        f"link as {name}": (outside_link(name), f"'{name}' cannot be read (a link leads out")
        for name in ("model", "model_spec.yaml", "_meta.yaml")
    },
    "YAML that runs": (
        spec_line("x: !!python/object/apply:os.system ['touch mark']\n"),
        "is not YAML (ConstructorError)",
    ),
    "YAML that imports": (spec_line("x: !!python/module:antigravity\n"), "is not YAML (Constr"),
    "YAML that makes": (
        spec_line("x: !!python/object/new:subprocess.Popen [[touch, mark]]\n"),
        "is not YAML (ConstructorError)",
    ),
    "YAML of levels": (spec_line(f"x: {'[' * 60}{']' * 60}\n"), "more than 50 levels"),
    "YAML of aliases": (
        spec_line(f"x: &x 1\ny: [{'*x,' * 101}]\n"),
        "more than 100 aliases",
    ),
    "YAML of values": (spec_line(f"x: [{'1,' * 30_000}]\n"), "more than 20,000 values"),
    "YAML of digits": (spec_line(f"x: 0x{'f' * 10_000}\n"), "a number of more than 100 char"),
    "YAML of minutes": (spec_line(f"x: 1{':59' * 50_000}\n"), "a number of more than 100 char"),
    "module of ours": (
        spec_with(
            lambda s: s["flavor_extras"].update(
                {"module": "train_pytorch_model.cli", "class": "main"}
            )
        ),
        "found the class 'main' in 'train_pytorch_model.cli'",
    ),
    "name of torchvision": (
        spec_with(lambda s: s["flavor_extras"]["init_params"].update(model_name="get_model")),
        "found 'get_model' for ResNet",
    ),
    "parameter of torchvision": (
        spec_with(lambda s: s["flavor_extras"]["init_params"].update(norm_layer=True)),
        "parameters ['norm_layer']",
    ),
    "huge label": (labels(",label\n0,a\n999999999999,b\n"), "its indices are not different"),
    "label below 0": (labels(",label\n-1,a\n"), "its indices are not different numbers from 0"),
    "label of digits": (labels(f",label\n{'9' * 9000},a\n"), "not a table of an index and a"),
    "many labels": (labels(",label\n" + "0,a\n" * 3_000_000), "it has more than 100,000 rows"),
    **{
        f"weights {what}": (
            spec_with(lambda s, name=name: s.update(model_file=name)),
            "its path leaves the directory" if name else "model_file is ''",
        )
        for what, name in NAMES_OUT.items()
    },
    "labels on a server": (
        spec_with(lambda s: s.update(label_map_file="\\\\server\\share\\l.csv")),
        "its path leaves the directory",
    ),
}


@pytest.mark.parametrize("what", MODELS)
def test_hostile_models(
    run: Run, arguments: Arguments, tmp_path: Path, mark: Path, resnet18: Path, what: str
) -> None:
    """Nothing is executed, imported, looked up outside or unpacked."""
    path = tmp_path / "hostile"
    shutil.copytree(resnet18, path)
    damage, expected = MODELS[what]
    damage(path)
    start = "InvalidModelDirectoryError (0159): untrained_model: "
    line = at_once(run, arguments, {"--untrained-model-path": path}, start)
    assert expected in line
    assert not mark.exists()


def test_the_payload_would_work(mark: Path) -> None:
    """What the tests above look for is what a careless reader gets."""
    pickle.loads(os_system(2))
    assert mark.exists()


def test_good_weights_still_load(
    run: Run, arguments: Arguments, tmp_path: Path, resnet18: Path
) -> None:
    """In every form in which PyTorch has written state dicts that are weights."""
    path = tmp_path / "model"
    shutil.copytree(resnet18, path)
    good = weights(path)
    for number, content in enumerate(
        (
            saved({name: torch.nn.Parameter(t, requires_grad=False) for name, t in good.items()}),
            saved({name: t.half() if t.dtype == torch.float32 else t for name, t in good.items()}),
            saved(good, _use_new_zipfile_serialization=False),
        )
    ):
        (path / "model").write_bytes(content)
        output = tmp_path / f"out{number}"
        code, err = run({"--untrained-model-path": path, "--trained-model-path": output})
        assert code == 0, err


# --- image directories ---


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """An ImageDirectory with metadata, beside a picture that is none of its business."""
    labels = ["cat", "dog"] * 4
    (tmp_path / "data/image").mkdir(parents=True)
    for number in range(len(labels)):
        picture(number, size=8).save(tmp_path / f"data/image/{number}.png")
    picture(0, size=8).save(tmp_path / "secret.png")
    return describe(tmp_path / "data", rows_of(labels), schema_of(categories_of("cat", "dog")))


def listed(name: str) -> Damage:
    """A second image of this name."""
    rows = rows_of(["cat", "dog"] * 4)
    rows[1]["image_info"] = {"file_name": name}
    return put("images.lst", "".join(json.dumps(row) + "\n" for row in rows))


def annotated(name: str) -> Damage:
    """COCO with an image of this name."""
    document = coco_of({"a.png": 1, name: 2}, categories_of("cat", "dog", ids=(1, 2)))

    def damage(root: Path) -> None:
        for file in ("_meta.yaml", "images.lst", "_schema.json"):
            (root / file).unlink()
        (root / "annotations.json").write_text(json.dumps(document))

    return damage


def column_bomb(count: int) -> Damage:
    """A schema of this many columns more."""
    more = [{"name": f"c{i}", "elementType": {"typeName": "int64"}} for i in range(count)]
    return columns(lambda c: c.extend(more))


def raw_schema(text: str) -> Damage:
    """A schema with this as its categories."""
    schema = json.dumps(schema_of([]))
    return put("_schema.json", schema.replace('"categories": []', f'"categories": {text}'))


def deep(levels: int) -> str:
    """Lists in one another."""
    return "[" * levels + "]" * levels


DIRECTORIES: dict[str, tuple[Damage, str]] = {
    # what is tried: (the damage, a part of the message)
    **{
        f"list names {what}": (listed(name), "outside the directory")
        for what, name in NAMES_OUT.items()
    },
    **{
        f"COCO names {what}": (annotated(name), "outside the directory")
        for what, name in NAMES_OUT.items()
    },
    **{
        f"meta names {what}": (meta(image_list=name), "cannot be read")
        for what, name in NAMES_OUT.items()
    },
    "meta that runs": (
        put("_meta.yaml", "type: !!python/object/apply:os.system ['touch mark']"),
        "_meta.yaml is not YAML",
    ),
    **{
        f"link as {name}": (outside_link(name), "a link leads out of the directory")
        for name in ("_meta.yaml", "_schema.json", "images.lst")
    },
    **{
        f"{kind} as {name}": (
            in_turn(
                lambda root, name=name: (root / name).unlink(),
                lambda root, name=name, make=make: make(root / name),
            ),
            f"{name}' cannot be read",
        )
        for name in ("_meta.yaml", "_schema.json", "images.lst")
        for kind, make in (("pipe", os.mkfifo), ("socket", a_socket), ("folder", Path.mkdir))
    },
    "deep schema": (raw_schema(deep(400)), "more than 200 levels"),
    "deeper schema": (raw_schema(deep(100_000)), "more than 200 levels"),
    "deep line": (lines(f'{{"image_info":{{"file_name":"a"}},"id":{deep(400)}}}'), "is not JSON"),
    "digits in a line": (
        lines(f'{{"image_info":{{"file_name":"a"}},"id":{"9" * 9000}}}'),
        "is not JSON",
    ),
    "digits in a schema": (
        raw_schema(f'[{{"id":{"9" * 4000},"name":"x"}}]'),
        "has an id that is not",
    ),
    "NaN in a schema": (raw_schema('[{"id":NaN,"name":"x"}]'), "has not an integer id"),
    "infinity in a schema": (raw_schema('[{"id":1e999,"name":"x"}]'), "has not an integer id"),
    "columns": (column_bomb(10_000), "declares 10,003 columns, expected at most 1,000"),
    "columns without names": (
        put("_schema.json", '{"columnAttributes":[' + "{}," * 5_000_000 + "{}]}"),
        "declares 5,000,001 columns",
    ),
    "cells": (
        in_turn(
            column_bomb(900), put("images.lst", '{"image_info":{"file_name":"a"}}\n' * 400_000)
        ),
        "400,001 lines of 902 columns",
    ),
    "a path of 100 folders": (listed("a/" * 100 + "x.png"), "or too deep"),
    "a path of 500,000 folders": (listed("a/" * 500_000 + "x.png"), "or too deep"),
    "a long path": (listed("a" * 5_000), "or too deep"),
    "COCO names 500,000 folders": (annotated("a/" * 500_000 + "x.png"), "or too deep"),
    "meta names 500,000 folders": (
        meta(image_list="a/" * 500_000 + "x"),
        "its path is too long",
    ),
    "a line of 100 MB": (
        lines('{"image_info":{"file_name":"' + "a" * 100_000_000 + '"}}'),
        "a line of more than 67,108,864 bytes",
    ),
    "categories": (raw_schema('[{"id":99999999,"name":"x"}]'), "has an id that is not from 0"),
}


@pytest.mark.parametrize("what", DIRECTORIES)
def test_hostile_image_directories(
    run: Run, arguments: Arguments, good: Path, mark: Path, what: str
) -> None:
    """Before an image is opened."""
    damage, expected = DIRECTORIES[what]
    damage(good)
    start = "InvalidDatasetError (0018): training_dataset: "
    line = at_once(run, arguments, {"--train-data-path": good}, start)
    assert expected in line
    assert not mark.exists()


def test_json_that_is_almost_too_deep_trains(run: Run, good: Path) -> None:
    """What is read can be written again, after the training."""
    document = json.loads((good / "_schema.json").read_text())
    (good / "_schema.json").write_text(json.dumps(document)[:-1] + f', "x": {deep(190)}}}')
    rows = (good / "images.lst").read_text().splitlines()
    rows[0] = rows[0][:-1] + f', "extra": {deep(190)}}}'
    (good / "images.lst").write_text("\n".join(rows))
    code, err = run({"--train-data-path": good, "--valid-data-path": good})
    assert code == 0, err


def png(*chunks: tuple[bytes, bytes], size: tuple[int, int] = (8, 8)) -> bytes:
    """A black PNG with chunks more."""
    width, height = size
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes((1 + 3 * width) * height)) if width < 10_000 else b""
    parts = [(b"IHDR", header), *chunks, (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )


@functools.cache
def zeros() -> bytes:
    """256 MB of zeros, compressed to as many KB."""
    packer = zlib.compressobj(1)
    return b"".join(packer.compress(bytes(1 << 24)) for _ in range(16)) + packer.flush()


def webp(width: int, height: int) -> bytes:
    """A lossless WebP of one colour: 34 bytes, whatever its size."""
    file = io.BytesIO()
    picture(0, size=1).save(file, "WEBP", lossless=True)
    content = bytearray(file.getvalue())
    position = content.index(b"VP8L") + 9
    (bits,) = struct.unpack_from("<I", content, position)
    sizes = (width - 1) | (height - 1) << 14
    struct.pack_into("<I", content, position, bits & ~0xFFFFFFF | sizes)
    return bytes(content)


def tiff(width: int, height: int) -> bytes:
    """A TIFF whose header says this size, with a row of data."""
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1)]
    tags += [(278, height), (279, 10)]
    entries = b"".join(struct.pack("<HHLL", tag, 4, 1, value) for tag, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<L", 20) + bytes(12) + directory


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    # an image: (how it is made, why it is unreadable)
    "PNG of pixels": (lambda: png(size=(60_000, 60_000)), "exceeds limit of 178956970 pixels"),
    "PNG of text": (lambda: png((b"zTXt", b"a\0\0" + zeros())), "too large"),
    "PNG of a profile": (lambda: png((b"iCCP", b"a\0\0" + zeros())), "too large"),
    "PNG of texts": (
        lambda: png(*[(b"zTXt", b"a\0\0" + zlib.compress(bytes(50 << 20), 1))] * 20),
        "Too much memory used in text chunks",
    ),
    "WebP": (lambda: webp(16383, 16383), "exceeds limit of 178956970 pixels"),
    "TIFF": (lambda: tiff(60_000, 60_000), "exceeds limit of 178956970 pixels"),
    "BMP": (
        lambda: b"BM" + struct.pack("<LLLLllHH", 54, 0, 54, 40, 60_000, 60_000, 1, 24) + bytes(24),
        "exceeds limit of 178956970 pixels",
    ),
    "PPM": (lambda: b"P6 60000 60000 255\n", "exceeds limit of 178956970 pixels"),
    "EPS": (
        lambda: (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n"
            b"(mark) (w) file closefile\n"
        ),
        "not an image of a known format",
    ),
    "SVG": (
        lambda: (
            b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/hostname"/></svg>'
        ),
        "not an image of a known format",
    ),
    "large file": (lambda: png() + bytes((256 << 20) + 1), "it is larger than 268,435,456 bytes"),
}


@pytest.mark.parametrize("what", BOMBS)
def test_image_bombs(run: Run, arguments: Arguments, good: Path, mark: Path, what: str) -> None:
    """Are images that cannot be read, by name."""
    make, expected = BOMBS[what]
    (good / "image/1.png").write_bytes(make())
    start = "InvalidDatasetError (0018): training_dataset: 1 of 8 images cannot be read"
    line = at_once(run, arguments, {"--train-data-path": good}, start)
    assert "image/1.png" in line
    assert expected in line
    assert not mark.exists()


MEASURED = """
import resource, sys
from pathlib import Path
from train_pytorch_model.data.decode import UnreadableImageError, decode

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
content = Path(sys.argv[1]).read_bytes()
try:
    decode(content)
except UnreadableImageError:
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


@pytest.mark.parametrize("what", [bomb for bomb in BOMBS if bomb != "large file"])
def test_image_bombs_take_little_memory(tmp_path: Path, what: str) -> None:
    """256 MB at most, in a process of its own."""
    (tmp_path / "bomb").write_bytes(BOMBS[what][0]())
    words = [sys.executable, "-c", MEASURED, str(tmp_path / "bomb")]
    done = subprocess.run(words, check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 256


def test_links_to_folders_are_no_categories(tmp_path: Path) -> None:
    """What lies behind them is not even listed."""
    class_folders(tmp_path / "outside", {"secret": 3}, size=8)
    root = class_folders(tmp_path / "data", {"cat": 3, "dog": 3}, size=8)
    (root / "eel").symlink_to(tmp_path / "outside/secret")
    (root / "emu").symlink_to("/etc")
    images = read_image_directory(root, "p")
    assert (len(images), images.schema.classes) == (6, ("cat", "dog"))


def test_links_to_files_are_not_followed_out(tmp_path: Path) -> None:
    """In class folders, a link within the directory is a file and one out of it cannot be read."""
    root = class_folders(tmp_path / "data", {"cat": 99, "dog": 99}, size=8)
    picture(0, size=8).save(tmp_path / "secret.png")
    (root / "cat/in.png").symlink_to(root / "dog/000.png")
    (root / "cat/out.png").symlink_to(tmp_path / "secret.png")
    loaded = load(read_image_directory(root, "p"))
    assert len(loaded) == 199
    assert loaded.unreadable == ("cat/out.png: a link leads out of the directory",)


def test_a_list_names_a_special_file(run: Run, arguments: Arguments, good: Path) -> None:
    """A pipe and a socket beside the images: nobody waits for them."""
    for number, make in ((1, os.mkfifo), (2, a_socket)):
        (good / f"image/{number}.png").unlink()
        make(good / f"image/{number}.png")
    start = "InvalidDatasetError (0018): training_dataset: 2 of 8 images cannot be read"
    line = at_once(run, arguments, {"--train-data-path": good}, start)
    assert "it is not a regular file" in line


# --- what is promised ---


def test_every_promise_has_its_test() -> None:
    """Each test that SECURITY.md names is there."""
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    named = re.findall(r"`((?:faults/)?test_\w+\.py)::(test_\w+)`", text)
    assert len(named) > 20
    assert not re.findall(r"`(test_\w+\.py)`", text), "a file is not a test"
    for file, name in named:
        source = (ROOT / "tests" / file).read_text("utf-8")
        assert re.search(rf"^def {name}\(", source, re.M), f"{file} has no {name}"
