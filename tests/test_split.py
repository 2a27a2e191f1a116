"""Split Image Directory: which images go where, and that both halves appear or neither."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import class_folders, picture
from tests.test_convert import CATEGORIES, POLYGON, coco, unpack, written
from train_pytorch_model.companions import split_image_directory
from train_pytorch_model.companions.stratification import first_part, shares
from train_pytorch_model.errors import FailedToWriteOutputsError
from train_pytorch_model.ports.image_directory import read_image_directory
from train_pytorch_model.ports.image_set import UNLABELLED
from train_pytorch_model.ports.output import two_whole_directories


def split(source: Path, first: Path, second: Path, *options: str) -> int:
    """Run Split Image Directory."""
    outputs = ("--tgt_train_path", str(first), "--tgt_test_path", str(second))
    return split_image_directory.main(["--src_path", str(source), *outputs, *options])


def rows(folder: Path) -> list[dict[str, object]]:
    """The rows of a directory."""
    return [json.loads(line) for line in (folder / "images.lst").read_text().splitlines()]


@pytest.mark.parametrize(
    ("counts", "fraction", "expected"),
    [
        ([10, 10], 0.5, [5, 5]),
        ([10, 10], 0.9, [9, 9]),
        ([97, 31, 13, 8], 0.9, [87, 28, 12, 7]),  # the original's numbers, to the next line
        ([97, 31, 13, 8], 0.2, [19, 6, 2, 2]),
        ([10, 5, 3], 0.9, [9, 4, 2]),  # the original gives up and draws at random
        ([2, 2, 2], 0.9, [1, 1, 1]),
        ([2, 100], 0.9, [1, 89]),
        ([2, 100], 0.01, [1, 1]),
        ([1, 10], 0.9, [1, 8]),
        ([1, 10], 0.1, [0, 1]),
        ([1, 1, 1, 1], 0.5, [1, 1, 0, 0]),
        ([1, 1, 1, 1], 0.01, [1, 0, 0, 0]),
        ([1, 1, 1, 1], 0.99, [1, 1, 1, 0]),
        ([7], 0.5, [3]),
        ([2], 0.999, [1]),
        ([100], 0.29, [28]),  # as 0.29 · 100 is a little less than 29
        ([10_000_000, 3], 0.5, [5_000_000, 1]),
    ],
)
def test_shares(counts: list[int], fraction: float, expected: list[int]) -> None:
    """In proportion, rounded down; at least one of a category in either half."""
    assert shares(np.array(counts), fraction).tolist() == expected


@pytest.mark.parametrize("fraction", [1e-9, 0.1, 0.25, 1 / 3, 0.5, 0.7, 0.9, 1 - 1e-9])
@pytest.mark.parametrize("seed", range(5))
def test_every_half_has_every_category(fraction: float, seed: int) -> None:
    """Of any counts; no category is further from its share than one image, but for that."""
    counts = np.random.default_rng(seed).integers(1, 40, size=30)
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(-1, 29), counts))
    first = first_part(labels, fraction, seed)
    taken = np.array([first[labels == label].sum() for label in range(-1, 29)])
    assert taken.tolist() == shares(counts, fraction).tolist()
    several = counts > 1
    assert (taken[several] >= 1).all()
    assert (taken[several] < counts[several]).all()
    assert (np.abs(taken - counts * fraction) < 2).all()
    assert 0 < taken.sum() < counts.sum()


def test_what_is_drawn_is_the_same_everywhere() -> None:
    """On any machine, with any NumPy; another seed draws others, and any integer is a seed."""
    labels = np.arange(20) % 2
    drawn = np.flatnonzero(first_part(labels, 0.3, 1)).tolist()
    assert drawn == [2, 9, 16, 17, 18, 19]
    assert np.flatnonzero(first_part(labels, 0.3, 2)).tolist() != drawn
    for seed in (-1, 10**30):
        assert first_part(labels, 0.3, seed).sum() == 6


def test_the_halves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Share the images; keep their order, names, ids and bytes, and all categories."""
    source = class_folders(tmp_path / "in", {"cat": 10, "dog": 5, "eel": 1}, size=8)
    assert split(source, tmp_path / "a", tmp_path / "b", "--fraction", "0.8") == 0
    assert capsys.readouterr().out == (
        f"12 images are in {tmp_path / 'a'}\n4 images are in {tmp_path / 'b'}\n"
    )
    halves = [rows(tmp_path / name) for name in ("a", "b")]
    ids = [[row["id"] for row in half] for half in halves]
    assert all(half == sorted(half) for half in ids)  # type: ignore[type-var]
    assert sorted(ids[0] + ids[1]) == list(range(16))  # type: ignore[type-var]
    assert Counter(row["category"] for row in halves[0]) == {"cat": 7, "dog": 4, "eel": 1}
    original = read_image_directory(source, "p")
    for name, half in zip(("a", "b"), halves, strict=True):
        images = read_image_directory(tmp_path / name, "p")
        assert images.schema == original.schema
        assert len(json.loads((tmp_path / name / "_samples.json").read_text())) == 3
        files = {f"image/{path.name}" for path in (tmp_path / name / "image").iterdir()}
        assert files == {images.file(i) for i in range(len(images))}
        for i, row in enumerate(half):
            content = (source / original.file(int(str(row["id"])))).read_bytes()
            assert (tmp_path / name / images.file(i)).read_bytes() == content


