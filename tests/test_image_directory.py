"""Every form of an ImageDirectory loads, and what is read is what is on disk."""

import copy
import csv
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Arguments, Run, class_folders, picture, refused
from tests.loading import load
from train_pytorch_model.errors import InvalidDatasetError
from train_pytorch_model.ports.image_directory import (
    labelled,
    read_image_directory,
    samples,
    with_labels_of,
)
from train_pytorch_model.ports.image_set import UNLABELLED, ImageSet

Document = dict[str, Any]
Rows = list[Document]

META = "type: ImageDirectory\nextension: {}\nimage_list: images.lst\nschema: _schema.json\n"


def categories_of(*names: object, ids: tuple[object, ...] = ()) -> Rows:
    """The categories of a schema: numbered from 0, or by ``ids``."""
    numbers = ids or range(len(names))
    return [{"id": i, "name": name} for i, name in zip(numbers, names, strict=True)]


def schema_of(categories: object, **columns: str) -> Document:
    """A ``_schema.json`` as Convert to Image Directory writes it; ``columns`` are name=type."""
    image = {"mime_type": "image/png", "image_ref": "image_info"}
    label = {"annotation_type": "COCO_classification", "categories": categories}
    described: list[tuple[str, str, Document | None]] = [
        ("image", "bytes", image),
        ("category", "str", label),
        *((name, kind, None) for name, kind in {"id": "int64", **columns}.items()),
    ]
    return {
        "columnAttributes": [
            {
                "name": name,
                "type": "Bytes" if kind == "bytes" else "String",
                "isFeature": kind == "bytes",
                "elementType": {"typeName": kind, "isNullable": False},
                **({"properties": properties} if properties else {}),
            }
            for name, kind, properties in described
        ]
    }


def rows_of(labels: list[Any], **changes: list[Any]) -> Rows:
    """Lines of ``images.lst``: an image ``image/0.png`` … per label; ``changes`` are columns."""
    return [
        {"image_info": {"file_name": f"image/{i}.png"}, "category": label, "id": i}
        | {name: values[i] for name, values in changes.items()}
        for i, label in enumerate(labels)
    ]


def json_lines(rows: Rows) -> str:
    """The text of ``images.lst``."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def describe(root: Path, rows: Rows, schema: Document, meta: str = META) -> Path:
    """Write the three files of metadata into ``root``."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "_meta.yaml").write_text(meta)
    (root / "images.lst").write_text(json_lines(rows))
    (root / "_schema.json").write_text(json.dumps(schema, indent=2))
    return root


def with_metadata(
    root: Path, labels: list[Any], schema: Document | None = None, **changes: list[Any]
) -> Path:
    """Write an ImageDirectory with metadata, of 8x8 pictures in ``image/``."""
    (root / "image").mkdir(parents=True)
    for i in range(len(labels)):
        picture(i, size=8).save(root / f"image/{i}.png")
    return describe(
        root, rows_of(labels, **changes), schema or schema_of(categories_of("cat", "dog"))
    )


def coco_of(files: Mapping[str, int], categories: Rows) -> Document:
    """COCO annotations: file name → category id."""
    numbered = list(enumerate(files.items(), start=1))
    return {
        "images": [{"id": i, "file_name": name} for i, (name, _) in numbered],
        "annotations": [{"id": 9 * i, "image_id": i, "category_id": c} for i, (_, c) in numbered],
        "categories": categories,
    }


def values_of(image_set: ImageSet) -> dict[str, Any]:
    """All that two equal image sets agree in."""
    urls = [image_set.url(i) for i in range(len(image_set))]
    columns = {name: values.to_pylist() for name, values in image_set.columns.items()}
    names = [image_set.file(i) for i in range(len(image_set))]
    labels = image_set.labels.tolist()
    return {"files": names, "urls": urls, "labels": labels, "columns": columns}


