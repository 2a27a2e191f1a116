"""Init and Apply Image Transformation: what is chosen, what it does to pixels, what is refused."""

import base64
import io
import json
import os
import pickle
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from resource import RLIMIT_FSIZE, setrlimit
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image

from tests.conftest import class_folders, picture
from tests.test_coco_url import Server, png, rows_with_urls
from tests.test_coco_url import server as server  # noqa: PLC0414 - a fixture is re-exported so
from tests.test_image_directory import categories_of, describe, rows_of, schema_of
from train_pytorch_model.companions import apply_image_transformation, init_image_transformation
from train_pytorch_model.data import threads, transforms
from train_pytorch_model.ports.image_directory import read_image_directory
from train_pytorch_model.ports.transformation_directory import OPERATIONS

META = "type: TransformationDirectory\nextension: {}\ntransform_type: Image\n"
COMPONENTS = Path(__file__).parent.parent / "components"

Pixels = NDArray[np.uint8]


def init(target: Path, **chosen: object) -> int:
    """Run Init Image Transformation."""
    words = [word for name, value in chosen.items() for word in (f"--{name}", str(value))]
    return init_image_transformation.main(["--output_path", str(target), *words])


def directory(target: Path, operations: object, meta: str = META) -> Path:
    """A TransformationDirectory that holds ``operations``, whatever they are."""
    target.mkdir()
    (target / "_meta.yaml").write_text(meta)
    text = operations if isinstance(operations, str) else json.dumps(operations)
    (target / "_transforms.json").write_text(text)
    return target


