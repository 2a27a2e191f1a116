"""Convert to Image Directory: what it makes of folders, archives and COCO."""

import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.archives import GOOD, PACKERS, Entries, below, png, tar_of, zip_of
from tests.conftest import Arguments, Run, class_folders, picture
from tests.scoring import score
from tests.test_training import output_of, train
from train_pytorch_model.companions import convert_to_image_directory
from train_pytorch_model.errors import InvalidDatasetError
from train_pytorch_model.ports.image_directory import read_image_directory


def convert(source: Path, target: Path) -> int:
    """Run Convert to Image Directory."""
    words = ["--input_path", str(source), "--output_path", str(target)]
    return convert_to_image_directory.main(words)


def test_class_folders_become_an_image_directory(training: Path, tmp_path: Path) -> None:
    """The same images, labels and categories, in the original's names and files."""
    assert convert(training, tmp_path / "out") == 0
    out = tmp_path / "out"
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    images = {f"image/{i // 6}_{i}.png" for i in range(12)}
    assert files == {"_meta.yaml", "_samples.json", "_schema.json", "images.lst", *images}
    lines = (out / "images.lst").read_text().splitlines()
    first = {"image_info": {"file_name": "image/0_0.png"}, "category": "cat", "id": 0}
    assert json.loads(lines[0]) == first
    before, after = read_image_directory(training, "a"), read_image_directory(out, "b")
    assert before.schema == after.schema
    assert before.labels.tolist() == after.labels.tolist()
    for index in range(12):
        source, copy = training / before.file(index), out / after.file(index)
        assert source.read_bytes() == copy.read_bytes()


