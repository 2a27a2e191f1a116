"""Image directories that cannot be used: one line each, of the right name, before training."""

import copy
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests import loading
from tests.conftest import Arguments, Run, class_folders, picture, refused
from tests.loading import Loaded
from tests.test_image_directory import (
    COCO,
    Document,
    categories_of,
    coco,
    describe,
    json_lines,
    rows_of,
    schema_of,
    with_metadata,
)
from train_pytorch_model.data import labelled_images, memory
from train_pytorch_model.data.decode import UnreadableImageError
from train_pytorch_model.errors import InvalidDatasetError
from train_pytorch_model.ports.image_directory import read_image_directory
from train_pytorch_model.ports.image_set import ImageSet

INVALID = "InvalidDatasetError (0018): training_dataset: "
NOT_LABELED = "NotLabeledDatasetError (0024): training_dataset: "
LABELS = ["cat", "dog", "cat", "dog"]
CATEGORIES = categories_of("cat", "dog")

Damage = Callable[[Path], object]


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """An ImageDirectory with metadata, to be damaged."""
    return with_metadata(tmp_path / "data", LABELS)


# --- what the tables below are made of: each returns a function that damages a directory ---


def in_turn(*damages: Damage) -> Damage:
    """One after the other."""

    def damage(root: Path) -> None:
        for one in damages:
            one(root)

    return damage


def put(name: str, content: str | bytes) -> Damage:
    """Write a file anew."""
    return lambda root: (root / name).write_bytes(
        content.encode() if isinstance(content, str) else content
    )


def gone(*names: str) -> Damage:
    """Remove files."""
    return in_turn(*(lambda root, name=name: (root / name).unlink() for name in names))


def instead(name: str, make: Callable[[Path], object]) -> Damage:
    """Something that is not a file in a file's place."""
    return in_turn(gone(name), lambda root: make(root / name))


def categories(*declared: object) -> Damage:
    """A schema of these categories."""
    return put("_schema.json", json.dumps(schema_of(list(declared))))


def columns(change: Callable[[list[Any]], object]) -> Damage:
    """A schema whose columns (image, category, id) are changed."""
    document = schema_of(CATEGORIES)
    change(document["columnAttributes"])
    return put("_schema.json", json.dumps(document))


def reference(value: object) -> Damage:
    """A second line whose image is this."""
    rows = rows_of(LABELS)
    rows[1]["image_info"] = value
    return put("images.lst", json_lines(rows))


def file_name(name: object) -> Damage:
    """A second line that names this file."""
    return reference({"file_name": name})


def label(value: object) -> Damage:
    """A second line with this label."""
    return put("images.lst", json_lines(rows_of(["cat", value, "cat", "dog"])))


def lines(*texts: str) -> Damage:
    """These lines after the good ones."""
    return put("images.lst", json_lines(rows_of(LABELS)) + "\n".join(texts))


def meta(**changes: object) -> Damage:
    """A ``_meta.yaml`` with these values."""
    document = {"type": "ImageDirectory", "image_list": "images.lst", "schema": "_schema.json"}
    return put("_meta.yaml", json.dumps(document | changes))  # JSON is YAML


def bomb(end: str, nested: str = "[{}]", times: int = 9) -> Damage:
    """YAML in which each of nine names holds the one before nine times."""
    text = "a: &a " + ("{k: v}\n" if "<<" in nested else "[x]\n")
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        text += f"{name}: &{name} {nested.format(','.join([f'*{before}'] * times))}\n"
    return put("_meta.yaml", text + end)


def replaced(make: Callable[[Path], object]) -> Damage:
    """Something else in the place of the whole directory."""
    return in_turn(shutil.rmtree, make)


