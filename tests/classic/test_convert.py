"""Convert to Image Directory writes what the original writes, file for file."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml


def class_folders(folder: Path, noise: Callable[[Path, int], None]) -> None:
    """Classes that sort and print oddly."""
    names = [
        "a",
        "a b",
        "A",
        "é",
        "日本 🦊",
        'quo"te',
        "com,ma",
        "nan",
        "01",
        " edge ",
        "two\nlines",
    ]
    for number, name in enumerate(names):
        noise(folder / name / "0.png", number)
        noise(folder / name / "1.JPG", number)
    noise(folder / "stray.png", 99)
    (folder / "a" / "notes.txt").write_text("no image")


def one_folder(folder: Path, noise: Callable[[Path, int], None]) -> None:
    """Images without labels; one, since their order with the original is the file system's."""
    noise(folder / "b c.png", 0)


def files(folder: Path) -> dict[str, object]:
    """Path below ``folder`` → content, as its reader sees it: JSON and YAML as values."""
    contents: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            contents[path.relative_to(folder).as_posix()] = content(path)
    return contents


def content(path: Path) -> object:
    """What a file says."""
    if path.suffix == ".json":
        return json.loads(path.read_text("ascii"))
    if path.suffix == ".yaml":
        return yaml.safe_load(path.read_text("ascii"))
    return path.read_bytes()


@pytest.mark.parametrize("build", [class_folders, one_folder])
def test_output_equals_the_originals(original, ours, at_once, noise, tmp_path, build):
    """The lines of images.lst byte for byte, and every image."""
    build(tmp_path, noise)
    theirs, own = at_once(lambda: original.convert(tmp_path), lambda: ours.convert(tmp_path))
    assert files(own) == files(theirs)
    assert "images.lst" in files(own)


def test_converting_again_changes_nothing(original, ours, noise, tmp_path):
    """What the original has written is written again as it is."""
    class_folders(tmp_path, noise)
    converted = original.convert(tmp_path)
    assert files(ours.convert(converted)) == files(converted)


def coco(folder: Path, noise: Callable[[Path, int], None]) -> None:
    """Boxes of several categories, an image without, and ids with gaps."""
    images = [
        {"id": 10, "file_name": "x/a.png", "width": 8, "height": 8, "license": 3},
        {"height": 8, "file_name": "b.JPG", "id": 7},
        {"id": 3, "file_name": "c.png", "note": "é"},
    ]
    for number, image in enumerate(images):
        noise(folder / str(image["file_name"]), number)
    box = {"bbox": [0, 0.5, 2, 2], "area": 4, "iscrowd": 0, "segmentation": [[0, 0, 1, 1]]}
    annotations = [
        {"id": 1, "image_id": 10, "category_id": 2, **box},
        {"id": 2, "image_id": 10, "category_id": 5, "segmentation": {"counts": [1], "size": [1]}},
        {"id": 4, "image_id": 7, "category_id": 5, **box},
        {"id": 5, "image_id": 99, "category_id": 5, **box},
    ]
    categories = [{"id": 2, "name": "cat", "supercategory": "animal"}, {"id": 5, "name": "dög"}]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(document))


def captions(folder: Path, noise: Callable[[Path, int], None]) -> None:
    """COCO without categories."""
    noise(folder / "a.png", 0)
    annotations = [{"id": i, "image_id": 1, "caption": f"{i}"} for i in range(2)]
    document = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": annotations}
    (folder / "captions.json").write_text(json.dumps(document))


def kinds_alone(folder: Path, noise: Callable[[Path, int], None]) -> None:
    """COCO whose annotations are categories and nothing else."""
    coco(folder, noise)
    path = folder / "instances.json"
    document = json.loads(path.read_text())
    keys = ("id", "image_id", "category_id")
    document["annotations"] = [{k: a[k] for k in keys} for a in document["annotations"][::2]]
    path.write_text(json.dumps(document))


@pytest.mark.parametrize("build", [coco, captions, kinds_alone])
def test_coco_equals_the_originals(original, ours, at_once, noise, tmp_path, build):
    """With all that is known of an image; and both read what ours has written."""
    build(tmp_path, noise)
    theirs, own = at_once(lambda: original.convert(tmp_path), lambda: ours.convert(tmp_path))
    assert files(own) == files(theirs)
    read = original.probe("images", theirs, own)
    assert read[0] == read[1]
    assert len(read[0]["ids"]) == len(list((own / "image").iterdir()))


def zipped(source: Path, target: Path) -> Path:
    """A .zip of what is in a folder."""
    return Path(shutil.make_archive(str(target), "zip", source))


def in_a_folder(source: Path, target: Path) -> Path:
    """A folder that holds a .zip of a folder of a folder."""
    shutil.copytree(source, target / "x" / "data" / "images")
    zipped(target / "x", target / "alone" / "images")
    return target / "alone"


def with_litter(source: Path, target: Path) -> Path:
    """A .zip as the Finder makes it: a folder, and beside it what is useless elsewhere."""
    shutil.copytree(source, target / "data")
    for name in ("__MACOSX/._data", "__MACOSX/data/a/._0.png"):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(b"\0\5\x16\7")
    return zipped(target, target.parent / "finder")


def tarred(ending: str, *options: str) -> Callable[[Path, Path], Path]:
    """What GNU tar makes of a folder."""

    def pack(source: Path, target: Path) -> Path:
        archive = target.with_name(target.name + ending)
        command = ["tar", *options, "-cf", archive, "-C", source.parent, source.name]
        subprocess.run(command, check=True)
        return archive

    return pack


@pytest.mark.parametrize(
    ("pack", "build"),
    [
        pytest.param(zipped, class_folders, id="zip"),
        pytest.param(in_a_folder, class_folders, id="zip in a folder"),
        pytest.param(with_litter, class_folders, id="zip of a Mac"),
        pytest.param(tarred(".tar"), class_folders, id="tar"),
        pytest.param(tarred(".tar.gz", "-z", "--format=posix"), class_folders, id="tar.gz"),
        pytest.param(tarred(".bz2", "-j", "--format=ustar"), class_folders, id="bz2"),
        pytest.param(zipped, one_folder, id="unlabelled"),
        pytest.param(tarred(".gz", "-z"), coco, id="COCO"),
    ],
)
def test_archives_equal_the_originals(original, ours, at_once, noise, tmp_path, pack, build):
    """Their rows, names and bytes."""
    (tmp_path / "in").mkdir()
    build(tmp_path / "in", noise)
    source = pack(tmp_path / "in", tmp_path / "out")
    theirs, own = at_once(lambda: original.convert(source), lambda: ours.convert(source))
    assert files(own) == files(theirs)
    assert len(list((own / "image").iterdir())) == len(files(own)["images.lst"].splitlines())