def test_an_image_directory_is_copied(training: Path, tmp_path: Path) -> None:
    """With its names and its labels, an empty one too."""
    assert convert(training, tmp_path / "one") == 0
    rows = (tmp_path / "one" / "images.lst").read_text().splitlines()
    rows[0] = rows[0].replace('"category": "cat"', '"category": ""')
    (tmp_path / "one" / "images.lst").write_text("\n".join(rows))
    assert convert(tmp_path / "one", tmp_path / "two") == 0
    lines = (tmp_path / "two" / "images.lst").read_text().splitlines()
    listed = [json.loads(row) for row in rows]
    assert [json.loads(line) for line in lines] == listed
    for row in listed:
        name = row["image_info"]["file_name"]
        one, two = (tmp_path / folder / name for folder in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_images_without_labels_keep_their_paths(tmp_path: Path) -> None:
    """Below ``image``."""
    (tmp_path / "in" / "x" / "y").mkdir(parents=True)
    picture(1).save(tmp_path / "in" / "b c.png")
    picture(2).save(tmp_path / "in" / "x" / "y" / "0.png")
    assert convert(tmp_path / "in", tmp_path / "out") == 0
    images = read_image_directory(tmp_path / "out", "dataset")
    assert [images.file(i) for i in range(2)] == ["image/b c.png", "image/x/y/0.png"]
    assert images.schema.label_column is None


@pytest.mark.parametrize("what", ["nothing", "no images", "a file that is gone"])
def test_what_cannot_be_converted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    """Is told in one line, and nothing is written."""
    source = tmp_path / "in"
    if what == "no images":
        source.mkdir()
    elif what == "a file that is gone":
        class_folders(source, {"cat": 1, "dog": 1})
        (source / "cat" / "gone.png").symlink_to("nowhere.png")
    assert convert(source, tmp_path / "out") == 1
    err = capsys.readouterr().err
    assert err.startswith("InvalidDatasetError (0018): input_dataset: ")
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


# --- archives ---


def written(folder: Path) -> dict[str, bytes]:
    """Path → content of every file of a directory."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def unpack(entries: Entries, folder: Path) -> Path:
    """Write files without an archive."""
    for name, content in entries.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def converted(content: bytes, folder: Path, name: str = "images.zip") -> Path:
    """Convert an archive; returns the output."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    assert convert(folder / name, folder / "out") == 0
    return folder / "out"


@pytest.mark.parametrize("ending", PACKERS)
@pytest.mark.parametrize("where", ["itself", "in a folder", "in capitals", "named otherwise"])
def test_an_archive_is_what_is_in_it(tmp_path: Path, ending: str, where: str) -> None:
    """Named, or alone in a folder; the same files as of the folder."""
    assert convert(unpack(GOOD, tmp_path / "folder"), tmp_path / "expected") == 0
    name = {"in capitals": f"A{ending.upper()}", "named otherwise": "images"}.get(
        where, "a" + ending
    )
    source = tmp_path / "in" / name
    source.parent.mkdir()
    source.write_bytes(PACKERS[ending](GOOD))
    is_named = where in ("itself", "named otherwise")
    assert convert(source if is_named else source.parent, tmp_path / "out") == 0
    assert written(tmp_path / "out") == written(tmp_path / "expected")


LITTER = {"__MACOSX/._cat": b"x", "__MACOSX/cat/._0.png": b"x", "cat/._0.png": b"x", "._cat": b"x"}


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        pytest.param(below("data", GOOD), GOOD, id="one folder"),
        pytest.param(below("a/b/c", GOOD), GOOD, id="one folder in another"),
        pytest.param(LITTER | GOOD | {".DS_Store": b"x"}, GOOD, id="litter"),
        pytest.param(LITTER | below("data", GOOD), GOOD, id="litter beside a folder"),
        pytest.param({"readme.txt": b"x"} | below("data", GOOD), GOOD, id="a text beside a folder"),
        pytest.param({"a.zip": zip_of(GOOD)} | GOOD, GOOD, id="an archive in it"),
        pytest.param({"dog/0.png": GOOD["dog/0.png"]}, None, id="one category"),
        pytest.param(
            {"data/dog/0.png": GOOD["dog/0.png"]},
            {"dog/0.png": GOOD["dog/0.png"]},
            id="one category in a folder",
        ),
        pytest.param({"0.png": png(), "1.png": png(1)}, None, id="no folder"),
        pytest.param(below("train", GOOD) | below("test", GOOD), None, id="two folders of folders"),
        pytest.param({".hidden/0.png": png()} | GOOD, None, id="a hidden category"),
    ],
)
def test_which_folder_of_an_archive_counts(
    tmp_path: Path, entries: Entries, expected: Entries | None
) -> None:
    """The one that holds everything; what a Mac adds does not count."""
    assert convert(unpack(expected or entries, tmp_path / "in"), tmp_path / "expected") == 0
    for ending in (".zip", ".tar"):
        out = converted(PACKERS[ending](entries), tmp_path / ending, "a" + ending)
        assert written(out) == written(tmp_path / "expected")


def test_litter_in_a_folder(tmp_path: Path) -> None:
    """Is passed over, and stays where it is."""
    assert convert(unpack(GOOD, tmp_path / "good"), tmp_path / "expected") == 0
    littered = unpack({"__MACOSX/0.png": png()} | LITTER | GOOD, tmp_path / "in")
    assert convert(littered, tmp_path / "out") == 0
    assert written(tmp_path / "out") == written(tmp_path / "expected")
    assert (littered / "__MACOSX" / "0.png").exists()


def test_an_archive_of_an_image_directory(training: Path, tmp_path: Path) -> None:
    """Comes out as it went in, whatever its files are called."""
    assert convert(training, tmp_path / "one") == 0
    (tmp_path / "one" / "image" / "0_0.png").rename(tmp_path / "one" / "image" / "0")
    lines = (tmp_path / "one" / "images.lst").read_text().replace("0_0.png", "0")
    (tmp_path / "one" / "images.lst").write_text(lines)
    entries = written(tmp_path / "one")
    assert written(converted(zip_of(below("one", entries)), tmp_path / "zip")) == entries


