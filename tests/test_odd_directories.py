"""Odd image directories through several steps: nothing is lost, and nothing is a traceback."""

import json
import os
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from tests.conftest import Arguments, Run, class_folders, picture
from tests.test_training import output_of, train
from train_pytorch_model.companions import (
    apply_image_transformation,
    convert_to_image_directory,
    init_image_transformation,
    score_image_model,
    split_image_directory,
)
from train_pytorch_model.ports.image_directory import read_image_directory


def step(module: Any, **words: object) -> int:
    """Run a step: flag without its hyphens → value."""
    flat = [str(word) for flag, value in words.items() for word in (f"--{flag}", value)]
    code: int = module.main(flat)
    return code


@pytest.fixture
def resized(tmp_path: Path) -> Path:
    """A transformation to 32 pixels."""
    target = tmp_path / "transformation"
    assert step(init_image_transformation, output_path=target, resize=True, size=32) == 0
    return target


def rows(folder: Path) -> list[dict[str, Any]]:
    """The lines of an ``images.lst``."""
    return [json.loads(line) for line in (folder / "images.lst").read_text("ascii").splitlines()]


def coco(folder: Path, annotations: list[dict[str, Any]], ids: tuple[Any, ...] = (1, 2)) -> Path:
    """A COCO directory of as many pictures as ids."""
    folder.mkdir()
    images = []
    for number, name in enumerate(ids):
        picture(number, hue=number).save(folder / f"{number}.png")
        images.append({"id": name, "file_name": f"{number}.png", "width": 32, "height": 32})
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "coco.json").write_text(json.dumps(document))
    return folder


# What real COCO holds: polygons, and run lengths where there is a crowd; two categories.
ANNOTATIONS = [
    {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 9, 9, 5, 5]], "bbox": [0]},
    {
        **{"id": 2, "image_id": 2, "category_id": 2, "iscrowd": 1, "bbox": [0.5]},
        "segmentation": {"counts": [3, 4], "size": [32, 32]},
    },
    {"id": 3, "image_id": 2, "category_id": 1, "segmentation": [], "bbox": []},
]


def test_coco_keeps_its_annotations_through_every_step(
    run: Run, arguments: Arguments, tmp_path: Path, resized: Path
) -> None:
    """Whatever their types are."""
    source = coco(tmp_path / "coco", ANNOTATIONS)
    paths = {name: tmp_path / name for name in ("converted", "one", "two", "applied", "scored")}
    convert = {"input_path": source, "output_path": paths["converted"]}
    assert step(convert_to_image_directory, **convert) == 0
    halves = {"tgt_train_path": paths["one"], "tgt_test_path": paths["two"], "fraction": 0.5}
    assert step(split_image_directory, src_path=paths["converted"], **halves) == 0
    apply = {"input_image_transform_path": resized, "output_path": paths["applied"]}
    assert step(apply_image_transformation, input_image_dir_path=paths["converted"], **apply) == 0
    (column,) = [name for name in rows(paths["converted"])[0] if name.endswith("_annotation")]
    before = [row[column] for row in rows(paths["converted"])]
    assert before == [[ANNOTATIONS[0]], ANNOTATIONS[1:]]
    assert [row[column] for row in rows(paths["applied"])] == before
    split = [*rows(paths["one"]), *rows(paths["two"])]
    assert sorted((row[column] for row in split), key=str) == sorted(before, key=str)
    train(run, {})
    words = {"trained-model": output_of(arguments), "scored-dataset": paths["scored"]}
    assert step(score_image_model, dataset=paths["applied"], **words) == 0
    assert pyarrow.parquet.read_table(paths["scored"] / "_data.parquet").num_rows == 2


@pytest.mark.parametrize("ids", [("a//b", "a/b"), (1, 1), ("x" * 300, 2), ("../x", 2)])
def test_coco_ids_that_are_no_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ids: tuple[Any, ...]
) -> None:
    """An image is named by its id."""
    source = coco(tmp_path / "coco", [], ids)
    out = tmp_path / "out"
    assert step(convert_to_image_directory, input_path=source, output_path=out) == 1
    err = capsys.readouterr().err
    assert err.startswith("InvalidDatasetError (0018): input_dataset: ")
    assert len(err.splitlines()) == 1
    assert not out.exists()


def with_names(folder: Path, names: list[str]) -> Path:
    """A directory with metadata, whose images have these names."""
    converted = folder.with_name("converted")
    class_folders(folder, {"cat": 1, "dog": len(names) - 1})
    assert step(convert_to_image_directory, input_path=folder, output_path=converted) == 0
    listed = rows(converted)
    for row, name in zip(listed, names, strict=True):
        old = converted / row["image_info"]["file_name"]
        (converted / name).parent.mkdir(parents=True, exist_ok=True)
        (converted / name).write_bytes(old.read_bytes())
        row["image_info"]["file_name"] = name
    (converted / "images.lst").write_text("\n".join(map(json.dumps, listed)))
    return converted