def refused_dataset(
    run: Run, arguments: Arguments, root: Path, damage: Damage, start: str, expected: str
) -> str:
    """Damage ``root`` and train from it: refused with one line, and fast."""
    damage(root)
    begin = time.monotonic()
    line = refused(run, arguments, {"--train-data-path": root}, start)
    assert time.monotonic() - begin < 20
    assert expected in line
    assert len(line) < 3000
    return line


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        pytest.param(gone("_meta.yaml"), "_meta.yaml is missing beside images.lst", id="missing"),
        pytest.param(gone("_meta.yaml", "images.lst"), "missing beside _schema.json", id="both"),
        pytest.param(put("_meta.yaml", ""), "has no type", id="empty"),
        pytest.param(put("_meta.yaml", "- type\n"), "has no type", id="a list"),
        pytest.param(put("_meta.yaml", "ImageDirectory"), "has no type", id="a text"),
        pytest.param(put("_meta.yaml", "image_list: images.lst"), "has no type", id="no type"),
        pytest.param(meta(type=""), "has no type", id="empty type"),
        pytest.param(put("_meta.yaml", b"\xff\xfe\x00\x9c"), "is not YAML", id="binary"),
        pytest.param(put("_meta.yaml", "type: [\n"), "is not YAML", id="broken"),
        pytest.param(put("_meta.yaml", "\ttype: x"), "is not YAML", id="tab"),
        pytest.param(put("_meta.yaml", "type: 2026-99-99"), "is not YAML", id="no such day"),
        pytest.param(put("_meta.yaml", "a: 1\n---\nb: 2\n"), "is not YAML", id="two documents"),
        pytest.param(put("_meta.yaml", "[" * 50_000), "is not YAML", id="nested"),
        pytest.param(
            put("_meta.yaml", "type: !!python/object/apply:os.getcwd []"), "is not YAML", id="tag"
        ),
        pytest.param(put("_meta.yaml", "#" * (1 << 20) + "\n"), "larger than", id="large"),
        pytest.param(bomb("type: x\nschema: *i\n"), "schema of _meta.yaml is a list", id="bomb"),
        pytest.param(
            bomb("type: x\nimage_list: *i\n"), "image_list of _meta.yaml is a list", id="bomb 2"
        ),
        pytest.param(bomb("type: ModelDirectory\n"), "found a ModelDirectory", id="bomb 3"),
        pytest.param(bomb("type: x\n", "{{<<: [{}]}}"), "is not YAML", id="bomb of merges"),
        pytest.param(meta(schema=None), "schema of _meta.yaml is None", id="no schema"),
        pytest.param(meta(image_list=["images.lst"]), "is a list, expected a file", id="lists"),
        pytest.param(meta(image_list="../images.lst"), "its path leaves the directory", id="out"),
        pytest.param(meta(schema="/_schema.json"), "its path leaves the directory", id="root"),
        pytest.param(meta(image_list=""), "cannot be read", id="empty name"),
        pytest.param(meta(image_list="x" * 5000), "cannot be read", id="long name"),
        pytest.param(meta(type="ModelDirectory"), "found a ModelDirectory", id="a model"),
        pytest.param(meta(type="DataFrameDirectory"), "found a DataFrameDirectory", id="a frame"),
        pytest.param(instead("_meta.yaml", Path.mkdir), "not a regular file", id="a folder"),
        pytest.param(instead("_meta.yaml", os.mkfifo), "not a regular file", id="a pipe"),
    ],
)
def test_meta(run: Run, arguments: Arguments, good: Path, damage: Damage, expected: str) -> None:
    """What can be wrong with ``_meta.yaml``."""
    refused_dataset(run, arguments, good, damage, INVALID, expected)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        pytest.param(gone("images.lst"), "'images.lst' cannot be read (No such", id="missing"),
        pytest.param(put("images.lst", ""), "images.lst lists no image", id="empty"),
        pytest.param(put("images.lst", b"\xef\xbb\xbf\r\n \n"), "lists no image", id="blank"),
        pytest.param(put("images.lst", b"\x00" * 100), "line 1 is not JSON", id="zeros"),
        pytest.param(put("images.lst", bytes(range(256))), "is not JSON", id="binary"),
        pytest.param(put("images.lst", "[" * 100_000), "line 1 is not JSON", id="nested"),
        pytest.param(lines('{"image_info": '), "line 5 is not JSON", id="cut"),
        pytest.param(lines("[]", "3", "null"), "has 3 problems: line 5 is not a", id="no object"),
        pytest.param(lines("", "x"), "1 problem: line 6 is not JSON ('x')", id="line number"),
        pytest.param(lines(*"x" * 30), "has 30 problems: line 5 is not JSON", id="counted"),
        pytest.param(lines(*"x" * 30), "line 14 is not JSON ('x'); … and 20 more", id="ten"),
        pytest.param(lines('{"category": "cat"}'), "5 has no image_info.file_name", id="no ref"),
        pytest.param(reference(None), "line 2 has no image_info.file_name", id="null ref"),
        pytest.param(reference("image/1.png"), "line 2 has no image_info", id="text ref"),
        pytest.param(reference({}), "line 2 has no image_info.file_name", id="empty ref"),
        pytest.param(file_name(None), "line 2 has no image_info.file_name", id="null name"),
        pytest.param(file_name(7), "line 2 has no image_info.file_name", id="number"),
        pytest.param(file_name(""), "line 2 names ''", id="empty name"),
        pytest.param(file_name("../x.png"), "names '../x.png', outside", id="climbs"),
        pytest.param(file_name("image/../../x"), "names 'image/../../x', outside", id="climbs 2"),
        pytest.param(file_name("image\\..\\x"), "outside the directory", id="backslashes"),
        pytest.param(file_name("/etc/hostname"), "names '/etc/hostname', outside", id="absolute"),
        pytest.param(file_name("\\\\host\\x.png"), "outside the directory", id="share"),
        pytest.param(file_name("C:\\x.png"), "outside the directory", id="drive"),
        pytest.param(file_name("a\0b.png"), r"names 'a\x00b.png', outside", id="NUL"),
        pytest.param(file_name("\ud800.png"), r"names '\ud800.png'", id="surrogate"),
        pytest.param(
            reference({"file_name": "image/1.png", "base_file_name": "../x"}),
            "names '../x', outside",
            id="base climbs",
        ),
        pytest.param(label("eel"), "1 labels that are not among the 2 categories", id="unknown"),
        pytest.param(label(" cat"), "categories of the schema: ' cat'", id="not trimmed"),
        pytest.param(label("eel\r\nfox"), r"'eel\r\nfox'", id="line break"),
        pytest.param(label("x" * 5000), "(5,000 characters)", id="long"),
        pytest.param(label(7), "categories of the schema: '7'", id="unknown number"),
        pytest.param(lines(f'{{"id": {"9" * 5000}}}'), "line 5 is not JSON", id="huge number"),
        pytest.param(label(True), "line 2 has the label True", id="bool"),
        pytest.param(label(1.5), "line 2 has the label 1.5", id="float"),
        pytest.param(label({"a": 1}), "line 2 has the label {'a': 1}", id="object"),
        pytest.param(label("\ud800"), r"line 2 has the label '\ud800'", id="surrogate label"),
        pytest.param(label([3]), "annotations without a category_id", id="no annotation"),
        pytest.param(
            label([{"category_id": [0]}]), "annotations without a category_id", id="list as id"
        ),
        pytest.param(
            label([{"category_id": True}]), "annotations without a category_id", id="bool as id"
        ),
        pytest.param(label([{"category_id": 9}]), "the schema: 'id 9'", id="id of none"),
        pytest.param(
            label([{"category_id": 0}, {"category_id": 1}]),
            "line 2 has annotations of 2 categories",
            id="several",
        ),
        pytest.param(instead("images.lst", os.mkfifo), "not a regular file", id="a pipe"),
        pytest.param(
            instead("images.lst", lambda path: path.symlink_to("../outside")),
            "a link leads out of the directory",
            id="a link out",
        ),
    ],
)
def test_images_lst(
    run: Run, arguments: Arguments, good: Path, damage: Damage, expected: str
) -> None:
    """What can be wrong with the lines of ``images.lst``."""
    refused_dataset(run, arguments, good, damage, INVALID, expected)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        pytest.param(gone("_schema.json"), "'_schema.json' cannot be read (No such", id="missing"),
        pytest.param(put("_schema.json", ""), "_schema.json is not JSON", id="empty"),
        pytest.param(put("_schema.json", b"\xff\x00\x01"), "is not JSON", id="binary"),
        pytest.param(put("_schema.json", "{'a': 1}"), "is not JSON", id="not JSON"),
        pytest.param(put("_schema.json", "[" * 100_000), "is not JSON", id="nested"),
        pytest.param(put("_schema.json", "[]"), "has no columnAttributes", id="a list"),
        pytest.param(put("_schema.json", "null"), "has no columnAttributes", id="null"),
        pytest.param(put("_schema.json", "{}"), "has no columnAttributes", id="no columns"),
        pytest.param(
            put("_schema.json", '{"columnAttributes": {}}'), "no columnAttributes", id="an object"
        ),
        pytest.param(columns(lambda c: c.clear()), "no columnAttributes", id="empty list"),
        pytest.param(columns(lambda c: c.append(None)), "column 3 has no name", id="null column"),
        pytest.param(columns(lambda c: c.append({})), "column 3 has no name", id="nameless"),
        pytest.param(
            columns(lambda c: c.append({"name": "\ud800"})), "3 has no name", id="surrogate"
        ),
        pytest.param(columns(lambda c: c.append(c[2])), "'id' is declared twice", id="twice"),
        pytest.param(columns(lambda c: c.pop(0)), "no column of images", id="no image column"),
        pytest.param(
            columns(lambda c: c[0]["properties"].update(mime_type="image/jpeg")),
            "no column of images",
            id="mime type",
        ),
        pytest.param(
            columns(lambda c: c[0]["properties"].pop("image_ref")), "no image_ref", id="no ref"
        ),
        pytest.param(
            columns(lambda c: c[0]["properties"].update(image_ref="\ud800")), "no image_ref", id="x"
        ),
        pytest.param(
            columns(lambda c: c[1]["properties"].update(categories={"0": "cat"})),
            "categories is not a list",
            id="categories",
        ),
        pytest.param(categories(), "not among the 0 categories", id="no categories"),
        pytest.param(categories("cat", "dog"), "'cat' has not an integer id", id="only names"),
        pytest.param(
            categories(*CATEGORIES, {"id": 0, "name": "eel"}), "0 belongs to 'cat'", id="same id"
        ),
        pytest.param(
            categories(*CATEGORIES, {"id": 2, "name": "cat"}), "has the ids 0 and 2", id="same name"
        ),
        pytest.param(categories({"id": -1, "name": "a"}), "not from 0 to 99,999", id="negative"),
        pytest.param(categories({"id": 10**5, "name": "a"}), "not from 0 to 99,999", id="high"),
        pytest.param(categories({"id": 10**30, "name": "a"}), "not from 0 to", id="huge"),
        pytest.param(categories({"id": True, "name": "a"}), "not an integer id", id="bool"),
        pytest.param(categories({"id": 1.0, "name": "a"}), "not an integer id", id="float"),
        pytest.param(categories({"id": "1", "name": "a"}), "not an integer id", id="text"),
        pytest.param(categories({"name": "a"}), "not an integer id and a name", id="no id"),
        pytest.param(categories({"id": 0}), "not an integer id and a name", id="no name"),
        pytest.param(categories({"id": 0, "name": ""}), "not an integer id and", id="empty name"),
        pytest.param(categories({"id": 0, "name": "\ud800"}), "id and a name", id="surrogates"),
        pytest.param(
            categories(*[{"id": -1, "name": "a"}] * 30), "has 30 problems: ", id="many problems"
        ),
    ],
)
def test_schema(run: Run, arguments: Arguments, good: Path, damage: Damage, expected: str) -> None:
    """What can be wrong with ``_schema.json``."""
    refused_dataset(run, arguments, good, damage, INVALID, expected)