def apply(transformation: Path, images: Path, target: Path, **options: object) -> int:
    """Run Apply Image Transformation."""
    words = ["--input_image_transform_path", str(transformation)]
    words += ["--input_image_dir_path", str(images), "--output_path", str(target)]
    words += [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return apply_image_transformation.main(words)


def pixels_in(target: Path) -> list[Pixels]:
    """The pixels of a directory's images, which are RGB PNG, in its order."""
    images = read_image_directory(target, "p")
    found = []
    for index in range(len(images)):
        with Image.open(images.root / images.file(index)) as image:
            assert (image.format, image.mode) == ("PNG", "RGB")
            found.append(np.array(image))
    return found


def pictures(root: Path, sizes: Sequence[tuple[int, int]]) -> tuple[Path, list[Pixels]]:
    """Noise in one class folder, an image for each (width, height); and their pixels."""
    (root / "cat").mkdir(parents=True)
    draws = np.random.default_rng(0)
    arrays = [draws.integers(1, 256, (h, w, 3), dtype=np.uint8) for w, h in sizes]
    for number, array in enumerate(arrays):
        Image.fromarray(array).save(root / "cat" / f"{number:03}.png")
    return root, arrays


def result(tmp_path: Path, operations: object, sizes: Sequence[tuple[int, int]]) -> Any:
    """The pixels before and after ``operations``, of images of these sizes."""
    images, before = pictures(tmp_path / "images", sizes)
    assert apply(directory(tmp_path / "t", operations), images, tmp_path / "out") == 0
    return before, pixels_in(tmp_path / "out")


@pytest.mark.parametrize(
    ("chosen", "written"),
    [
        ({}, []),  # as the original's command line; the specs always give every flag
        ({"size": 5}, []),
        ({"resize": True}, [["Resize", 256]]),
        ({"resize": True, "size": 5}, [["Resize", 5]]),
        ({"center_crop": True}, [["CenterCrop", 224]]),
        ({"center_crop": "true", "crop_size": 5}, [["CenterCrop", 5]]),
        ({"pad": True}, [["Pad", 0]]),
        ({"pad": True, "padding": 5}, [["Pad", 5]]),
        ({"color_jitter": True}, [["ColorJitter", {}]]),
        ({"grayscale": True}, [["Grayscale", 3]]),
        ({"random_resized_crop": True}, [["RandomResizedCrop", 256]]),
        (
            {"random_resized_crop": True, "random_resized_crop_size": 5},
            [["RandomResizedCrop", 5]],
        ),
        ({"random_crop": True}, [["RandomCrop", 224]]),
        ({"random_crop": True, "random_crop_size": 5}, [["RandomCrop", 5]]),
        ({"random_horizontal_flip": True}, [["RandomHorizontalFlip", {}]]),
        ({"random_vertical_flip": True}, [["RandomVerticalFlip", {}]]),
        ({"random_rotation": True}, [["RandomRotation", 0]]),
        ({"random_rotation": True, "random_rotation_degrees": 180}, [["RandomRotation", 180]]),
        ({"random_affine": True}, [["RandomAffine", 0]]),
        ({"random_affine": True, "random_affine_degrees": 9}, [["RandomAffine", 9]]),
        ({"random_grayscale": True}, [["RandomGrayscale", {}]]),
        ({"random_perspective": True}, [["RandomPerspective", {}]]),
        (  # the order is that of the parameters, not that of the flags
            {"random_crop": True, "pad": True, "resize": True, "size": 2**31 - 1},
            [["Resize", 2**31 - 1], ["Pad", 0], ["RandomCrop", 224]],
        ),
    ],
)
def test_what_is_chosen_is_written(
    tmp_path: Path, chosen: dict[str, object], written: list[object]
) -> None:
    """In the original's two files."""
    assert init(tmp_path / "t", **chosen) == 0
    assert sorted(os.listdir(tmp_path / "t")) == ["_meta.yaml", "_transforms.json"]
    assert (tmp_path / "t" / "_meta.yaml").read_text() == META
    assert (tmp_path / "t" / "_transforms.json").read_text() == json.dumps(written, indent=2)


def test_the_specs_hold_the_designers_defaults() -> None:
    """Its form has three operations chosen, where its command line has none."""
    spec = yaml.safe_load((COMPONENTS / "init_image_transformation/module_spec.yaml").read_text())
    chosen = {name for name, item in spec["inputs"].items() if item["default"] is True}
    assert chosen == {"resize", "center_crop", "random_horizontal_flip"}


@pytest.mark.parametrize("file", ["module_spec.yaml", "module_spec.classic.yaml"])
def test_the_specs_commands_quote_the_mode(file: str) -> None:
    """Both SDKs put values into the command as they are, and a mode has a space."""
    spec = yaml.safe_load((COMPONENTS / "apply_image_transformation" / file).read_text())
    command = spec["command"].replace("${{inputs.mode}}", "For inference")
    words = shlex.split(command.replace("{inputs.mode}", "For inference"))
    assert words[words.index("--mode") + 1] == "For inference"


def test_color_jitter_says_that_it_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in the original, which does not say so."""
    assert init(tmp_path / "t", color_jitter=True) == 0
    assert "warning: color_jitter changes nothing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        *((size, v, c) for size in ("size", "crop_size", "random_resized_crop_size",
          "random_crop_size") for v, c in (("0", "0005"), ("-1", "0005"), ("2147483648", "0007"))),
        ("padding", "-1", "0005"),
        ("padding", "2147483648", "0007"),
        *((d, v, c) for d in ("random_rotation_degrees", "random_affine_degrees")
          for v, c in (("-1", "0005"), ("181", "0007"))),
        *(("size", v, "0002") for v in ("1.5", "abc", "", "nan", "[224,224]", "True")),
        *(("resize", v, "0002") for v in ("1", "yes", "", "None")),
    ],
)  # fmt: skip
def test_parameters_out_of_range(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, value: str, code: str
) -> None:
    """Are refused, where the original writes them, and nothing is written."""
    assert init(tmp_path / "t", **{name: value}) == 1
    assert capsys.readouterr().err.startswith(f"ParameterError ({code}): ")
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize("value", ["", "for training", "Training", "True"])
def test_the_mode_is_one_of_two(
    tmp_path: Path, training: Path, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    """By its very name."""
    assert apply(directory(tmp_path / "t", []), training, tmp_path / "out", mode=value) == 1
    expected = "expected one of For training, For inference"
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("operation", "size", "expected"),
    [
        (["Resize", 10], (40, 20), (20, 10)),
        (["Resize", 10], (20, 40), (10, 20)),
        (["Resize", 7], (33, 33), (7, 7)),
        (["Resize", 7], (101, 33), (21, 7)),  # 21.4: the longer edge is rounded down
        (["Resize", 50], (40, 20), (100, 50)),
        (["Resize", [10]], (40, 20), (20, 10)),
        (["Resize", {"size": 10}], (40, 20), (20, 10)),
        (["CenterCrop", 10], (40, 20), (10, 10)),
        (["CenterCrop", 30], (40, 20), (30, 30)),
        (["CenterCrop", 50], (40, 20), (50, 50)),
        (["Pad", 0], (40, 20), (40, 20)),
        (["Pad", 3], (40, 20), (46, 26)),
        (["ColorJitter", {}], (40, 20), (40, 20)),
        (["ColorJitter", []], (40, 20), (40, 20)),
        (["Grayscale", {}], (40, 20), (40, 20)),
        (["RandomResizedCrop", 10], (40, 20), (10, 10)),
        (["RandomResizedCrop", 10], (400, 1), (10, 10)),  # no draw fits: the middle
        (["RandomCrop", 20], (40, 20), (20, 20)),
        (["RandomHorizontalFlip", 1], (40, 20), (40, 20)),
        (["RandomRotation", 90.5], (40, 20), (40, 20)),
        (["RandomAffine", 180], (40, 20), (40, 20)),
        (["RandomPerspective", [1, 1]], (40, 20), (40, 20)),
        (["RandomPerspective", [1, 1]], (1, 20), (1, 20)),
        (["RandomPerspective", {"p": 1}], (1, 1), (1, 1)),
    ],
)
def test_sizes(
    tmp_path: Path, operation: object, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    """(width, height) before and after one operation."""
    _, after = result(tmp_path, [operation], [size])
    assert after[0].shape == (expected[1], expected[0], 3)


def grey(pixels: Pixels) -> Pixels:
    """Three channels of Pillow's luminance."""
    return np.array(Image.fromarray(pixels).convert("L").convert("RGB"))


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        # Of 12 x 5 pixels. An odd rest is halved to the even number: 0.5 → 0, 3.5 → 4.
        (["CenterCrop", 4], lambda p: p[0:4, 4:8]),
        (["CenterCrop", 5], lambda p: p[:, 4:9]),
        (["CenterCrop", 8], lambda p: np.pad(p[:, 2:10], ((1, 2), (0, 0), (0, 0)))),
        (["CenterCrop", 13], lambda p: np.pad(p, ((4, 4), (0, 1), (0, 0)))),
        (["Pad", 2], lambda p: np.pad(p, ((2, 2), (2, 2), (0, 0)))),
        (["Resize", 5], lambda p: p),
        (["ColorJitter", {}], lambda p: p),
        (["Grayscale", 1], grey),
        (["Grayscale", 3], grey),
        (["RandomGrayscale", 1], grey),
        (["RandomGrayscale", 0], lambda p: p),
        (["RandomHorizontalFlip", 1.0], lambda p: p[:, ::-1]),
        (["RandomHorizontalFlip", 0.0], lambda p: p),
        (["RandomVerticalFlip", {"p": 1}], lambda p: p[::-1]),
        (["RandomVerticalFlip", [0]], lambda p: p),
        (["RandomRotation", 0], lambda p: p),
        (["RandomAffine", 0], lambda p: p),
        (["RandomPerspective", {"p": 0}], lambda p: p),
        (["RandomPerspective", {"distortion_scale": 0, "p": 1}], lambda p: p),
    ],
)
def test_pixels(tmp_path: Path, operation: object, expected: Any) -> None:
    """Exactly these."""
    before, after = result(tmp_path, [operation], [(12, 5)])
    np.testing.assert_array_equal(after[0], expected(before[0]))


