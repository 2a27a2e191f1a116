"""Convert to Image Directory writes what the original writes, file for file."""

import json
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