def coco_with(change: Callable[[Document], object]) -> Damage:
    """COCO annotations that are changed, in the directory's place."""
    document = copy.deepcopy(COCO)
    change(document)
    return replaced(lambda root: coco(root, document))


def annotation(**values: Any) -> Damage:
    """COCO in which the first image has this annotation too."""
    return coco_with(lambda c: c["annotations"].append({"image_id": 1} | values))


def image(**values: Any) -> Damage:
    """COCO with this image too."""
    return coco_with(lambda c: c["images"].append(values))


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        pytest.param(annotation(category_id=4), "annotations of 2 categories", id="several"),
        pytest.param(annotation(category_id="9"), "category_id that is not an", id="text"),
        pytest.param(annotation(category_id=True), "category_id that is not an", id="bool"),
        pytest.param(annotation(image_id=[1]), "annotations[3] has no image_id", id="list"),
        pytest.param(
            coco_with(lambda c: c["annotations"][0].update(category_id=7)),
            "'i/0.png' has a category_id that no category has",
            id="unknown",
        ),
        pytest.param(coco_with(lambda c: c.pop("categories")), "3 problems", id="no categories"),
        pytest.param(
            coco_with(lambda c: c["categories"].append({"id": 9, "name": "eel"})),
            "is declared twice",
            id="same id",
        ),
        pytest.param(
            coco_with(lambda c: c["categories"].append({"id": 1, "name": "cat"})),
            "is declared twice",
            id="same name",
        ),
        pytest.param(
            coco_with(lambda c: c["categories"][0].update(name="\ud800")),
            "has not an integer id and a name",
            id="surrogate category",
        ),
        pytest.param(
            coco_with(lambda c: c["categories"].append({"id": True, "name": "eel"})),
            "has not an integer id and a name",
            id="bool category",
        ),
        pytest.param(image(id=9, file_name="../x.png"), "'../x.png', outside the", id="climbs"),
        pytest.param(image(id=9, file_name="/etc/hostname"), "outside the", id="absolute"),
        pytest.param(image(id=9, file_name="\ud800.png"), r"'\ud800.png'", id="surrogate"),
        pytest.param(image(id=9), "images[3] has not a file_name and an id", id="no name"),
        pytest.param(image(file_name="i/0.png"), "images[3] has not a file_name", id="no id"),
        pytest.param(image(id=True, file_name="i/0.png"), "images[3] has not a", id="bool id"),
        pytest.param(image(id="\ud800", file_name="i/0.png"), "images[3] has not", id="text id"),
        pytest.param(image(id=1, file_name="i/3.png"), "has the id 1 of another", id="same image"),
        pytest.param(coco_with(lambda c: c["images"].clear()), "images is empty", id="no image"),
        pytest.param(
            coco_with(lambda c: c["images"].extend([None] * 30)), "has 30 problems", id="counted"
        ),
    ],
)
def test_coco(run: Run, arguments: Arguments, good: Path, damage: Damage, expected: str) -> None:
    """What can be wrong with COCO annotations."""
    line = refused_dataset(run, arguments, good, damage, INVALID, expected)
    assert "annotations.json" in line