def test_the_seed_decides(tmp_path: Path) -> None:
    """The default is 1; the fraction's is 0.9."""
    source = class_folders(tmp_path / "in", {"cat": 20, "dog": 20}, size=8)
    for name, options in {
        "none": (),
        "one": ("--random_seed", "1", "--fraction", "0.9"),
        "two": ("--random_seed", "-2"),
    }.items():
        assert split(source, tmp_path / name, tmp_path / f"{name} b", *options) == 0
    assert written(tmp_path / "none") == written(tmp_path / "one")
    assert len(rows(tmp_path / "two")) == len(rows(tmp_path / "one")) == 36
    assert rows(tmp_path / "two") != rows(tmp_path / "one")


def test_a_split_directory_can_be_split(tmp_path: Path) -> None:
    """Its rows stay what they are, those without a label too: they are divided as a category."""
    source = class_folders(tmp_path / "in", {"cat": 8, "dog": 8}, size=8)
    assert split(source, tmp_path / "a", tmp_path / "b", "--fraction", "0.5") == 0
    lines = (tmp_path / "a" / "images.lst").read_text().splitlines()
    lines[:4] = [line.replace('"cat"', '""') for line in lines[:4]]
    lines[5] = lines[5].replace('"id"', '"note":  "é", "id"')
    (tmp_path / "a" / "images.lst").write_text("\n".join(lines))
    assert split(tmp_path / "a", tmp_path / "c", tmp_path / "d", "--fraction", "0.5") == 0
    halves = [(tmp_path / name / "images.lst").read_text().splitlines() for name in ("c", "d")]
    assert sorted(halves[0] + halves[1]) == sorted(lines)
    for name in ("c", "d"):
        labels = read_image_directory(tmp_path / name, "p").labels.tolist()
        assert labels == [UNLABELLED] * 2 + [1] * 2


def test_images_without_labels(tmp_path: Path) -> None:
    """Are divided all the same."""
    (tmp_path / "in").mkdir()
    for i in range(5):
        picture(i, 8).save(tmp_path / "in" / f"{i}.png")
    assert split(tmp_path / "in", tmp_path / "a", tmp_path / "b", "--fraction", "0.5") == 0
    assert (len(rows(tmp_path / "a")), len(rows(tmp_path / "b"))) == (2, 3)


def test_coco(tmp_path: Path) -> None:
    """Keeps its annotations; an image of several categories goes somewhere; a URL stays one."""
    annotations = [{"id": i, "image_id": 7, "category_id": i, **POLYGON} for i in (2, 5)]
    unpack(coco(annotations, categories=CATEGORIES), tmp_path / "in")
    assert split(tmp_path / "in", tmp_path / "a", tmp_path / "b", "--fraction", "0.5") == 0
    both = rows(tmp_path / "a") + rows(tmp_path / "b")
    assert {row["id"]: row["object_detection_annotation"] for row in both} == {
        7: annotations,
        3: [],
        12: [],
    }


