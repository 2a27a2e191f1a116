"""Both sides read the same images, labels and classes from every form of an ImageDirectory."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from train_pytorch_model.ports.image_directory import read_image_directory
from train_pytorch_model.ports.image_schema import classification_schema
from train_pytorch_model.ports.image_set import UNLABELLED

Noise = Callable[[Path, int], None]


def class_folders(folder: Path, noise: Noise) -> None:
    """Names whose order is easily mistaken, and files of every ending."""
    names = [
        "a",
        "a b",
        "A",
        "é",
        "a-b",
        "10",
        "9",
        "e\u0301",
        "日本",
        "B",
        "_",
        "a.b",
        "nan",
        "01",
    ]
    for number, name in enumerate(names):
        noise(folder / name / "2.png", number)
        noise(folder / name / "10.png", number)
    for ending in ("jpg", "jpeg", "PNG", "ppm", "bmp", "pgm", "tif", "TIFF", "webp", "JpEg"):
        noise(folder / "a" / f"x.{ending}", 0)


def stray_files(folder: Path, noise: Noise) -> None:
    """What is not ``class/image`` is passed over, but a hidden folder is a class."""
    noise(folder / "b" / "0.png", 0)
    noise(folder / "c" / "0.png", 1)
    noise(folder / "root.png", 2)
    noise(folder / "b" / "deeper" / "1.png", 3)
    noise(folder / "only deeper" / "x" / "1.png", 4)
    noise(folder / ".hidden" / "0.png", 5)
    noise(folder / "b" / ".hidden.png", 6)
    noise(folder / "gifs" / "0.gif", 7)
    (folder / "empty").mkdir()
    (folder / "b" / "folder.png").mkdir()
    (folder / "b" / "notes.txt").write_text("no image")
    (folder / "b" / ".png").write_text("a name without an ending")
    (folder / "b" / "no_ending").write_text("no image")


def flat(folder: Path, noise: Noise) -> None:
    """Images in the directory itself have no label."""
    noise(folder / "b.png", 0)
    noise(folder / "a.JPG", 1)
    (folder / "notes.txt").write_text("no image")


def deep(folder: Path, noise: Noise) -> None:
    """Images two folders below have none either."""
    noise(folder / "x" / "y" / "0.png", 0)
    noise(folder / "x" / "z" / "0.png", 1)


FOLDERS = (class_folders, stray_files, flat, deep)

ROWS = [
    {"image_info": {"file_name": "image/0.png"}, "category": "a", "id": 0},
    {"image_info": {"file_name": "image/1.png"}, "category": "b", "id": 7},
    {"image_info": {"file_name": "x", "base_file_name": "image/2.png"}, "category": "a", "id": 3},
]


def with_metadata(
    folder: Path,
    noise: Noise,
    *,
    rows: list[dict[str, Any]] = ROWS,
    categories: tuple[tuple[int, str], ...] = ((0, "a"), (1, "b")),
    line_end: str = "\n",
    last_line_end: bool = True,
    meta: dict[str, str] | None = None,
) -> None:
    """A directory with metadata of these rows and categories."""
    for number in range(3):
        noise(folder / "image" / f"{number}.png", number)
    lines = line_end.join(json.dumps(row) for row in rows) + (line_end if last_line_end else "")
    (folder / "images.lst").write_bytes(lines.encode())
    schema = classification_schema(["a", "b"]).document
    named = [{"id": number, "name": name} for number, name in categories]
    schema["columnAttributes"][-1]["properties"]["categories"] = named
    (folder / "_schema.json").write_text(json.dumps(schema))
    files = {"image_list": "images.lst", "schema": "_schema.json"}
    document = {"type": "ImageDirectory", **files, **(meta or {})}
    (folder / "_meta.yaml").write_text(yaml.safe_dump(document))


def label(value: object) -> dict[str, Any]:
    """The last row with another label."""
    return {**ROWS[2], "category": value}


METADATA: dict[str, dict[str, Any]] = {
    "plain": {},
    "lines that end in CRLF": {"line_end": "\r\n"},
    "no last line end": {"last_line_end": False},
    "CRLF, no last line end": {"line_end": "\r\n", "last_line_end": False},
    "an empty label": {"rows": [*ROWS[:2], label("")]},
    "a null label": {"rows": [*ROWS[:2], label(None)]},
    "no label": {"rows": [*ROWS[:2], {k: v for k, v in ROWS[2].items() if k != "category"}]},
    "ids in another order": {"categories": ((1, "a"), (0, "b"))},
    "ids with gaps": {"categories": ((5, "b"), (2, "a"))},
    "a category without images": {"categories": ((0, "c"), (1, "b"), (2, "a"))},
    "labels with edge spaces": {
        "rows": [*ROWS[:2], label(" a ")],
        "categories": ((0, "a"), (1, "b"), (2, " a ")),
    },
    "any type": {"meta": {"type": "Anything"}},
}


def seen_by_ours(folder: Path) -> dict[str, Any]:
    """What ``probe.py`` prints of the original, of ours."""
    found = read_image_directory(folder, "training_dataset")
    classes = found.schema.classes
    return {
        "files": [found.file(index) for index in range(len(found))],
        "ids": found.columns["id"].to_pylist(),
        "labels": [None if i == UNLABELLED else classes[i] for i in found.labels.tolist()],
        # Ids that no category has: the original calls all of them Others and loses all but one
        # when it writes a model; ours have the names that its Score Image Model gives them.
        "classes": [found.schema.categories.get(i, "Others") for i in range(len(classes))],
    }


@pytest.fixture(scope="module")
def seen(original, noise, tmp_path_factory) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Each directory's name → what the original and what ours see in it."""
    root = tmp_path_factory.mktemp("directories")
    folders: dict[str, Path] = {}
    for number, build in enumerate(FOLDERS):
        folders[build.__name__] = root / f"folders-{number}"
        folders[build.__name__].mkdir()
        build(folders[build.__name__], noise)
    for number, (name, options) in enumerate(METADATA.items()):
        folders[name] = root / f"metadata-{number}"
        with_metadata(folders[name], noise, **options)
    theirs = original.probe("images", *folders.values())
    return {
        name: (answer, seen_by_ours(folder))
        for (name, folder), answer in zip(folders.items(), theirs, strict=True)
    }


@pytest.mark.parametrize("name", ["class_folders", "stray_files", *METADATA])
def test_labelled_directories_are_read_alike(seen, name):
    """Files, ids, labels and classes, in the same order."""
    theirs, ours = seen[name]
    assert ours == theirs
    assert any(ours["labels"])


@pytest.mark.parametrize("name", ["flat", "deep"])
def test_directories_without_labels_are_read_alike(seen, name):
    """Save for the order, which with the original is the file system's."""
    theirs, ours = seen[name]
    assert ours["files"] == sorted(theirs["files"])
    assert {**ours, "files": None} == {**theirs, "files": None}


def test_a_converted_directory_is_read_alike(original, ours, pictures):
    """Both sides read what either has written."""
    converted = [original.convert(pictures), ours.convert(pictures)]
    theirs = original.probe("images", *converted)
    assert [seen_by_ours(folder) for folder in converted] == theirs
    assert theirs[0] == theirs[1]