def one_category(root: Path) -> Path:
    """Class folders of nothing to tell apart."""
    return class_folders(root, {"cat": 3, "empty": 0}, size=8)


def not_utf_8(root: Path) -> None:
    """A class folder whose name is Latin-1."""
    class_folders(root, {"cat": 1, "dog": 1, os.fsdecode(b"caf\xe9"): 1}, size=8)


def flat(root: Path) -> None:
    """Images, and no folders of classes."""
    root.mkdir()
    picture(0).save(root / "0.png")
    (root / "deep/er").mkdir(parents=True)
    picture(0).save(root / "deep/er/1.png")


@pytest.mark.parametrize(
    ("damage", "start", "expected"),
    [
        pytest.param(shutil.rmtree, INVALID, "found nothing at", id="nothing"),
        pytest.param(replaced(Path.touch), INVALID, "found a file at", id="a file"),
        pytest.param(replaced(os.mkfifo), INVALID, "found a file at", id="a pipe"),
        pytest.param(replaced(Path.mkdir), INVALID, "found no image in", id="empty"),
        pytest.param(
            replaced(lambda root: class_folders(root, {"cat": 0, "dog": 0})),
            INVALID,
            "expected files that end in .jpg",
            id="empty folders",
        ),
        pytest.param(replaced(one_category), INVALID, "one category ('cat')", id="one category"),
        pytest.param(
            replaced(not_utf_8), INVALID, r"'caf\udce9', expected UTF-8; rename", id="not UTF-8"
        ),
        pytest.param(categories(CATEGORIES[0]), INVALID, "not among the 1 ", id="one declared"),
        pytest.param(replaced(flat), NOT_LABELED, "none of its 2 images has a label", id="flat"),
        pytest.param(
            columns(lambda c: c.pop(1)), NOT_LABELED, "no column of labels", id="no label column"
        ),
        pytest.param(
            columns(lambda c: c[1].pop("properties")), NOT_LABELED, "no column of", id="no type"
        ),
        pytest.param(
            put("images.lst", json_lines(rows_of(["", None, [], ""]))),
            NOT_LABELED,
            "none of its 4 images has a label (the column 'category' is empty)",
            id="no labels",
        ),
        pytest.param(
            put("images.lst", json_lines(rows_of([[{"caption": "a dog"}]] * 4))),
            NOT_LABELED,
            "none of its 4 images",
            id="captions",
        ),
        pytest.param(
            coco_with(
                lambda c: (
                    c.pop("categories"),
                    c.update(annotations=[{"image_id": 1, "caption": "a dog"}]),
                )
            ),
            NOT_LABELED,
            "none of its 3 images has a label",
            id="COCO captions",
        ),
        pytest.param(
            coco_with(lambda c: c["annotations"].clear()), NOT_LABELED, "none of", id="COCO empty"
        ),
    ],
)
def test_directory(
    run: Run, arguments: Arguments, good: Path, damage: Damage, start: str, expected: str
) -> None:
    """What is no directory of labelled images at all."""
    refused_dataset(run, arguments, good, damage, start, expected)