def test_operations_follow_each_other(tmp_path: Path) -> None:
    """And one may come twice."""
    operations = [["Pad", 2], ["CenterCrop", 4], ["Pad", 1]]
    before, after = result(tmp_path, operations, [(4, 4)])
    np.testing.assert_array_equal(after[0], np.pad(before[0], ((1, 1), (1, 1), (0, 0))))


def test_every_operation_of_the_table_can_be_done() -> None:
    """And no other."""
    assert set(transforms._ACTIONS) == set(OPERATIONS)


@pytest.mark.parametrize(
    ("operation", "low", "high"),
    [
        ("RandomHorizontalFlip", 80, 120),
        ("RandomVerticalFlip", 80, 120),
        ("RandomGrayscale", 8, 34),
        ("RandomPerspective", 80, 120),
    ],
)
def test_how_often_random_operations_change_an_image(
    tmp_path: Path, operation: str, low: int, high: int
) -> None:
    """Of 200 images, by the designer's probabilities: half, or a tenth."""
    before, after = result(tmp_path, [[operation, {}]], [(8, 8)] * 200)
    changed = sum(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert low < changed < high


def test_random_crops_come_from_everywhere(tmp_path: Path) -> None:
    """Each is a part of its image, and all places occur."""
    before, after = result(tmp_path, [["RandomCrop", 3]], [(5, 4)] * 100)
    places = set()
    for whole, part in zip(before, after, strict=True):
        for top, left in np.ndindex(2, 3):
            if np.array_equal(whole[top : top + 3, left : left + 3], part):
                places.add((top, left))
    assert len(places) == 6


def test_random_resized_crops_vary_in_size_shape_and_place(tmp_path: Path) -> None:
    """Seen from a picture whose colours are its coordinates."""
    across, down = np.meshgrid(np.linspace(0, 255, 256), np.linspace(0, 255, 256))
    ramps = np.stack([across, down, 0 * across], 2).astype(np.uint8)
    (tmp_path / "images").mkdir()
    for number in range(100):
        Image.fromarray(ramps).save(tmp_path / "images" / f"{number:03}.png")
    transformation = directory(tmp_path / "t", [["RandomResizedCrop", 64]])
    assert apply(transformation, tmp_path / "images", tmp_path / "out") == 0
    parts = [p[:, :, :2].astype(int) for p in pixels_in(tmp_path / "out")]
    edges = np.array([p.max((0, 1)) - p.min((0, 1)) + 1 for p in parts]) / 256
    areas, ratios = edges.prod(1), edges[:, 0] / edges[:, 1]
    assert 0.07 < areas.min() < 0.2
    assert 0.8 < areas.max() <= 1
    assert 0.7 < ratios.min() < 0.8
    assert 1.25 < ratios.max() < 1.4
    assert len({tuple(p.min((0, 1))) for p in parts}) > 80


@pytest.mark.parametrize("operation", ["RandomRotation", "RandomAffine"])
def test_random_angles_are_within_the_degrees(tmp_path: Path, operation: str) -> None:
    """Either way: a bright quarter turns about the middle, and black comes in at the corners."""
    image = np.full((101, 101, 3), 100, np.uint8)
    image[:50, 48:53] = 255
    (tmp_path / "images").mkdir()
    for number in range(60):
        Image.fromarray(image).save(tmp_path / "images" / f"{number:03}.png")
    transformation = directory(tmp_path / "t", [[operation, 30]])
    assert apply(transformation, tmp_path / "images", tmp_path / "out") == 0
    angles = []
    for pixels in pixels_in(tmp_path / "out"):
        y, x = np.argwhere(pixels[:, :, 0] == 255).mean(0) - 50
        angles.append(np.degrees(np.arctan2(x, -y)))
    assert -31 < min(angles) < -20
    assert 20 < max(angles) < 31


@pytest.mark.parametrize(
    ("mode", "kept"),
    [
        ("For training", set(OPERATIONS)),
        ("For inference", {"Resize", "CenterCrop", "Pad", "ColorJitter", "Grayscale"}),
    ],
)
def test_inference_leaves_out_what_is_random(tmp_path: Path, mode: str, kept: set[str]) -> None:
    """Each operation alone, in a form that changes every image."""
    operations: dict[str, object] = dict.fromkeys(OPERATIONS, 3)
    operations |= {"ColorJitter": {}, "RandomRotation": 180, "RandomAffine": 180}
    operations |= {
        name: 1 for name, takes in OPERATIONS.items() if takes[:1] and takes[0].name == "p"
    }
    operations["RandomPerspective"] = [1, 1]
    images, before = pictures(tmp_path / "images", [(20, 20)])
    changing = set()
    for name, given in operations.items():
        transformation = directory(tmp_path / name, [[name, given]])
        target = tmp_path / f"out {name}"
        assert apply(transformation, images, target, mode=mode) == 0
        after = pixels_in(target)[0]
        if after.shape != before[0].shape or (after != before[0]).any():
            changing.add(name)
    assert changing == kept - {"ColorJitter"}


ALL = [[name, 12 if takes and takes[0].name == "size" else {}] for name, takes in OPERATIONS.items()
       if not takes or takes[0].name not in ("padding", "degrees")]  # fmt: skip


def test_a_seed_decides_everything_random(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the number of threads; and an image's draws are its own."""
    transformation = directory(tmp_path / "t", [*ALL, ["RandomRotation", 40]])
    images, _ = pictures(tmp_path / "images", [(20, 16)] * 30)
    few, _ = pictures(tmp_path / "few", [(20, 16)] * 7)
    for name, source, options in (
        ("one", images, {}),
        ("same", images, {"random_seed": 1}),
        ("other", images, {"random_seed": -(10**30)}),
        ("few", few, {}),
    ):
        assert apply(transformation, source, tmp_path / f"out {name}", **options) == 0
    monkeypatch.setattr(threads, "decoding_threads", lambda: 1)
    assert apply(transformation, images, tmp_path / "out single") == 0
    one, same, other, alone, single = (
        pixels_in(tmp_path / f"out {name}") for name in ("one", "same", "other", "few", "single")
    )
    np.testing.assert_array_equal(one, same)
    np.testing.assert_array_equal(one, single)
    np.testing.assert_array_equal(one[:7], alone)
    assert not np.array_equal(one, other)


def test_labels_and_other_columns_stay(tmp_path: Path) -> None:
    """Of a directory with metadata: its rows, names and schema; the samples are the results."""
    names = ["image/0.jpg", "image/0.png", "image/sub/x.tar.bmp", "image/0_2.png"]
    rows = rows_of(["cat", "", "dog", None], note=["a", None, "ü\n", ""], weight=[1.5, 2, 3, None])
    for row, name in zip(rows, names, strict=True):
        row["image_info"] |= {"file_name": name, "width": 9, "coco_url": None}
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        picture(row["id"]).save(tmp_path / "in" / name)
    schema = schema_of(categories_of("cat", "dog"), note="str", weight="float64")
    describe(tmp_path / "in", rows, schema)
    assert apply(directory(tmp_path / "t", [["Resize", 9]]), tmp_path / "in", tmp_path / "o") == 0

    out = tmp_path / "o"
    written = [json.loads(line) for line in (out / "images.lst").read_text().splitlines()]
    # Two rows never share a file: in the original, the second would overwrite the first.
    new = ["image/0.png", "image/0_2.png", "image/sub/x.tar.png", "image/0_2_2.png"]
    assert written == [
        {**row, "image_info": {"file_name": name}} for row, name in zip(rows, new, strict=True)
    ]
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert files == {"_meta.yaml", "_samples.json", "_schema.json", "images.lst", *new}
    assert json.loads((out / "_schema.json").read_text()) == schema
    samples = json.loads((out / "_samples.json").read_text())
    assert [row["note"] for row in samples] == ["a", None, "ü\n"]
    for sample, name in zip(samples, new, strict=False):
        assert base64.b64decode(sample["image"]) == (out / name).read_bytes()
        assert Image.open(io.BytesIO(base64.b64decode(sample["image"]))).size == (9, 9)


def test_directories_without_metadata(training: Path, tmp_path: Path) -> None:
    """Class folders are named by class and number, images without labels by their path."""
    transformation = directory(tmp_path / "t", [["Resize", 9]])
    assert apply(transformation, training, tmp_path / "out") == 0
    images = read_image_directory(tmp_path / "out", "p")
    assert [images.file(i) for i in (0, 11)] == ["image/0_0.png", "image/1_11.png"]
    assert images.labels.tolist() == [0] * 6 + [1] * 6
    (tmp_path / "flat" / "x" / "y").mkdir(parents=True)
    picture(1).save(tmp_path / "flat" / "x" / "y" / "a.jpg")
    assert apply(transformation, tmp_path / "flat", tmp_path / "out flat") == 0
    images = read_image_directory(tmp_path / "out flat", "p")
    assert images.file(0) == "image/x/y/a.png"
    assert images.schema.label_column is None


def test_images_behind_urls_become_files(server: Server, tmp_path: Path) -> None:
    """And their URLs go, since they lead to other pixels."""
    urls: list[str | None] = [server.on(f"/{i}", (200, {}, png(i))) for i in range(3)]
    rows_with_urls(tmp_path / "in", urls)
    paths = directory(tmp_path / "t", [["Pad", 1]]), tmp_path / "in", tmp_path / "out"
    assert apply(*paths) == 1
    assert apply(*paths, **{"private-urls": True}) == 0
    for i, pixels in enumerate(pixels_in(tmp_path / "out")):
        expected = np.pad(np.asarray(picture(i, 8, hue=i)), ((1, 1), (1, 1), (0, 0)))
        np.testing.assert_array_equal(pixels, expected)
    assert "coco_url" not in (tmp_path / "out" / "images.lst").read_text()


def refused(
    capsys: pytest.CaptureFixture[str], transformation: Path, images: Path, target: Path
) -> str:
    """What Apply says when it refuses: one line, with nothing written."""
    assert apply(transformation, images, target) == 1
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1, err
    assert not target.exists()
    return err


@pytest.mark.parametrize(
    ("operations", "said"),
    [
        ("", "_transforms.json is not JSON"),
        ("{", "_transforms.json is not JSON"),
        ("[" * 100_000, "_transforms.json is not JSON"),
        ('[["Resize", ' + "9" * 5000 + "]]", "_transforms.json is not JSON"),
        ("\x00", "_transforms.json is not JSON"),
        (" " * (1 << 20) + "[]", "larger than 1,048,576 bytes"),
        ({}, "holds a dict, expected a list"),
        (None, "holds None, expected a list"),
        ([["ColorJitter", {}]] * 101, "holds 101 of them, expected a list of at most 100"),
        (["Resize"], "operation 1: is not a name and its arguments"),
        ([["Resize"]], "operation 1: is not a name and its arguments"),
        ([["Resize", 5, 5]], "operation 1: is not a name and its arguments"),
        ([["Blur", 5]], "operation 1: 'Blur' is unknown, expected one of Resize, CenterCrop,"),
        ([["ToTensor", {}]], "'ToTensor' is unknown"),  # gives no image: the original fails, too
        ([["FiveCrop", 5]], "'FiveCrop' is unknown"),
        ([["resize", 5]], "'resize' is unknown"),
        ([["os.system", "id"]], "'os.system' is unknown"),
        ([["__class__", {}]], "'__class__' is unknown"),
        ([[["Resize"], 5]], "a list is unknown"),
        ([[None, 5]], "None is unknown"),
        ([["Resize", None]], "Resize has size None, expected an integer from 1 to 2147483647"),
        ([["Resize", {}]], "Resize has size missing"),
        ([["Resize", []]], "Resize has size missing"),
        ([["Resize", 0]], "Resize has size 0"),
        ([["Resize", -3]], "Resize has size -3"),
        ([["Resize", 2**31]], "Resize has size 2147483648"),
        ([["Resize", 5.0]], "Resize has size 5.0"),
        ([["Resize", True]], "Resize has size True"),
        ([["Resize", "5"]], "Resize has size '5'"),
        ([["Resize", [[5, 5]]]], "Resize has size a list"),
        ([["Resize", [5, 5]]], "Resize has 2 arguments, expected at most 1"),
        ([["Resize", {"size": 5, "max_size": 9}]], "has the arguments 'max_size', expected size"),
        ([["ColorJitter", {"hue": 1}]], "has the arguments 'hue', expected none"),
        ([["ColorJitter", 0.5]], "ColorJitter has 1 arguments, expected at most 0"),
        ([["Pad", -1]], "Pad has padding -1, expected an integer from 0 to 2147483647"),
        ([["RandomCrop", 1e3]], "RandomCrop has size 1000.0"),
        ([["RandomRotation", 181]], "has degrees 181, expected a number from 0 to 180"),
        ([["RandomAffine", -1]], "has degrees -1"),
        ('[["RandomAffine", NaN]]', "has degrees nan"),
        ('[["RandomAffine", 1e999]]', "has degrees inf"),
        ([["RandomHorizontalFlip", 1.01]], "has p 1.01, expected a number from 0 to 1"),
        ([["RandomHorizontalFlip", 10**400]], "has p 1000"),
        ([["RandomPerspective", [0.5, -1]]], "has p -1"),
        ([["Resize", 0], ["Pad", 1], ["X", 1]], "has 2 problems: operation 1: Resize"),
        ([["X", 1]] * 50, "has 50 problems: "),
    ],
)
def test_damaged_operations(
    tmp_path: Path,
    training: Path,
    capsys: pytest.CaptureFixture[str],
    operations: object,
    said: str,
) -> None:
    """Are told, all at once."""
    err = refused(capsys, directory(tmp_path / "t", operations), training, tmp_path / "out")
    start = "InvalidTransformationDirectoryError (0158): input_image_transformation: "
    assert err.startswith(start)
    assert said in err
    assert "connect the output of Init Image Transformation" in err
    assert len(err) < 5000


ALIASES = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        ("", "has the type None, expected 'TransformationDirectory'"),
        ("[]", "has the type None"),
        ("transform_type: Image\n", "has the type None"),
        ("type: ImageDirectory\n", "has the type 'ImageDirectory'"),
        ("type: ModelDirectory\ntransform_type: Image\n", "has the type 'ModelDirectory'"),
        (f"{ALIASES}type: *c\n", "has the type a list"),
        ("type: TransformationDirectory\n", "has the transform_type None, expected 'Image'"),
        (META.replace("Image", "Pickle"), "has the transform_type 'Pickle', expected 'Image'"),
        (META + "x: !!python/object/apply:os.mkdir [run]\n", "is not YAML (ConstructorError)"),
        ("{", "is not YAML"),
        ("x" * ((1 << 20) + 1), "larger than 1,048,576 bytes"),
    ],
)
def test_damaged_metadata(
    tmp_path: Path, training: Path, capsys: pytest.CaptureFixture[str], meta: str, said: str
) -> None:
    """Or metadata of something else."""
    err = refused(capsys, directory(tmp_path / "t", [], meta), training, tmp_path / "out")
    assert err.startswith("InvalidTransformationDirectoryError (0158): input_image_transformation")
    assert said in err


