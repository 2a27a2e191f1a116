"""Directories that are read a part at a time are read as a whole."""

import json
import os
from pathlib import Path

import pytest

from tests.conftest import picture
from tests.test_image_directory import categories_of, describe, rows_of, schema_of, values_of
from train_pytorch_model.errors import InvalidDatasetError
from train_pytorch_model.ports.class_folders import ENTRIES_AT_ONCE
from train_pytorch_model.ports.image_columns import BLOCK_BYTES
from train_pytorch_model.ports.image_directory import read_image_directory

COUNT = 40_000
LABELS = [("cat", "dog", "")[i % 3] for i in range(COUNT)]


def listed(root: Path, **changes: object) -> Path:
    """A directory with metadata that lists COUNT images, the last with ``changes``."""
    rows = rows_of(list(LABELS))
    rows[-1] |= changes
    describe(root, rows, schema_of(categories_of("cat", "dog", "7")))
    assert (root / "images.lst").stat().st_size > BLOCK_BYTES
    return root


def test_a_list_of_several_blocks(tmp_path: Path) -> None:
    """Every line once, in order; the others are read as they are where one is unusual."""
    usual = values_of(read_image_directory(listed(tmp_path / "usual"), "p"))
    assert usual["files"] == [f"image/{i}.png" for i in range(COUNT)]
    assert usual["labels"] == [{"cat": 0, "dog": 1, "": -1}[label] for label in LABELS]
    assert usual["columns"] == {"category": LABELS, "id": list(range(COUNT))}
    assert set(usual["urls"]) == {None}
    other = values_of(read_image_directory(listed(tmp_path / "unusual", category=7), "p"))
    assert other["labels"] == [*usual["labels"][:-1], 2]
    assert other["files"] == usual["files"]
    url = {"file_name": "image/x.png", "coco_url": "http://example.org/x.png"}
    last = values_of(read_image_directory(listed(tmp_path / "url", image_info=url), "p"))
    assert last["urls"] == [None] * (COUNT - 1) + [url["coco_url"]]
    assert last["labels"] == usual["labels"]


def test_a_damaged_line_after_several_blocks_is_named(tmp_path: Path) -> None:
    """By its number in the whole list."""
    root = listed(tmp_path / "d", image_info={"file_name": "../x.png"})
    with pytest.raises(InvalidDatasetError, match=f"line {COUNT} names '../x.png'"):
        read_image_directory(root, "p")


def test_a_class_folder_of_several_parts(tmp_path: Path) -> None:
    """In the order of code points, names that are no text among them; folders are no images."""
    count = 2 * ENTRIES_AT_ONCE + 3
    names = [f"{i}.png" for i in range(count)]
    names += [os.fsdecode(name) for name in (b"\xff.png", b"\xe9.png")] + ["\uffff.png", "é.png"]
    (tmp_path / "b").mkdir()
    picture(0, size=8).save(tmp_path / "b/0.png")
    for name in names[1:]:
        os.link(tmp_path / "b/0.png", tmp_path / "b" / name)
    (tmp_path / "b/folder.png").mkdir()
    for category in ("b c", "b-c"):
        (tmp_path / category).mkdir()
        os.link(tmp_path / "b/0.png", tmp_path / category / "0.png")
    found = read_image_directory(tmp_path, "p")
    expected = ["b c/0.png", "b-c/0.png", *sorted(f"b/{name}" for name in names)]
    assert values_of(found)["files"] == expected
    assert found.schema.classes == ("b", "b c", "b-c")
    assert found.labels.tolist() == [1, 2] + [0] * len(names)


def test_a_flat_folder_of_several_parts(tmp_path: Path) -> None:
    """In the order of their paths, whatever the depth."""
    names = ["a.png", "a/0.png", "a/b/1.png", "a-b.png", "z/0.png", "._a.png", "a/notes.txt"]
    for name in names:
        (tmp_path / "d/e" / name).parent.mkdir(parents=True, exist_ok=True)
        picture(0, size=8).save(tmp_path / "d/e" / name, "PNG")
    (tmp_path / "other.json").write_text(json.dumps({}))
    found = read_image_directory(tmp_path, "p")
    assert values_of(found)["files"] == sorted(f"d/e/{name}" for name in names[:5])
    assert found.schema.label_column is None