def test_a_model_is_no_image_directory(run: Run, arguments: Arguments, resnet18: Path) -> None:
    """Ports that were mixed up."""
    line = refused(run, arguments, {"--train-data-path": resnet18}, INVALID)
    assert "found a ModelDirectory, expected an ImageDirectory" in line


def test_validation_is_checked_too(run: Run, arguments: Arguments, good: Path) -> None:
    """By the same rules, under its own name."""
    (good / "images.lst").write_text("x")
    start = "InvalidDatasetError (0018): validation_dataset: images.lst has 1 problem"
    refused(run, arguments, {"--valid-data-path": good}, start)


# --- images that cannot be read ---


def load(root: Path, cache: str = "auto") -> Loaded:
    """Read and decode a directory."""
    return loading.load(read_image_directory(root, "p"), cache)


def truncate(path: Path) -> None:
    """Cut the last fifth of a file off."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 4 // 5])


def link_out(path: Path) -> None:
    """A link to a good picture that is not in the directory."""
    outside = path.parents[2] / "outside.png"
    picture(0, size=8).save(outside)
    path.unlink()
    path.symlink_to(outside)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        pytest.param(truncate, "", id="truncated"),
        pytest.param(Path.unlink, "No such file or directory", id="absent"),
        pytest.param(lambda f: f.write_bytes(b""), "not an image of a known format", id="empty"),
        pytest.param(in_turn(Path.unlink, Path.mkdir), "it is not a regular file", id="folder"),
        pytest.param(in_turn(Path.unlink, os.mkfifo), "not a regular file", id="a pipe"),
        pytest.param(link_out, "a link leads out of the directory", id="a link out"),
        pytest.param(
            in_turn(Path.unlink, lambda f: f.symlink_to(f)), "levels of symbolic", id="a loop"
        ),
    ],
)
def test_unreadable_images_are_named(good: Path, damage: Damage, why: str) -> None:
    """With the reason; and never waited for."""
    damage(good / "image/1.png")
    with pytest.raises(InvalidDatasetError) as error:
        load(good)
    assert "1 of 4 images cannot be read; expected at most 1%" in str(error.value)
    assert re.search(rf"'image/1\.png' \([^)]*{why}[^)]*\)", str(error.value))


def hundreds(root: Path, counts: dict[str, int], broken: list[str]) -> Path:
    """Class folders of 4x4 pictures, some of which are broken."""
    class_folders(root, counts, size=4)
    for name in broken:
        truncate(root / name)
    return root


@pytest.mark.parametrize(
    "broken",
    [[], ["cat/000.png"], ["dog/149.png"], ["cat/000.png", "cat/001.png", "dog/149.png"]],
    ids=["none", "first", "last", "1 %"],
)
def test_a_few_unreadable_images_are_left_out(tmp_path: Path, broken: list[str]) -> None:
    """At most one in a hundred; the others keep their labels and pixels."""
    root = hundreds(tmp_path / "d", {"cat": 150, "dog": 150}, broken)
    loaded = load(root)
    assert [line.split(": ")[0] for line in loaded.unreadable] == broken
    left = [f"{n}/{i:03}.png" for n in ("cat", "dog") for i in range(150)]
    left = [name for name in left if name not in broken]
    assert loaded.files == left
    assert loaded.labels.tolist() == [int(name.startswith("dog")) for name in left]
    for pixels, name in zip(loaded.pixels, left, strict=True):
        with Image.open(root / name) as original:
            np.testing.assert_array_equal(pixels.numpy(), np.asarray(original))


def test_images_that_are_left_out_are_told(run: Run, tmp_path: Path) -> None:
    """Through the front door, as a warning and in ``training.json``."""
    root = class_folders(tmp_path / "d", {"cat": 50, "dog": 50})
    truncate(root / "dog/007.png")
    output = tmp_path / "out"
    code, err = run({"--train-data-path": root, "--trained-model-path": output, "--batch-size": 50})
    assert code == 0, err
    start = "warning: training_dataset: 1 of 100 images cannot be read and are left out: "
    assert [line for line in err.splitlines() if line.startswith(start + "dog/007.png: ")]
    facts = json.loads((output / "training.json").read_text())["datasets"]["training_dataset"]
    assert (facts["images"], facts["images_per_category"]) == (99, {"cat": 50, "dog": 49})
    assert [line.split(": ")[0] for line in facts["unreadable"]] == ["dog/007.png"]


@pytest.mark.parametrize(
    ("counts", "broken", "expected"),
    [
        pytest.param(
            {"cat": 100, "dog": 99},
            ["cat/000.png", "cat/001.png"],
            "2 of 199 images cannot be read; expected at most 1%",
            id="just above 1 %",
        ),
        pytest.param(
            {"cat": 100, "dog": 98, "eel": 1, "fox": 1},
            ["eel/000.png", "fox/000.png"],
            "2 of 200 images cannot be read, all those of 'eel'; 'fox' among them",
            id="all of two classes",
        ),
        pytest.param(
            {"cat": 20, "dog": 20},
            [f"cat/{i:03}.png" for i in range(13)],
            "'cat/009.png' (",
            id="ten are named",
        ),
        pytest.param(
            {"cat": 20, "dog": 20},
            [f"cat/{i:03}.png" for i in range(13)],
            "); … and 3 more. Replace or remove these files",
            id="the rest is counted",
        ),
        pytest.param(
            {"cat": 2, "dog": 1},
            ["cat/000.png", "cat/001.png", "dog/000.png"],
            "3 of 3 images cannot be read, all those of 'cat'; 'dog' among them",
            id="all",
        ),
    ],
)
def test_more_unreadable_images_are_an_error(
    tmp_path: Path, counts: dict[str, int], broken: list[str], expected: str
) -> None:
    """More than one in a hundred, or all of a class however few they are."""
    with pytest.raises(InvalidDatasetError) as error:
        load(hundreds(tmp_path / "d", counts, broken))
    assert expected in str(error.value)
    assert "cat/010.png" not in str(error.value)


# --- images of several sizes ---


def test_sizes_must_be_one(run: Run, arguments: Arguments, tmp_path: Path) -> None:
    """The message says which, how many of each, and which step mends it."""
    root = class_folders(tmp_path / "d", {"cat": 3, "dog": 2}, size=32)
    picture(0).resize((24, 16)).save(root / "dog/odd.png")
    picture(0).resize((16, 24)).save(root / "dog/other.png")
    line = refused(run, arguments, {"--train-data-path": root}, INVALID)
    assert "3 sizes (width x height): 5 of 32x32; 1 of 24x16; 1 of 16x24; expected one" in line
    assert "Init Image Transformation (Resize, then Center crop)" in line
    assert "Apply Image Transformation" in line


@pytest.mark.parametrize("cache", ["memory", "disk", "none"])
def test_the_first_image_has_another_size(
    run: Run, arguments: Arguments, tmp_path: Path, cache: str
) -> None:
    """All that is read before it has one size, which is not the one that was expected."""
    path = class_folders(tmp_path / "first", {"cat": 100, "dog": 100})
    picture(5, size=40).save(path / "cat" / "000.png")
    changes = {"--train-data-path": path, "--cache": cache, "--batch-size": 2}
    line = refused(run, arguments, changes, INVALID)
    assert "2 sizes (width x height): 199 of 32x32; 1 of 40x40; expected one" in line


def test_many_sizes_are_counted(tmp_path: Path) -> None:
    """The ten most common are named."""
    root = class_folders(tmp_path / "d", {"cat": 2, "dog": 2}, size=9)
    for width in range(10, 30):
        picture(0).resize((width, 9)).save(root / f"cat/{width}.png")
    with pytest.raises(InvalidDatasetError, match=r"21 sizes .*: 4 of 9x9; .*; … and 11 more"):
        load(root)


# --- images that do not fit in memory ---


def test_images_beyond_memory_lie_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which has no name, so that it goes with the process."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    rows, file = memory.kept_pixels(10, (4, 5), "disk", memory.CacheSpace(0, 600))
    assert len(rows) == 0
    assert file is not None
    assert os.listdir(tmp_path) == []
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    file.write(9, pixels)
    file.write(2, pixels + 1)
    assert np.array_equal(file.read(9), pixels)
    assert np.array_equal(file.read(2), pixels + 1)
    assert file.read(8) is None
    file.write(9, pixels + 2)  # in its place
    assert np.array_equal(file.read(9), pixels + 2)
    file.clear()
    assert file.read(9) is None


@pytest.mark.parametrize("kept", [0, 1, 999])
def test_images_beyond_memory_and_disk(kept: int) -> None:
    """As many are kept as fit into memory; the others are read each time."""
    space = memory.CacheSpace(48 * kept + 47, 48_000)
    rows, file = memory.kept_pixels(1000, (4, 4), "auto", space)
    assert (len(rows), file) == (kept, None)
    assert space == memory.CacheSpace(47, 48_000)


def test_an_image_that_is_gone_when_it_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one tells the size of all; if that is another, nothing is trained on."""
    root = hundreds(tmp_path / "d", {"cat": 80, "dog": 80}, [])
    picture(1, size=40).save(root / "cat/000.png")
    read = labelled_images.read_content

    def gone(image_set: ImageSet, index: int) -> bytes:
        if image_set.file(index) == "cat/000.png":
            raise UnreadableImageError("Input/output error")
        return read(image_set, index)

    # The first reading of all, ``read_pixels``, has another name for it.
    monkeypatch.setattr(labelled_images, "read_content", gone)
    with pytest.raises(InvalidDatasetError, match=r"2 sizes .*: 159 of 4x4; 1 of 40x40"):
        load(root)