class Hostile:
    """Runs code when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_pickles_are_not_opened(
    tmp_path: Path, training: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which other steps of the designer write."""
    pickled = directory(tmp_path / "t", [], "type: TransformationDirectory\nfile_path: t.pkl\n")
    (pickled / "t.pkl").write_bytes(pickle.dumps(Hostile(tmp_path / "run")))
    assert "transform_type None" in refused(capsys, pickled, training, tmp_path / "out")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["_meta.yaml", "_transforms.json"])
@pytest.mark.parametrize("what", ["absent", "a folder", "a pipe", "a link out"])
def test_files_that_are_none(
    tmp_path: Path, training: Path, capsys: pytest.CaptureFixture[str], name: str, what: str
) -> None:
    """Or that lead out of the directory."""
    path = directory(tmp_path / "t", [["Pad", 1]]) / name
    path.rename(tmp_path / "outside")
    if what == "a folder":
        path.mkdir()
    elif what == "a pipe":
        os.mkfifo(path)
    elif what == "a link out":
        path.symlink_to(tmp_path / "outside")
    err = refused(capsys, tmp_path / "t", training, tmp_path / "out")
    assert f"input_image_transformation: {name} cannot be read (" in err


def test_no_directory(tmp_path: Path, training: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Or a file, or the images on both inputs."""
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "nowhere", tmp_path / "file", training):
        assert "_meta.yaml cannot be read (" in refused(capsys, path, training, tmp_path / "out")


def test_unreadable_images_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All of them, where the original leaves them out, fills them up, or stops at the first."""
    images = class_folders(tmp_path / "images", {"cat": 20, "dog": 3})
    for number in range(12):
        (images / "cat" / f"{number:03}.png").write_bytes(b"x")
    content = (images / "dog" / "001.png").read_bytes()
    (images / "dog" / "001.png").write_bytes(content[: len(content) // 2])
    err = refused(capsys, directory(tmp_path / "t", [["Resize", 4]]), images, tmp_path / "out")
    start = "input_image_directory: images that cannot be transformed, 13 problems: 'cat/000.png'"
    assert err.startswith(f"InvalidDatasetError (0018): {start}")
    assert "and 3 more" in err


@pytest.mark.parametrize(
    ("operations", "said"),
    [
        ([["RandomCrop", 11]], "a random crop of 11x11 does not fit into 20x10 pixels"),
        ([["Resize", 2**31 - 1]], "it would become 4294967294x2147483647 pixels"),
        ([["Pad", 2**31 - 1]], "it would become 4294967314x4294967304 pixels"),
        ([["CenterCrop", 10_000]], "it would become 10000x10000 pixels"),
        ([["RandomResizedCrop", 10_000]], "it would become 10000x10000 pixels"),
        ([["Resize", 1000], ["Resize", 9000]], "it would become 18000x9000 pixels"),
    ],
)
def test_operations_that_are_impossible(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], operations: object, said: str
) -> None:
    """On images of these sizes: too small, or too large for any memory."""
    images, _ = pictures(tmp_path / "images", [(20, 10)])
    err = refused(capsys, directory(tmp_path / "t", operations), images, tmp_path / "out")
    assert err.startswith("InvalidDatasetError (0018): input_image_directory: ")
    assert f"'cat/000.png' ({said})" in err


def test_other_inputs_and_outputs(
    tmp_path: Path, training: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No image directory; and outputs that are not empty, of both steps."""
    transformation = directory(tmp_path / "t", [])
    err = refused(capsys, transformation, tmp_path / "nowhere", tmp_path / "out")
    assert err.startswith("InvalidDatasetError (0018): input_image_directory: found nothing")
    assert init(transformation) == 1
    assert apply(transformation, training, transformation) == 1
    first, second = capsys.readouterr().err.splitlines()
    failed = "FailedToWriteOutputsError (0160): "
    assert first.startswith(f"{failed}output_image_transformation: ")
    assert second.startswith(f"{failed}output_image_directory: ")
    assert json.loads((transformation / "_transforms.json").read_text()) == []


def apply_in_process(
    images: Path, tmp_path: Path, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Apply, as a process of its own that ends with 3 where it has imported torch."""
    main = "train_pytorch_model.companions.apply_image_transformation"
    code = f"import sys; from {main} import main; sys.exit(main() or 3 * ('torch' in sys.modules))"
    words = ["--input_image_transform_path", directory(tmp_path / "t", [["Resize", 64]])]
    words += ["--input_image_dir_path", images, "--output_path", tmp_path / "to" / "out"]
    (tmp_path / "to").mkdir()
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, check=False, capture_output=True, text=True, **options)


def test_images_are_transformed_without_torch(training: Path, tmp_path: Path) -> None:
    """Which takes longer to start than many images take."""
    done = apply_in_process(training, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_disk_is_told_and_leaves_nothing(training: Path, tmp_path: Path) -> None:
    """Here by a limit on the size of a file, which the threads that write meet."""
    limit = (1000, 1000)
    done = apply_in_process(training, tmp_path, preexec_fn=lambda: setrlimit(RLIMIT_FSIZE, limit))
    assert done.returncode == 1
    start = "FailedToWriteOutputsError (0160): output_image_directory: "
    assert done.stderr.startswith(start)
    assert len(done.stderr.splitlines()) == 1
    assert list((tmp_path / "to").iterdir()) == []