def history(output: object) -> list[dict[str, str]]:
    """The rows of a run's ``history.csv`` but for what time decides."""
    with open(Path(str(output)) / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    timed = ("images_per_second", "seconds")
    return [{name: v for name, v in row.items() if name not in timed} for row in rows]


# --- with metadata ---


def test_with_metadata(tmp_path: Path) -> None:
    """Files, labels, columns and classes."""
    found = read_image_directory(with_metadata(tmp_path / "d", ["dog", "cat", "dog"]), "p")
    assert values_of(found) == {
        "files": ["image/0.png", "image/1.png", "image/2.png"],
        "urls": [None, None, None],
        "labels": [1, 0, 1],
        "columns": {"category": ["dog", "cat", "dog"], "id": [0, 1, 2]},
    }
    assert found.schema.classes == ("cat", "dog")
    assert labelled(found) is found
    loaded = load(found)
    assert loaded.labels.tolist() == [1, 0, 1]
    for i in range(3):
        np.testing.assert_array_equal(loaded.pixels[i].numpy(), np.asarray(picture(i, size=8)))


BOM = b"\xef\xbb\xbf"
Rewrite = Callable[[bytes], bytes]


@pytest.mark.parametrize("name", ["_meta.yaml", "images.lst", "_schema.json"])
@pytest.mark.parametrize(
    "rewrite",
    [
        lambda content: BOM + content,
        lambda content: content.replace(b"\n", b"\r\n"),
        lambda content: content.rstrip(b"\n"),
        lambda content: b"\n" + content.replace(b"\n", b"\n\n") + b"\n\n",
        lambda content: BOM + content.rstrip(b"\n").replace(b"\n", b"\r\n\r\n"),
    ],
    ids=["BOM", "CRLF", "no last newline", "blank lines", "all of it"],
)
@pytest.mark.parametrize("labels", [["cat", "dog"], ["cat", 7]], ids=["fast", "line by line"])
def test_how_the_three_files_are_written_is_indifferent(
    tmp_path: Path, name: str, rewrite: Rewrite, labels: list[Any]
) -> None:
    """Editors and other systems add and drop these."""
    schema = schema_of(categories_of("cat", "dog", "7"))
    root = with_metadata(tmp_path / "d", labels, schema)
    before = values_of(read_image_directory(root, "p"))
    (root / name).write_bytes(rewrite((root / name).read_bytes()))
    assert values_of(read_image_directory(root, "p")) == before


def test_a_line_may_hold_more_or_less_than_the_schema(tmp_path: Path) -> None:
    """Keys without a column are passed over; a column without a key is empty."""
    schema = schema_of(categories_of("cat", "dog"), note="str", weight="float64")
    root = with_metadata(tmp_path / "d", ["cat", "dog"], schema, other=[{"a": [1]}, "text"])
    rows = rows_of(["cat", "dog"], other=[{"a": [1]}, "text"])
    rows[0]["note"] = "first"
    rows[0]["image_info"] |= {"width": 8, "height": 8, "id": 3, "license": None}
    describe(root, rows, schema)
    columns = values_of(read_image_directory(root, "p"))["columns"]
    assert columns["note"] == ["first", None]
    assert columns["weight"] == [None, None]
    assert "other" not in columns


@pytest.mark.parametrize("id_", [0, "x"], ids=["fast", "line by line"])
def test_base_file_name_is_where_the_file_is(tmp_path: Path, id_: object) -> None:
    """When it is set; an empty or null one is not."""
    rows = rows_of(["cat", "dog", "cat", "dog"], id=[id_, 1, 2, 3])
    rows[0]["image_info"] = {"file_name": "elsewhere.png", "base_file_name": "image/0.png"}
    rows[1]["image_info"]["base_file_name"] = ""
    rows[2]["image_info"]["base_file_name"] = None
    root = with_metadata(tmp_path / "d", ["cat"] * 4)
    describe(root, rows, schema_of(categories_of("cat", "dog")))
    found = read_image_directory(root, "p")
    assert values_of(found)["files"] == [f"image/{i}.png" for i in range(4)]


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("id", ["007", "x"], ["007", "x"]),
        ("id", [1.5, 2], [1.5, 2.0]),
        ("id", [None, 3], [None, 3]),
        ("id", [10**25, 1], [str(10**25), "1"]),
        ("extra", [1, "one"], ["1", '"one"']),
        ("extra", [True, 2], ["true", "2"]),
        ("extra", [{"a": 1}, [2]], ['{"a": 1}', "[2]"]),
        ("extra", ["\ud800", "b"], ['"\\ud800"', '"b"']),
        ("extra", ["2020-01-01", "12:00"], ["2020-01-01", "12:00"]),
        ("extra", ["x" * 2_000_000, ""], ["x" * 2_000_000, ""]),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_other_columns_are_kept(
    tmp_path: Path, column: str, values: list[Any], expected: list[Any]
) -> None:
    """Whatever they hold; where their values are of several types, as JSON."""
    schema = schema_of(categories_of("cat", "dog"), extra="str")
    root = with_metadata(tmp_path / "d", ["cat", "dog"], schema, **{column: values})
    assert values_of(read_image_directory(root, "p"))["columns"][column] == expected


def test_the_fast_and_the_careful_reader_agree(tmp_path: Path) -> None:
    """On more lines than one block of the fast one holds."""
    count = 20_000
    labels: list[Any] = [("cat", "dog", "", None)[i % 4] for i in range(count)]
    schema = schema_of(categories_of("cat", "dog"), note="str")
    notes = [f"é {i}" * 3 for i in range(count)]
    root = describe(tmp_path / "fast", rows_of(labels, note=notes), schema)
    fast = values_of(read_image_directory(root, "p"))
    labels[0] = 7  # a number, which only the careful reader takes
    categories = categories_of("cat", "dog", 7)
    schema = schema_of(categories, note="str")
    root = describe(tmp_path / "careful", rows_of(labels, note=notes), schema)
    careful = values_of(read_image_directory(root, "p"))
    assert careful["labels"][0] == 2
    for name in ("files", "urls", "labels"):
        assert fast[name][1:] == careful[name][1:]
    assert fast["columns"]["note"] == careful["columns"]["note"]


@pytest.mark.parametrize("labels", [[3, 4], ["3", "4"], [3, "4"]])
@pytest.mark.parametrize("names", [(3, 4), ("3", "4")])
def test_integer_categories(
    tmp_path: Path, labels: list[object], names: tuple[object, ...]
) -> None:
    """A number is its text, on either side."""
    root = with_metadata(tmp_path / "d", labels, schema_of(categories_of(*names)))
    found = read_image_directory(root, "p")
    assert found.schema.classes == ("3", "4")
    assert found.labels.tolist() == [0, 1]


@pytest.mark.parametrize("kind", ["int64", "float64", "bool", "str"])
def test_labels_of_a_column_of_another_kind(tmp_path: Path, kind: str) -> None:
    """A number is the name that it writes, whatever the schema says of the column."""
    schema = schema_of(categories_of("0", "1"))
    label = schema["columnAttributes"][1]
    label["elementType"]["typeName"] = kind
    label["properties"]["annotation_type"] = "COCO_x"
    found = read_image_directory(with_metadata(tmp_path, [0, 1, 1, None], schema), "p")
    assert found.labels.tolist() == [0, 1, 1, UNLABELLED]


def test_a_column_without_a_name_is_no_label(tmp_path: Path) -> None:
    """As pandas calls an index."""
    schema = schema_of(categories_of("cat", "dog"))
    del schema["columnAttributes"][1]
    schema["columnAttributes"][1] |= {"name": "", "elementType": {"typeName": "int64"}}
    found = read_image_directory(with_metadata(tmp_path, [0, 0], schema, **{"": [5, 6]}), "p")
    assert found.labels.tolist() == [UNLABELLED] * 2
    assert found.columns[""].to_pylist() == [5, 6]


@pytest.mark.parametrize("name", [" cat ", "CAT", "猫", "a,b", 'q"', "line\nbreak", "NA", "01"])
def test_names_of_categories_are_taken_as_they_are(tmp_path: Path, name: str) -> None:
    """Not trimmed, not folded, not parsed."""
    schema = schema_of(categories_of(name, name.strip().lower() + "!"))
    found = read_image_directory(with_metadata(tmp_path / "d", [name], schema), "p")
    assert found.labels.tolist() == [0]
    assert found.schema.classes[0] == name


def test_gaps_between_ids_are_classes_named_others(tmp_path: Path) -> None:
    """The number of classes is the highest id + 1, and the order that of the ids."""
    schema = schema_of(categories_of("dog", "cat", ids=(4, 1)))
    found = read_image_directory(with_metadata(tmp_path / "d", ["dog", "cat"], schema), "p")
    assert found.schema.classes == ("0", "cat", "2", "Others", "dog")
    assert found.labels.tolist() == [4, 1]


@pytest.mark.parametrize("first", ["cat", 7], ids=["fast", "line by line"])
def test_images_without_a_label_are_left_out(tmp_path: Path, first: object) -> None:
    """Empty, null or absent; the other images keep their columns."""
    labels = [first, "", None, "dog", "absent"]
    rows = rows_of(labels)
    del rows[4]["category"]
    root = with_metadata(tmp_path / "d", labels)
    describe(root, rows, schema_of(categories_of("cat", "dog", "7")))
    found = read_image_directory(root, "p")
    assert found.labels.tolist()[1:] == [UNLABELLED, UNLABELLED, 1, UNLABELLED]
    kept = values_of(labelled(found))
    assert kept["files"] == ["image/0.png", "image/3.png"]
    assert kept["columns"]["id"] == [0, 3]


def test_annotations_of_one_category_are_a_label(tmp_path: Path) -> None:
    """A COCO data set that was converted; captions and empty lists are none."""
    lists = [
        [{"category_id": 5, "bbox": [0, 0, 1, 1]}, {"category_id": 5, "bbox": [1, 1, 2, 2]}],
        [{"category_id": 2}],
        [],
        [{"caption": "a cat"}],
    ]
    schema = schema_of(categories_of("cat", "dog", ids=(2, 5)))
    label = schema["columnAttributes"][1]
    label["elementType"]["typeName"] = "list"
    label["properties"]["annotation_type"] = "COCO_object_detection"
    found = read_image_directory(with_metadata(tmp_path / "d", lists, schema), "p")
    assert found.labels.tolist() == [5, 2, UNLABELLED, UNLABELLED]


def test_other_names_of_files_and_columns(tmp_path: Path) -> None:
    """Those that the metadata gives."""
    root = tmp_path / "d"
    (root / "lists").mkdir(parents=True)
    picture(0, size=8).save(root / "0.png")
    schema = schema_of(categories_of("cat", "dog"))
    image, label = schema["columnAttributes"][:2]
    image["name"], image["properties"]["image_ref"], label["name"] = "photo", "file", "kind"
    (root / "_meta.yaml").write_text("type: 1\nimage_list: lists/a.txt\nschema: lists/b.txt\n")
    (root / "lists/a.txt").write_text('{"file": {"file_name": "0.png"}, "kind": "dog"}')
    (root / "lists/b.txt").write_text(json.dumps(schema))
    found = read_image_directory(root, "p")
    assert (found.schema.image_column, found.schema.label_column) == ("photo", "kind")
    assert found.labels.tolist() == [1]
    assert list(samples(found)[0]) == ["photo", "kind", "id"]


# --- class folders ---


def test_class_folders(tmp_path: Path) -> None:
    """Exactly ``category/image``: everything else is passed over, as by the original."""
    root = tmp_path / "d"
    names = ["b/1.PNG", "b/0.JpEg", "a/x.jpg", "a/y.webp", ".hidden/z.bmp", "b/t.TIFF", "b/s.tif"]
    names += ["a/p.ppm", "a/g.pgm"]
    passed_over = ["a/anim.gif", "a/notes.txt", "root.png", "deep/er/0.png", "a/er/0.png", "a/.png"]
    for name in names + passed_over:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        format_ = "PNG" if name.endswith((".txt", "/.png")) else None
        mode = "L" if name.endswith(".pgm") else "RGB"
        picture(0, size=8).convert(mode).save(root / name, format_)
    (root / "empty").mkdir()
    (root / "a/folder.png").mkdir()
    found = read_image_directory(root, "p")
    assert values_of(found)["files"] == sorted(names)
    assert found.schema.classes == (".hidden", "a", "b")
    expected = [name.split("/", maxsplit=1)[0] for name in sorted(names)]
    assert values_of(found)["columns"] == {"category": expected, "id": list(range(len(names)))}
    assert [found.schema.classes[i] for i in found.labels] == expected
    assert len(load(found)) == len(names)


def test_file_names_that_are_not_utf_8(tmp_path: Path) -> None:
    """Names of files are bytes; they need not be text."""
    root = class_folders(tmp_path / "d", {"cat": 1, "dog": 1}, size=8)
    name = os.fsdecode(b"caf\xe9.png")
    picture(9, size=8).save(root / "cat" / name)
    found = read_image_directory(root, "p")
    assert f"cat/{name}" in values_of(found)["files"]
    assert len(load(found)) == 3
    assert len(samples(found)) == 3


# --- COCO ---


def coco(root: Path, document: Document, name: str = "annotations.json") -> Path:
    """Write the annotations beside four pictures in ``i/``."""
    (root / "i").mkdir(parents=True, exist_ok=True)
    for i in range(4):
        picture(i, size=8).save(root / f"i/{i}.png")
    (root / name).write_text(json.dumps(document))
    return root


COCO = coco_of({"i/0.png": 9, "i/1.png": 4, "i/2.png": 9}, categories_of("cat", "dog", ids=(9, 4)))


def test_coco(tmp_path: Path) -> None:
    """Classes are the categories in the order of their ids, without gaps."""
    document = copy.deepcopy(COCO)
    document["annotations"].append(
        {"id": 99, "image_id": 1, "category_id": 9, "bbox": [0, 0, 1, 1]}
    )
    document["images"].append({"id": 77, "file_name": "i/3.png"})
    document["annotations"].append({"id": 100, "image_id": 77, "caption": "no category"})
    found = read_image_directory(coco(tmp_path, document), "p")
    assert found.schema.classes == ("dog", "cat")
    assert values_of(found) == {
        "files": ["i/0.png", "i/1.png", "i/2.png", "i/3.png"],
        "urls": [None] * 4,
        "labels": [1, 0, 1, UNLABELLED],
        "columns": {"id": [1, 2, 3, 77], "category": ["cat", "dog", "cat", None]},
    }
    assert len(load(labelled(found))) == 3


def test_coco_is_the_first_json_that_is_annotations(tmp_path: Path) -> None:
    """By name; other JSON files, and a BOM, do not matter."""
    coco(tmp_path, {"info": "no annotations"}, "a.json")
    coco(tmp_path, COCO, "c.json")
    coco(tmp_path, coco_of({"i/3.png": 1}, categories_of("x", "y")), "d.json")
    (tmp_path / "b.json").write_text("not JSON")
    content = (tmp_path / "c.json").read_bytes()
    (tmp_path / "c.json").write_bytes(BOM + content)
    assert len(read_image_directory(tmp_path, "p")) == 3


def test_coco_ids_may_be_text(tmp_path: Path) -> None:
    """Of images; categories may have any integer."""
    document = coco_of(
        {"i/0.png": -3, "i/1.png": 10**20}, categories_of("a", "b", ids=(-3, 10**20))
    )
    for image, annotation in zip(document["images"], document["annotations"], strict=True):
        image["id"] = annotation["image_id"] = f"no {image['id']}"
    found = read_image_directory(coco(tmp_path, document), "p")
    assert found.labels.tolist() == [0, 1]
    assert values_of(found)["columns"]["id"] == ["no 1", "no 2"]


def test_coco_behind_a_link_that_leads_out_is_not_passed_over(tmp_path: Path) -> None:
    """Its folders are no categories; a folder of such a name is nothing, as is a Mac's file."""
    class_folders(tmp_path / "in", {"train": 2, "val": 2})
    (tmp_path / "in" / "folder.json").mkdir()
    (tmp_path / "in" / "._annotations.json").write_bytes(b"\0\5\x16\7 of a Mac")
    assert read_image_directory(tmp_path / "in", "p").schema.classes == ("train", "val")
    coco(tmp_path / "other", COCO)
    (tmp_path / "in" / "annotations.json").symlink_to("../other/annotations.json")
    with pytest.raises(InvalidDatasetError, match=r"'annotations.json' \(a link leads out"):
        read_image_directory(tmp_path / "in", "p")


# --- through the front door ---


def test_every_form_trains_to_the_same_model(
    run: Run, arguments: Arguments, training: Path, tmp_path: Path
) -> None:
    """Class folders, the same with metadata, and as COCO."""
    files = sorted(f"{f.parent.name}/{f.name}" for f in training.rglob("*.png"))
    labels = [name.split("/", maxsplit=1)[0] for name in files]
    rows = [
        {"image_info": {"file_name": name}, "category": label, "id": i}
        for i, (name, label) in enumerate(zip(files, labels, strict=True))
    ]
    metadata = shutil.copytree(training, tmp_path / "metadata")
    describe(metadata, rows, schema_of(categories_of("cat", "dog")))
    coco_form = shutil.copytree(training, tmp_path / "coco")
    document = coco_of(
        {name: {"cat": 3, "dog": 8}[label] for name, label in zip(files, labels, strict=True)},
        categories_of("cat", "dog", ids=(3, 8)),
    )
    (coco_form / "labels.json").write_text(json.dumps(document))
    histories = []
    for form in (training, metadata, coco_form):
        output = tmp_path / f"trained {form.name}"
        code, err = run({"--train-data-path": form, "--trained-model-path": output})
        assert code == 0, err
        histories.append(history(output))
        assert len(json.loads((output / "_samples.json").read_text())) == 3
    assert histories[0] == histories[1] == histories[2]


def test_images_without_a_label_are_told(run: Run, training: Path, tmp_path: Path) -> None:
    """Once, with their number; training goes on without them."""
    root = shutil.copytree(training, tmp_path / "data")
    rows = [
        {"image_info": {"file_name": f"{label}/{i:03}.png"}, "category": label, "id": i}
        for i in range(6)
        for label in ("cat", "dog")
    ]
    rows[3]["category"], rows[4]["category"] = "", None
    del rows[5]["category"]
    describe(root, rows, schema_of(categories_of("cat", "dog")))
    code, err = run({"--train-data-path": root})
    assert code == 0, err
    told = [line for line in err.splitlines() if "have no label" in line]
    assert told == [
        "warning: training_dataset: 3 of 12 images have no label and are left out.",
    ]


def described(source: Path, root: Path, ids: tuple[object, ...]) -> Path:
    """Class folders of cats and dogs with metadata in which the categories have these ids."""
    shutil.copytree(source, root)
    files = sorted(f"{f.parent.name}/{f.name}" for f in root.rglob("*.png"))
    rows = [
        {"image_info": {"file_name": name}, "category": name.split("/", maxsplit=1)[0], "id": i}
        for i, name in enumerate(files)
    ]
    return describe(root, rows, schema_of(categories_of("cat", "dog", ids=ids)))


def test_labels_are_matched_by_name(
    run: Run, arguments: Arguments, training: Path, validation: Path, tmp_path: Path
) -> None:
    """Validation whose categories have other ids, or another order, scores the very same."""
    code, err = run()
    assert code == 0, err
    expected = history(arguments["--trained-model-path"])
    output = tmp_path / "trained with other ids"
    valid = described(validation, tmp_path / "validation", (7, 2))
    code, err = run({"--valid-data-path": valid, "--trained-model-path": output})
    assert code == 0, err
    assert history(output) == expected


def test_matching_numbers_each_image_as_in_training(tmp_path: Path) -> None:
    """In every pair of orders, with gaps on either side."""
    labels = ["cat", "dog", "eel", "dog"]
    names = ("cat", "dog", "eel")
    for there in ((0, 1, 2), (2, 0, 1), (5, 3, 9)):
        for here in ((0, 1, 2), (1, 2, 0), (8, 4, 0)):
            sides = [
                read_image_directory(
                    with_metadata(
                        tmp_path / f"{there} {here} {side}",
                        labels,
                        schema_of(categories_of(*names, ids=ids)),
                    ),
                    side,
                )
                for side, ids in (("training", there), ("validation", here))
            ]
            matched = with_labels_of(sides[1], sides[0])
            assert matched.labels.tolist() == sides[0].labels.tolist()
            assert [matched.schema.classes[i] for i in matched.labels] == labels


def test_gaps_reach_the_trained_model(
    run: Run, arguments: Arguments, training: Path, tmp_path: Path
) -> None:
    """As classes that the original's Score names as well."""
    root = described(training, tmp_path / "data", (3, 1))
    code, err = run({"--train-data-path": root})
    assert code == 0, err
    written = Path(str(arguments["--trained-model-path"])) / "index_to_label.csv"
    lines = [",label", "0,0", "1,dog", "2,Others", "3,cat"]
    assert written.read_text().splitlines() == lines


@pytest.mark.parametrize(
    ("train", "valid", "told"),
    [
        ("cat dog eel", "cat dog", ["1 missing in validation_dataset: 'eel'"]),
        ("cat dog", "cat dog eel", ["1 missing in training_dataset: 'eel'"]),
        (
            "cat dog ant",
            "cat dog eel fox",
            [
                "1 missing in validation_dataset: 'ant'",
                "2 missing in training_dataset: 'eel'; 'fox'",
            ],
        ),
        ("cat dog", "Cat dog", ["validation_dataset: 'cat'", "training_dataset: 'Cat'"]),
        ("cat dog", "cat dog\n", ["validation_dataset: 'dog'", r"training_dataset: 'dog\n'"]),
    ],
)
def test_categories_must_be_the_same_names(
    run: Run, arguments: Arguments, tmp_path: Path, train: str, valid: str, told: list[str]
) -> None:
    """In both directions; the message lists what is missing on which side."""
    sides = {
        flag: class_folders(tmp_path / flag, dict.fromkeys(names.split(" "), 1), size=8)
        for flag, names in (("--train-data-path", train), ("--valid-data-path", valid))
    }
    start = "InvalidDatasetError (0018): training_dataset and validation_dataset: categories differ"
    line = refused(run, arguments, sides, start)
    for part in told:
        assert part in line
    assert line.count(" missing in ") == len(told)


def test_many_missing_categories_are_counted(
    run: Run, arguments: Arguments, tmp_path: Path
) -> None:
    """The first ten are named."""
    counts = dict.fromkeys([f"c{i:02}" for i in range(25)], 1)
    root = class_folders(tmp_path / "many", {"cat": 1, "dog": 1, **counts}, size=8)
    line = refused(run, arguments, {"--valid-data-path": root}, "InvalidDatasetError (0018): ")
    assert "25 missing in training_dataset: 'c00'; 'c01'" in line
    assert "'c09'; … and 15 more" in line
    assert "'c10'" not in line


def test_modes_may_be_mixed(tmp_path: Path) -> None:
    """Within one directory: all become RGB of the same size."""
    root = class_folders(tmp_path / "d", {"cat": 1, "dog": 1}, size=8)
    for mode in ("1", "L", "LA", "P", "RGBA"):
        picture(1, size=8).convert(mode).save(root / f"cat/{mode}.png")
    for mode in ("CMYK", "YCbCr", "I", "F"):
        source = picture(1, size=8).convert("L") if mode in "IF" else picture(1, size=8)
        ending = "jpg" if mode == "YCbCr" else "tif"
        source.convert(mode).save(root / f"dog/{mode}.{ending}")
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(root / "dog/deep.png")
    loaded = load(read_image_directory(root, "p"))
    assert tuple(loaded.pixels.shape) == (12, 8, 8, 3)
    assert loaded.unreadable == ()