@pytest.mark.parametrize(
    ("name", "category"),
    [
        pytest.param("é".encode(), "é", id="UTF-8 that is not marked"),
        pytest.param(b"\x82t\x82", "été", id="code page 437"),
        pytest.param("日本 🦊".encode(), "日本 🦊", id="more"),
    ],
)
def test_names_in_a_zip(tmp_path: Path, name: bytes, category: str) -> None:
    """Of a Mac they are UTF-8 and not marked as such."""
    content = zip_of({f"{'x' * len(name)}/0.png": png(), "a/0.png": png()})
    out = converted(content.replace(b"x" * len(name), name), tmp_path / "in")
    assert category in read_image_directory(out, "p").schema.classes
    assert len(read_image_directory(out, "p")) == 2


@pytest.mark.parametrize("format_", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_in_a_tar(tmp_path: Path, format_: int) -> None:
    """Long ones, which each format writes in its own way, and any script."""
    long = "日" * 30 + "/" + "y" * 90 + ".png"
    longer = "é/0.png" if format_ == tarfile.USTAR_FORMAT else "w" * 150 + "/" + "z" * 200 + ".png"
    entries = {long: png(), longer: png(1), "a/0.png": png(2)}
    out = converted(tar_of(entries, format_), tmp_path / "in", "a.tar")
    images = read_image_directory(out, "p")
    assert {
        images.schema.classes[label]: (out / images.file(i)).read_bytes()
        for i, label in enumerate(images.labels)
    } == {name.split("/")[0]: content for name, content in entries.items()}


@pytest.mark.parametrize("format_", ["v7", "oldgnu", "gnu", "ustar", "posix"])
def test_archives_of_gnu_tar(tmp_path: Path, format_: str) -> None:
    """All of its formats."""
    assert convert(unpack(GOOD, tmp_path / "folder"), tmp_path / "expected") == 0
    command = ["tar", "-C", str(tmp_path), f"--format={format_}", "-cf", "-", "folder"]
    content = subprocess.run(command, check=True, capture_output=True).stdout
    out = converted(content, tmp_path / "in", "a.tar")
    assert written(out) == written(tmp_path / "expected")


def test_nothing_is_left_of_unpacking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the folder for temporary files; and the last line says what there is."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    out = converted(zip_of(GOOD), tmp_path / "in")
    assert capsys.readouterr().out == f"3 images of 2 categories are in {out}\n"
    converted(zip_of({"0.png": png()}), tmp_path / "flat")
    assert "1 images without labels are in" in capsys.readouterr().out
    assert list((tmp_path / "temporary").iterdir()) == []


# --- COCO ---

BOX = {"bbox": [0, 0, 2, 2], "area": 4.5, "segmentation": {"counts": [1, 3], "size": [2, 2]}}
POLYGON = {"bbox": [1, 1, 1, 1], "segmentation": [[0, 0, 1, 1]], "iscrowd": 0}


def coco(annotations: list[dict[str, Any]], **more: Any) -> Entries:
    """Three images, and their annotations."""
    images = [
        {"id": 7, "file_name": "x/a.png", "width": 8, "license": 3, "note": "é"},
        {"file_name": "b.PNG", "id": 3},
        {"id": 12, "file_name": "x/c.png", "coco_url": "file:///no/where"},
    ]
    document = {"info": {}, "images": images, "annotations": annotations, **more}
    return {"x/a.png": png(0), "b.PNG": png(1), "labels.json": json.dumps(document).encode()}


CATEGORIES = [{"id": 2, "name": "cat", "supercategory": "animal"}, {"id": 5, "name": "dog"}]


@pytest.mark.parametrize(
    ("kind", "first", "labels"),
    [
        pytest.param("object_detection", BOX | {"category_id": 2}, [2, 5, -1], id="boxes"),
        pytest.param(
            "keypoint_detection", {"keypoints": [1], "category_id": 2}, [2, 5, -1], id="k"
        ),
        pytest.param("image_caption", {"caption": "a cat"}, None, id="captions"),
        pytest.param("semantic_segmentation", {"file_name": "mask.png"}, None, id="masks"),
        pytest.param("unknown", {"category_id": 2}, [2, 5, -1], id="categories alone"),
    ],
)
def test_coco_keeps_everything(
    tmp_path: Path, kind: str, first: dict[str, Any], labels: list[int] | None
) -> None:
    """Names, annotations and categories, in the original's columns."""
    second = POLYGON | {"category_id": 5} if labels else first
    annotations = [
        {"id": 1, "image_id": 7} | first,
        {"id": 2, "image_id": 3} | second,
        {"id": 3, "image_id": 3, "score": None} | second,
        {"id": 4, "image_id": 99} | first,
    ]
    out = converted(zip_of(below("data", coco(annotations, categories=CATEGORIES))), tmp_path / "i")
    column = f"{kind}_annotation"
    reference = {"id": 7, "file_name": "image/7.png", "width": 8, "license": 3, "note": "é"}
    assert [json.loads(line) for line in (out / "images.lst").read_text().splitlines()] == [
        {"image_info": reference, column: annotations[:1], "id": 7},
        {"image_info": {"file_name": "image/3.PNG", "id": 3}, column: annotations[1:3], "id": 3},
        {
            "image_info": {"id": 12, "file_name": "image/12.png", "coco_url": "file:///no/where"},
            column: [],
            "id": 12,
        },
    ]
    assert {p.name: p.read_bytes() for p in (out / "image").iterdir()} == {
        "7.png": png(0),
        "3.PNG": png(1),
    }
    schema = json.loads((out / "_schema.json").read_text())["columnAttributes"][2]
    assert schema["name"] == column
    properties = {"annotation_type": f"COCO_{kind}", "categories": CATEGORIES}
    assert schema["properties"] == properties
    samples = json.loads((out / "_samples.json").read_text())
    assert [list(row) for row in samples] == [["image", "id", column]] * 2
    assert samples[1][column] == annotations[1:3]
    if labels:
        assert read_image_directory(out, "p").labels.tolist() == labels


def test_coco_of_several_categories(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Is kept; it is for training that such images have no label."""
    annotations = [{"id": i, "image_id": 7, "category_id": i, **POLYGON} for i in (2, 5)]
    out = converted(zip_of(coco(annotations, categories=CATEGORIES)), tmp_path / "in")
    assert convert(out, tmp_path / "again") == 0
    assert written(tmp_path / "again") == written(out)
    with pytest.raises(InvalidDatasetError, match="line 1 has annotations of 2 categories"):
        read_image_directory(out, "p")


@pytest.mark.parametrize(
    ("image", "category", "expected"),
    [
        pytest.param({"id": 3}, {}, "image 'y.png' has the id 3", id="two of one id"),
        pytest.param({"id": "../../x"}, {}, "has the id '../../x'", id="an id that climbs"),
        pytest.param({"id": 1}, {"id": -1}, "has another id", id="a negative category"),
        pytest.param({"id": 1}, {"id": 10**20}, "has another id", id="a huge category"),
    ],
)
def test_coco_whose_ids_cannot_be_kept(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    image: dict[str, Any],
    category: dict[str, Any],
    expected: str,
) -> None:
    """They are the names of the files."""
    document = json.loads(coco([])["labels.json"])
    document["images"].append(image | {"file_name": "y.png"})
    document["categories"] = [{"id": 1, "name": "cat"} | category]
    unpack({"labels.json": json.dumps(document).encode(), "y.png": png()}, tmp_path / "in")
    assert convert(tmp_path / "in", tmp_path / "out") == 1
    err = capsys.readouterr().err
    assert err.startswith("InvalidDatasetError (0018): input_dataset: labels.json has 1 problem")
    assert expected in err
    assert not (tmp_path / "out").exists()


# --- metadata ---


def test_lines_of_an_image_directory_are_kept(training: Path, tmp_path: Path) -> None:
    """With what else is in them; a ``base_file_name`` says where the image is."""
    assert convert(training, tmp_path / "one") == 0
    path = tmp_path / "one" / "images.lst"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[0]["image_info"] |= {"width": 32, "x": [None, 1.5]}
    rows[1]["note"] = "é\u2028"
    rows[2]["image_info"] = {"base_file_name": "image/0_2.png", "file_name": "elsewhere.png"}
    rows[3]["image_info"] = {"file_name": "image/0_2.png"}
    text = "\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\r\n", "\r\n\r\n", 1).encode())
    assert convert(tmp_path / "one", tmp_path / "two") == 0
    rows[2]["image_info"] = {"file_name": "image/0_2.png"}
    lines = (tmp_path / "two" / "images.lst").read_bytes().split(b"\n")
    assert [json.loads(line) for line in lines if line] == rows
    copied = written(tmp_path / "two")
    assert copied["image/0_2.png"] == (tmp_path / "one/image/0_2.png").read_bytes()


def test_two_rows_on_a_line(
    training: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Are refused: it cannot be said which line is whose."""
    assert convert(training, tmp_path / "one") == 0
    path = tmp_path / "one" / "images.lst"
    path.write_text(path.read_text().replace("\n", " ", 1))
    assert convert(tmp_path / "one", tmp_path / "two") == 1
    assert "images.lst has 1 problem: line 1 is not JSON" in capsys.readouterr().err


def test_names_that_are_not_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cannot be listed where the name is kept."""
    unpack({os.fsdecode(b"caf\xe9.png"): png()}, tmp_path / "in")
    assert convert(tmp_path / "in", tmp_path / "out") == 1
    assert r"1 images have names that are not UTF-8: 'image/caf\udce9.png'" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("[" * 5000 + "]" * 5000, id="nested"),
        pytest.param("9" * 5000, id="a huge number"),
    ],
)
@pytest.mark.parametrize("line", ["first", "last, with a base_file_name"])
def test_a_line_that_python_cannot_read(
    training: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], value: str, line: str
) -> None:
    """In a key that nobody asks for, which pyarrow passes over."""
    assert convert(training, tmp_path / "one") == 0
    path = tmp_path / "one" / "images.lst"
    lines = path.read_text().splitlines()
    index = 0 if line == "first" else -1
    if index:
        lines[index] = lines[index].replace("file_name", "base_file_name", 1)
        lines[index] = lines[index].replace('"image_info": {', '"image_info": {"file_name": "x", ')
    lines[index] = lines[index].replace('"id"', f'"x": {value}, "id"')
    path.write_text("\n".join(lines))
    assert convert(tmp_path / "one", tmp_path / "two") == 1
    err = capsys.readouterr().err
    assert err.startswith("InvalidDatasetError (0018): input_dataset: the line ")
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "two").exists()


def test_what_is_converted_from_coco_can_be_scored(
    run: Run, arguments: Arguments, tmp_path: Path
) -> None:
    """An image of several categories, or of none, has no true label."""
    train(run, {})
    annotations = [{"id": i, "image_id": 7, "category_id": i, **POLYGON} for i in (2, 5)]
    annotations.append({"id": 9, "image_id": 3, "category_id": 5, **BOX})
    document = json.loads(coco(annotations, categories=CATEGORIES)["labels.json"])
    del document["images"][2]
    for name in ("x/a.png", "b.PNG"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        picture(1, 32).save(tmp_path / "in" / name)
    (tmp_path / "in" / "labels.json").write_text(json.dumps(document))
    assert convert(tmp_path / "in", tmp_path / "out") == 0
    table = score(output_of(arguments), tmp_path / "out", tmp_path / "scored")
    assert table["id"].tolist() == [7, 3]
    assert len(json.loads(table["object_detection_annotation"][0])) == 2