@pytest.mark.parametrize(
    ("names", "written"),
    [
        (["image/a.jpg", "image/a.png"], ["image/a.png", "image/a_2.png"]),
        (["image/a.png", "image/./a.png"], ["image/a.png", "image/a_2.png"]),
        (["image/a.png", "image//a.png"], ["image/a.png", "image/a_2.png"]),
        (["image/b", "image/b.png/c.jpg"], ["image/b_2.png", "image/b.png/c.png"]),
    ],
)
def test_transformed_images_have_a_file_each(
    tmp_path: Path, resized: Path, names: list[str], written: list[str]
) -> None:
    """However their names are written."""
    source = with_names(tmp_path / "in", names)
    words = {"input_image_transform_path": resized, "output_path": tmp_path / "out"}
    assert step(apply_image_transformation, input_image_dir_path=source, **words) == 0
    assert [row["image_info"]["file_name"] for row in rows(tmp_path / "out")] == written
    assert all((tmp_path / "out" / name).is_file() for name in written)


def test_a_name_that_is_too_long_with_its_ending(
    tmp_path: Path, resized: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Is a fault of the input."""
    source = with_names(tmp_path / "in", ["a" * 254, "b.png"])
    words = {"input_image_transform_path": resized, "output_path": tmp_path / "out"}
    assert step(apply_image_transformation, input_image_dir_path=source, **words) == 1
    assert capsys.readouterr().err.startswith("InvalidDatasetError (0018): input_image_directory: ")


def test_empty_objects_are_scored(run: Run, arguments: Arguments, tmp_path: Path) -> None:
    """As text: Parquet has no form for them."""
    source = with_names(tmp_path / "in", ["a.png", "b.png"])
    schema = json.loads((source / "_schema.json").read_text())
    element = {"typeName": "object", "isNullable": False}
    column = {"name": "notes", "type": "Object", "isFeature": False, "elementType": element}
    schema["columnAttributes"].append(column)
    (source / "_schema.json").write_text(json.dumps(schema))
    listed = [{**row, "notes": {"a": {}}} for row in rows(source)]
    (source / "images.lst").write_text("\n".join(map(json.dumps, listed)))
    train(run, {})
    words = {"trained-model": output_of(arguments), "scored-dataset": tmp_path / "scored"}
    assert step(score_image_model, dataset=source, **words) == 0
    table = pyarrow.parquet.read_table(tmp_path / "scored" / "_data.parquet")
    assert table["notes"].to_pylist() == ['{"a": {}}'] * 2


@pytest.mark.parametrize("depth", [100, 1900])
def test_an_archive_that_is_too_deep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], depth: int
) -> None:
    """Is refused, member by member."""
    with zipfile.ZipFile(tmp_path / "deep.zip", "w") as archive:
        archive.writestr("a/" * depth + "x.png", b"x")
    words = {"input_path": tmp_path / "deep.zip", "output_path": tmp_path / "out"}
    assert step(convert_to_image_directory, **words) == 1
    err = capsys.readouterr().err
    assert "lies more than 64 folders deep" in err
    assert len(err.splitlines()) == 1


def test_what_lies_beside_an_archive_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The archive alone is the input, as in the original."""
    inner = class_folders(tmp_path / "inner", {"cat": 1, "dog": 1})
    source = class_folders(tmp_path / "in", {"others": 2})
    with zipfile.ZipFile(source / "images.zip", "w") as archive:
        for path in inner.rglob("*.png"):
            archive.write(path, path.relative_to(inner))
    out = tmp_path / "out"
    assert step(convert_to_image_directory, input_path=source, output_path=out) == 0
    assert "warning: input_dataset: 'others' in " in capsys.readouterr().err
    assert len(rows(out)) == 2


def test_a_directory_that_is_too_deep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is refused in a line, however deep."""
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    for _ in range(1500):
        os.mkdir("a")
        os.chdir("a")
    os.chdir(tmp_path)
    words = {"input_path": tmp_path / "in", "output_path": tmp_path / "out"}
    try:
        assert step(convert_to_image_directory, **words) == 1
    finally:  # pytest, before Python 3.13, cannot remove it
        subprocess.run(["rm", "-rf", str(tmp_path / "in")], check=True)
    err = capsys.readouterr().err
    assert "is 64 folders deep, expected images that lie less deep" in err
    assert len(err.splitlines()) == 1


def test_images_63_folders_deep(tmp_path: Path) -> None:
    """Are still images, and can be read again."""
    folder = tmp_path / "in" / Path(*["a"] * 63)
    folder.mkdir(parents=True)
    picture(0).save(folder / "x.png")
    words = {"input_path": tmp_path / "in", "output_path": tmp_path / "out"}
    assert step(convert_to_image_directory, **words) == 0
    assert len(rows(tmp_path / "out")) == 1
    assert len(read_image_directory(tmp_path / "out", "p")) == 1


def test_a_second_column_of_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Is not lost without a word."""
    source = with_names(tmp_path / "in", ["a.png", "b.png"])
    schema = json.loads((source / "_schema.json").read_text())
    image = schema["columnAttributes"][0]
    schema["columnAttributes"].append({**image, "name": "depth"})
    (source / "_schema.json").write_text(json.dumps(schema))
    words = {"input_path": source, "output_path": tmp_path / "out"}
    assert step(convert_to_image_directory, **words) == 1
    err = capsys.readouterr().err
    assert "found more columns of images than one ('depth'), expected one" in err
    assert len(err.splitlines()) == 1
