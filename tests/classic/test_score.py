"""Score Image Model of both sides, file by file, and what the original does where ours differs."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.test_score import column, image_directory, trained_model

FILES = ("schema/_schema.json", "_data.visualization", "_samples.json")

DIRECTORIES = {
    "labelled": ([], [{"category": label} for label in ("cat", "dog", "cat")]),
    "labels missing": ([], [{"category": label} for label in ("cat", "", None)]),
    "other columns": (
        [
            column("weight", "float64"),
            column("number", "int64"),
            column("truth", "bool"),
            column("text", "str"),
            column("Any thing", "object"),
            column("Scored Probabilities_bird", "float64"),
        ],
        [
            {
                "weight": 0.5,
                "number": 1,
                "truth": True,
                "text": "x",
                "Any thing": [1],
                "Scored Probabilities_bird": 0.5,
            },
            {
                "weight": None,
                "number": None,
                "truth": False,
                "text": None,
                "Any thing": [2, 3],
                "Scored Probabilities_bird": 1.5,
            },
        ],
    ),
}


@pytest.fixture(scope="module")
def model(original, tmp_path_factory):
    """A model of cats and dogs."""
    target = tmp_path_factory.mktemp("models") / "model"
    return trained_model(original.untrained("resnet18"), target, ("cat", "dog"))


def almost(value):
    """``value`` with every number in it compared to six digits."""
    if isinstance(value, dict):
        return {key: almost(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [almost(inner) for inner in value]
    return pytest.approx(value, abs=1e-5) if isinstance(value, float) else value


@pytest.mark.parametrize("name", DIRECTORIES)
def test_every_file_is_the_originals(original, ours, at_once, same_scores, model, tmp_path, name):
    """The table, its schema, its samples, its preview and what names them."""
    images = image_directory(tmp_path / "in", *DIRECTORIES[name])
    theirs, own = at_once(lambda: original.score(model, images), lambda: ours.score(model, images))
    same_scores(theirs, own)
    for file in FILES:
        found, expected = (json.loads((folder / file).read_text()) for folder in (own, theirs))
        assert found == almost(expected)
    assert (own / "_meta.yaml").read_text() == (theirs / "_meta.yaml").read_text()
    assert names_in(own) == names_in(theirs)


def test_a_model_that_names_no_inputs(
    original, ours, at_once, same_scores, model, pictures, tmp_path
):
    """As the SDK saves one: the original does not normalise its pixels."""
    path = shutil.copytree(model, tmp_path / "model")
    spec = yaml.safe_load((path / "model_spec.yaml").read_text())
    del spec["inputs"]
    (path / "model_spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    images = original.convert(pictures)
    same_scores(*at_once(lambda: original.score(path, images), lambda: ours.score(path, images)))


def names_in(folder: Path) -> set[str]:
    """The files of a directory."""
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def test_images_without_labels(original, ours, at_once, same_scores, model, pictures, tmp_path):
    """Images that are not in class folders."""
    (tmp_path / "flat").mkdir()
    for number, file in enumerate(sorted(pictures.rglob("*.png"))[:3]):
        (tmp_path / "flat" / f"{number}.png").write_bytes(file.read_bytes())
    images = original.convert(tmp_path / "flat")
    both = at_once(lambda: original.score(model, images), lambda: ours.score(model, images))
    same_scores(*both)
    theirs, own = ([json.loads((f / file).read_text()) for file in FILES] for f in both)
    assert own == almost(theirs)
    assert own[0]["labelColumns"] == {}


def test_ten_thousand_categories_are_read(original, ours, pictures, tmp_path):
    """By the original's DataFrameDirectory, of ours."""
    labels = tuple(f"category {i}" for i in range(10_000))
    model = trained_model(original.untrained("resnet18"), tmp_path / "model", labels)
    read = original.probe("table", ours.score(model, ours.convert(pictures)))
    assert read["rows"] == 12
    assert len(read["columns"]) == 10_003
    assert read["columns"][2:-1] == [f"Scored Probabilities_{label}" for label in labels]


@pytest.mark.parametrize(
    ("columns", "row", "said"),
    [
        ([column("Scored Labels", "str")], {"Scored Labels": "x"}, '"Scored Labels" already exi'),
        ([], {"image_info": {"file_name": "gone.png"}}, "should exist or image url must"),
    ],
    ids=["a column twice", "a file that is gone"],
)
def test_what_neither_scores(original, ours, at_once, model, tmp_path, columns, row, said):
    """The original with a traceback, ours with one line."""
    images = image_directory(tmp_path / "in", columns, [row])

    def refused(side):
        with pytest.raises(side.failure) as failed:
            side.score(model, images)
        return str(failed.value)

    theirs, own = at_once(lambda: refused(original), lambda: refused(ours))
    assert said in theirs
    assert "Traceback" in theirs
    assert "InvalidDatasetError (0018): dataset: " in own
    assert "Traceback" not in own