@pytest.mark.parametrize(
    ("options", "start"),
    [
        (("--fraction", "0"), "ParameterError (0005): fraction_of_images_in_the_first_output is 0"),
        (("--fraction", "1"), "ParameterError (0007): fraction_of_images_in_the_first_output is 1"),
        (("--fraction", "1.5"), "ParameterError (0007): fraction_of_images_in_the_first_output is"),
        (("--fraction", "nan"), "ParameterError (0002): fraction_of_images_in_the_first_output is"),
        (("--random_seed", "x"), "ParameterError (0002): random_seed is 'x'"),
        (("--src_path", "one"), "InvalidDatasetError (0018): input_image_directory: found one"),
        (("--src_path", "no"), "InvalidDatasetError (0018): input_image_directory: found nothing"),
        (("--src_path", "torn"), "InvalidDatasetError (0018): input_image_directory: files that"),
        (("--tgt_test_path", "a"), "FailedToWriteOutputsError (0160): output_image_directory1 and"),
        (("--tgt_test_path", "a/b"), "FailedToWriteOutputsError (0160): output_image_directory1 a"),
        (("--tgt_train_path", "b/a"), "FailedToWriteOutputsError (0160): output_image_directory1"),
        (("--tgt_test_path", "full"), "FailedToWriteOutputsError (0160): output_image_directory2:"),
    ],
)
def test_what_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    start: str,
) -> None:
    """In one line, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    for name in ("in", "torn"):
        class_folders(Path(name), {"cat": 3, "dog": 3}, size=8)
    class_folders(Path("one"), {"cat": 1}, size=8)
    Path("torn/cat/001.png").unlink()
    Path("torn/cat/001.png").symlink_to("nowhere")
    Path("full").mkdir()
    Path("full/x").touch()
    before = sorted(tmp_path.rglob("*"))
    assert split(Path("in"), Path("a"), Path("b"), *options) == 1
    err = capsys.readouterr().err
    assert err.startswith(start)
    assert len(err.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("existing", [True, False])
def test_neither_half_where_one_cannot_be_written(tmp_path: Path, existing: bool) -> None:
    """Even if that shows when the other is in place already."""
    outputs = {"first": tmp_path / "a", "second": tmp_path / "b"}
    if existing:
        outputs["second"].mkdir()

    def write() -> None:
        with two_whole_directories(outputs) as folders:
            for folder in folders:
                (folder / "image").mkdir()
                (folder / "_meta.yaml").touch()
            outputs["first"].write_text("came meanwhile")

    with pytest.raises(FailedToWriteOutputsError, match="first: "):
        write()
    assert sorted(tmp_path.rglob("*")) == [outputs["first"], outputs["second"]][: 1 + existing]


def test_both_halves_are_filled_where_directories_are_given(tmp_path: Path) -> None:
    """As Azure gives them."""
    source = class_folders(tmp_path / "in", {"cat": 3, "dog": 3}, size=8)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    assert split(source, tmp_path / "a", tmp_path / "b", "--fraction", "0.5") == 0
    assert (len(rows(tmp_path / "a")), len(rows(tmp_path / "b"))) == (3, 3)


KILLED = """
import os, sys
from train_pytorch_model.companions import split_image_directory
left, mounts, really = int(sys.argv[1]), sys.argv[2].split(os.pathsep), os.rename

def rename(source, target):
    global left
    if str(target) in mounts:
        raise OSError(16, "Device or resource busy")
    if not left:
        os._exit(9)
    left -= 1
    really(source, target)

os.rename = rename
sys.exit(split_image_directory.main(sys.argv[3:]))
"""


@pytest.mark.parametrize("mounted", [False, True])
def test_a_split_that_was_killed_is_made_when_it_is_started_again(
    tmp_path: Path, mounted: bool
) -> None:
    """At each of the moments at which a part of an output appears."""
    source = class_folders(tmp_path / "in", {"cat": 4, "dog": 4}, size=8)
    flags = ["--src_path", str(source), "--fraction", "0.5"]
    assert split(source, tmp_path / "a", tmp_path / "b", "--fraction", "0.5") == 0
    expected = [written(tmp_path / name) for name in ("a", "b")]
    for moment in range(20):
        outputs = [tmp_path / f"{moment}{name}" for name in ("a", "b")]
        for output in outputs:
            output.mkdir()
        words = ["--tgt_train_path", str(outputs[0]), "--tgt_test_path", str(outputs[1])]
        mounts = os.pathsep.join(map(str, outputs)) if mounted else ""
        arguments = [sys.executable, "-c", KILLED, str(moment), mounts, *flags, *words]
        code = subprocess.run(arguments, check=False, capture_output=True).returncode
        if code == 9:
            assert split(source, outputs[0], outputs[1], "--fraction", "0.5") == 0
        assert [written(output) for output in outputs] == expected
        assert not list(tmp_path.rglob(".partial*"))
        if code == 0:
            break
    assert code == 0
    assert moment == (11 if mounted else 2)


def test_a_split_that_was_killed_when_both_halves_were_whole(tmp_path: Path) -> None:
    """Only what says that one is awaited is still there; then it goes."""
    source = class_folders(tmp_path / "in", {"cat": 4, "dog": 4}, size=8)
    outputs = [tmp_path / name for name in ("a", "b")]
    assert split(source, *outputs, "--fraction", "0.5") == 0
    expected = [written(output) for output in outputs]
    (outputs[1] / ".partial-of-two").mkdir()
    assert split(source, *outputs, "--fraction", "0.5") == 0
    assert [written(output) for output in outputs] == expected
    assert not list(tmp_path.rglob(".partial*"))
    assert split(source, *outputs, "--fraction", "0.5") == 1
