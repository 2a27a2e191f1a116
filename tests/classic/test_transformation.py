"""Init and Apply Image Transformation: each side reads the other's, and makes the same pixels."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

EVERYTHING = {
    "resize": True,
    "size": 31,
    "center_crop": True,
    "crop_size": 26,
    "pad": True,
    "padding": 3,
    "color_jitter": True,
    "random_resized_crop": True,
    "random_resized_crop_size": 24,
    "random_crop": True,
    "random_crop_size": 20,
    "random_horizontal_flip": True,
    "random_vertical_flip": True,
    "random_rotation": True,
    "random_rotation_degrees": 30,
    "random_affine": True,
    "random_affine_degrees": 180,
    "random_perspective": True,
}
"""All that the original's Init writes; it takes both kinds of grey too, and leaves them out."""

CERTAIN = [
    ["CenterCrop", 45],
    ["Grayscale", 3],
    ["Pad", 2],
    ["RandomHorizontalFlip", 1.0],
    ["RandomVerticalFlip", {"p": 1}],
    ["RandomGrayscale", [0]],
    ["RandomRotation", 0],
    ["RandomAffine", 0],
    ["RandomPerspective", {"p": 0}],
    ["RandomCrop", 49],
    ["Resize", 60],
]
"""Operations that leave nothing to chance on images of at most 45 x 45 pixels."""


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """Class folders of images of several shapes, formats and modes."""
    root = tmp_path_factory.mktemp("images")
    draws = np.random.default_rng(0)
    shapes = [(40, 21), (21, 40), (45, 44), (33, 33), (7, 5), (1, 40)]
    for number, (width, height) in enumerate(shapes):
        image = Image.fromarray(draws.integers(0, 256, (height, width, 3), np.uint8))
        for name, mode, ending in (("a", "RGB", "png"), ("b", "L", "png"), ("é c", "CMYK", "jpg")):
            (root / name).mkdir(exist_ok=True)
            image.convert(mode).save(root / name / f"{number}.{ending}")
    return root


def written(operations: object, folder: Path) -> Path:
    """A TransformationDirectory of ``operations``."""
    folder.mkdir()
    meta = {"type": "TransformationDirectory", "extension": {}, "transform_type": "Image"}
    (folder / "_meta.yaml").write_text(yaml.safe_dump(meta))
    (folder / "_transforms.json").write_text(json.dumps(operations))
    return folder


def pixels(folder: Path) -> list[np.ndarray]:
    """The pixels of the images that ``images.lst`` names, in its order."""
    rows = [json.loads(line) for line in (folder / "images.lst").read_text().splitlines()]
    return [np.asarray(Image.open(folder / row["image_info"]["file_name"])) for row in rows]


def assert_same(first: Path, second: Path) -> None:
    """Two image directories have the same files, rows and pixels."""
    files = [{str(p.relative_to(f)) for p in f.rglob("*") if p.is_file()} for f in (first, second)]
    assert files[0] == files[1]
    assert (first / "images.lst").read_bytes() == (second / "images.lst").read_bytes()
    for name in ("_meta.yaml", "_schema.json"):
        one, two = (yaml.safe_load((folder / name).read_text()) for folder in (first, second))
        assert one == two
    for one, two in zip(pixels(first), pixels(second), strict=True):
        np.testing.assert_array_equal(one, two)
    samples = [json.loads((folder / "_samples.json").read_text()) for folder in (first, second)]
    for rows in zip(*samples, strict=True):
        one, two = (
            Image.open(io.BytesIO(base64.b64decode(row.pop("image")))).tobytes() for row in rows
        )
        assert one == two
        assert rows[0] == rows[1]


@pytest.mark.parametrize("chosen", [EVERYTHING, {}, {"pad": False, "resize": True}])
def test_both_write_the_same_transformation(original, ours, at_once, chosen):
    """Byte for byte; what is not given is left out, or takes the same default."""
    theirs, own = at_once(lambda: original.init(**chosen), lambda: ours.init(**chosen))
    for name in ("_meta.yaml", "_transforms.json"):
        assert (own / name).read_bytes() == (theirs / name).read_bytes()
    assert len(list(own.iterdir())) == len(list(theirs.iterdir()))


def test_inference_is_the_same_to_the_pixel(original, ours, at_once, images):
    """Each side applies what the other's Init wrote, with every random operation chosen."""
    theirs, own = at_once(lambda: original.init(**EVERYTHING), lambda: ours.init(**EVERYTHING))
    mode = "For inference"
    results = at_once(
        lambda: original.apply(own, images, mode), lambda: ours.apply(theirs, images, mode)
    )
    assert_same(*results)
    assert {p.shape for p in pixels(results[1])} == {(32, 32, 3)}
    assert original.probe("images", results[0]) == original.probe("images", results[1])


def test_training_is_the_same_where_nothing_is_left_to_chance(
    original, ours, at_once, images, tmp_path
):
    """Random operations that surely happen, or surely do not; and grey, which only ours writes."""
    certain = written(CERTAIN, tmp_path / "certain")
    assert_same(
        *at_once(lambda: original.apply(certain, images), lambda: ours.apply(certain, images))
    )


def test_the_original_applies_our_grey(original, ours, images):
    """And its images stay RGB."""
    grey = original.apply(ours.init(grayscale=True, random_grayscale=True), images)
    for image in pixels(grey):
        assert image.shape[2:] == (3,)
        assert (image == image[:, :, :1]).all()


def test_we_apply_every_random_operation_of_the_original(original, ours, images):
    """In the sizes that it gives."""
    applied = ours.apply(original.init(**EVERYTHING), images)
    assert {p.shape for p in pixels(applied)} == {(20, 20, 3)}


def features(folder: Path) -> np.ndarray:
    """(n, 5): how much of each image is black; the mean and spread of what it shows, x and y."""
    rows = []
    for image in pixels(folder):
        shown = image[image[:, :, 2] > 0]
        black = 1 - len(shown) / image[:, :, 0].size
        rows.append([255 * black, *shown[:, :2].mean(0), *shown[:, :2].std(0)])
    return np.array(rows)


@pytest.mark.parametrize(
    "operation",
    [["RandomResizedCrop", 32], ["RandomAffine", 40], ["RandomPerspective", {"p": 1}]],
)
def test_random_operations_have_the_originals_distribution(
    original, ours, at_once, tmp_path, operation
):
    """The means and spreads of 200 images, whose colours are their coordinates, agree."""
    across, down = np.meshgrid(np.linspace(0, 255, 40), np.linspace(0, 255, 30))
    image = Image.fromarray(np.stack([across, down, 0 * across + 255], 2).astype(np.uint8))
    for number in range(200):
        (tmp_path / "images" / "a").mkdir(parents=True, exist_ok=True)
        image.save(tmp_path / "images" / "a" / f"{number}.png")
    transformation = written([operation], tmp_path / "t")
    theirs, own = map(
        features,
        at_once(
            lambda: original.apply(transformation, tmp_path / "images"),
            lambda: ours.apply(transformation, tmp_path / "images"),
        ),
    )
    for measure in (np.mean, np.std):
        error = np.hypot(theirs.std(0), own.std(0)) / np.sqrt(len(own))  # of the mean; of std, less
        difference = np.abs(measure(theirs, axis=0) - measure(own, axis=0))
        assert (difference < 6 * error + 0.1).all(), (difference, error)