@pytest.mark.parametrize("cache", ["auto", "memory", "disk", "none"])
def test_every_cache_has_the_same_images(tmp_path: Path, cache: str) -> None:
    """The very same bytes, also where some are left out."""
    root = hundreds(tmp_path / "d", {"cat": 80, "dog": 80}, ["dog/003.png"])
    expected, loaded = load(root), load(root, cache)
    assert loaded.unreadable == expected.unreadable
    assert torch.equal(loaded.pixels, expected.pixels)
    assert torch.equal(loaded.labels, expected.labels)


def test_available_memory_is_a_sane_number() -> None:
    """Something, and not more than the machine has."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < memory.available_bytes() <= machine


def test_a_damaged_directory_is_not_read_as_class_folders(good: Path) -> None:
    """The original trained on one class called ``image``, with 100 % accuracy."""
    for name in ("_meta.yaml", "images.lst", "_schema.json"):
        root = shutil.copytree(good, good.parent / f"without {name}")
        (root / name).unlink()
        with pytest.raises(InvalidDatasetError, match="Convert to Image Directory"):
            read_image_directory(root, "p")


def test_a_shared_good_directory_is_good(good: Path) -> None:
    """What the tables damage loads when it is whole."""
    assert len(load(describe(good, rows_of(LABELS), schema_of(CATEGORIES)))) == 4
