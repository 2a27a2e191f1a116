"""Score Image Model: its table, what it refuses, and that its network computes what was trained."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
import torch
import yaml
from PIL import Image
from torch import nn

from tests.conftest import class_folders, create, picture
from tests.scoring import probabilities, score
from train_pytorch_model.companions import score_image_model, scoring
from train_pytorch_model.models.architectures import architecture_named
from train_pytorch_model.models.inference import for_inference
from train_pytorch_model.models.network import build, network
from train_pytorch_model.ports.model_directory import read_model_directory, write_trained_model
from train_pytorch_model.ports.model_spec import ModelSpec

NAMES = ["Scored Probabilities_cat", "Scored Probabilities_dog", "Scored Labels"]

Column = dict[str, Any]


def trained_model(untrained: Path, target: Path, labels: tuple[str, ...], head: str = "fc") -> Path:
    """A trained model's directory, with the random weights of ``untrained``."""
    model = read_model_directory(untrained, "untrained_model")
    torch.manual_seed(0)
    weights = dict(model.weights)
    for part in ("weight", "bias"):
        name = f"model.{head}.{part}"
        weights[name] = torch.randn(len(labels), *weights[name].shape[1:])
    spec = replace(model.spec, num_classes=len(labels), labels_file="index_to_label.csv")
    target.mkdir(parents=True)
    write_trained_model(target, spec, weights, labels, {}, [])
    return target


@pytest.fixture(scope="module")
def model(resnet18: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of cats and dogs."""
    return trained_model(resnet18, tmp_path_factory.mktemp("models") / "model", ("cat", "dog"))


def column(name: str, kind: str, **rest: Any) -> Column:
    """A column of a schema, which is no feature."""
    element = {"typeName": kind, "isNullable": True}
    return {"name": name, "type": "Object", "isFeature": False, "elementType": element, **rest}


def image_directory(root: Path, columns: list[Column], rows: list[dict[str, Any]]) -> Path:
    """A directory with metadata: an image, ``id`` and ``columns`` for each of ``rows``."""
    categories = [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]
    annotation = {"annotation_type": "COCO_classification", "categories": categories}
    image = {"mime_type": "image/png", "image_ref": "image_info"}
    attributes = [
        {**column("image", "bytes", properties=image), "isFeature": True},
        column("id", "int64"),
        column("category", "str", properties=annotation),
        *columns,
    ]
    (root / "image").mkdir(parents=True)
    lines = []
    for number, row in enumerate(rows):
        picture(number).save(root / "image" / f"{number}.png")
        named = {"image_info": {"file_name": f"image/{number}.png"}, "id": number}
        lines.append(json.dumps({**named, "category": "cat", **row}))
    (root / "images.lst").write_text("\n".join(lines))
    (root / "_schema.json").write_text(json.dumps({"columnAttributes": attributes}))
    files = "image_list: images.lst\nschema: _schema.json\n"
    (root / "_meta.yaml").write_text(f"type: ImageDirectory\n{files}")
    return root


def schema_of(scored: Path) -> dict[str, Any]:
    """The schema of a scored data set."""
    found: dict[str, Any] = json.loads((scored / "schema" / "_schema.json").read_text())
    return found


def test_scored_images(model: Path, validation: Path, tmp_path: Path) -> None:
    """The table's columns, its schema, its samples and the most probable label."""
    table = score(model, validation, tmp_path / "scored")
    assert list(table.columns) == ["category", "id", *NAMES]
    assert table["id"].tolist() == list(range(6))
    assert table["category"].tolist() == ["cat"] * 3 + ["dog"] * 3
    best = probabilities(table).idxmax(axis=1)
    assert best.tolist() == table["Scored Labels"].tolist()
    assert probabilities(table).sum(axis=1).to_numpy() == pytest.approx(np.ones(6))

    schema = schema_of(tmp_path / "scored")
    assert [c["name"] for c in schema["columnAttributes"]] == list(table.columns)
    features = [c["name"] for c in schema["columnAttributes"] if c["isFeature"]]
    assert features == ["id"]
    assert schema["labelColumns"] == {"True Labels": "category"}
    assigned = {"Multi Class Assigned Labels": "Scored Labels"}
    assert schema["scoreColumns"] == {**{n: n for n in NAMES[:2]}, **assigned}
    samples = json.loads((tmp_path / "scored" / "_samples.json").read_text())
    assert [row["id"] for row in samples] == [0, 1, 2]


def test_a_model_without_inputs(model: Path, validation: Path, tmp_path: Path) -> None:
    """Takes pixels from 0 to 1, as in the original, where it was not saved by its Train."""
    path = shutil.copytree(model, tmp_path / "model")
    spec = yaml.safe_load((path / "model_spec.yaml").read_text())
    del spec["inputs"]
    (path / "model_spec.yaml").write_text(yaml.safe_dump(spec))
    found = probabilities(score(path, validation, tmp_path / "scored"))
    directory = read_model_directory(path, "trained_model")
    net = network(directory, ("cat", "dog"), seed=0).eval()
    for row, file in enumerate(sorted(validation.rglob("*.png"))):
        with Image.open(file) as image, torch.inference_mode():
            pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None] / 255
            expected = net(pixels).softmax(dim=1)[0]
        assert found.iloc[row].to_list() == pytest.approx(expected.tolist(), abs=1e-5)
    usual = probabilities(score(model, validation, tmp_path / "usual"))
    assert not np.allclose(found, usual, atol=1e-3)


def test_the_preview(model: Path, tmp_path: Path) -> None:
    """The first rows, what each column is, and no statistics, as the original leaves them."""
    rows = [{"weight": None if i == 0 else i / 2} for i in range(103)]
    images = image_directory(tmp_path / "in", [column("weight", "float64")], rows)
    score(model, images, tmp_path / "scored")
    preview = json.loads((tmp_path / "scored" / "_data.visualization").read_text())
    data, statistics, layout = (preview[part] for part in ("data", "statistics", "layout"))
    assert (data["numberOfRows"], data["numberOfColumns"], len(data["records"])) == (103, 6, 100)
    assert [f["featureType"] for f in data["features"]] == [
        *("String Label", "Numeric Feature", "Numeric Feature"),
        *("Numeric Score", "Numeric Score", "String Score"),
    ]
    assert [record[2] for record in data["records"][:3]] == [{"isNan": True}, 0.5, 1.0]
    assert statistics["records"] == [[{"isNan": True}] * 7] * 6
    assert layout["records"] == [[None, None]] * 6


@pytest.mark.parametrize(
    ("columns", "cells", "written"),
    [
        (["int64"], [[1], [2]], ["int64"]),
        (["int64"], [[1], [None]], ["double"]),
        (["float64", "bool", "str"], [[0.5, True, "x"], [None, None, None]], None),
        (["object"], [[[1, 2]], [[3]]], ["list<element: int64>"]),
    ],
    ids=["integers", "a missing integer", "missing values", "lists"],
)
def test_other_columns(
    model: Path, tmp_path: Path, columns: list[str], cells: list[list[Any]], written: list[str]
) -> None:
    """Are kept; integers of which one is missing become floats, as in the original."""
    names = [f"column {i}" for i in range(len(columns))]
    declared = [column(name, kind) for name, kind in zip(names, columns, strict=True)]
    rows = [dict(zip(names, row, strict=True)) for row in cells]
    score(model, image_directory(tmp_path / "in", declared, rows), tmp_path / "scored")
    table = pyarrow.parquet.read_table(tmp_path / "scored" / "_data.parquet")
    assert table.column_names == ["category", *names, "id", *NAMES]
    assert table.select(names).to_pylist() == rows
    if written:
        assert [str(table.schema.field(name).type) for name in names] == written


def test_images_without_labels_and_of_many_sizes(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sizes may be mixed when scoring; an image's score does not depend on the others."""
    (tmp_path / "flat").mkdir()
    for number, size in enumerate([32, 48, 48, 32, 40]):
        picture(number, size).save(tmp_path / "flat" / f"{number}.png")
    table = score(model, tmp_path / "flat", tmp_path / "scored")
    assert list(table.columns) == ["id", *NAMES]
    assert schema_of(tmp_path / "scored")["labelColumns"] == {}
    assert "5 images scored. " in capsys.readouterr().out
    for number in range(5):
        (tmp_path / f"{number}").mkdir()
        (tmp_path / "flat" / f"{number}.png").rename(tmp_path / f"{number}" / "0.png")
        alone = score(model, tmp_path / f"{number}", tmp_path / f"scored {number}")
        expected = probabilities(alone).to_numpy()[0]
        assert probabilities(table).to_numpy()[number] == pytest.approx(expected, abs=1e-6)


def test_accuracy_is_of_the_labelled_images(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An image without a label is neither right nor wrong."""
    rows = [{"category": label} for label in ("cat", "", "dog", None)]
    table = score(model, image_directory(tmp_path / "in", [], rows), tmp_path / "scored")
    assert table["category"].tolist()[:3] == ["cat", "", "dog"]
    hits = (table["category"] == table["Scored Labels"]).sum()
    assert f"4 images scored; top-1 accuracy {hits / 2:.1%}." in capsys.readouterr().out


def test_labels_that_are_annotations_become_categories(model: Path, tmp_path: Path) -> None:
    """Of a converted COCO data set."""
    labels = [[{"category_id": 1}], [{"category_id": 0}, {"category_id": 0}], []]
    rows = [{"category": label} for label in labels]
    table = score(model, image_directory(tmp_path / "in", [], rows), tmp_path / "scored")
    assert table["category"].tolist()[:2] == ["dog", "cat"]
    assert table["category"].isna().tolist() == [False, False, True]


def test_row_groups(model: Path, validation: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """A table that does not fit in one is the same table."""
    whole = score(model, validation, tmp_path / "whole")
    monkeypatch.setattr(scoring, "GROUP_ROWS", 4)
    parts = score(model, validation, tmp_path / "parts")
    file = pyarrow.parquet.ParquetFile(tmp_path / "parts" / "_data.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [4, 2]
    assert parts.drop(columns=NAMES[:2]).equals(whole.drop(columns=NAMES[:2]))
    assert probabilities(parts).to_numpy() == pytest.approx(probabilities(whole).to_numpy())


def test_ten_thousand_categories(resnet18: Path, validation: Path, tmp_path: Path) -> None:
    """Each has its column, in the order of the labels; the preview stays small."""
    labels = tuple(f"category {i}" for i in range(10_000))
    table = score(trained_model(resnet18, tmp_path / "model", labels), validation, tmp_path / "out")
    assert list(probabilities(table).columns) == list(labels)
    preview = json.loads((tmp_path / "out" / "_data.visualization").read_text())
    assert preview["data"]["numberOfColumns"] == 10_003
    assert len(preview["data"]["records"][0]) == len(preview["data"]["features"]) == 100


@pytest.mark.parametrize(
    "name",
    [
        *("resnet18", "densenet121", "efficientnet_b0", "googlenet", "inception_v3", "maxvit_t"),
        *("mnasnet0_5", "mobilenet_v3_small", "regnet_y_400mf", "shufflenet_v2_x0_5", "vgg11_bn"),
    ],
)
def test_a_network_for_inference_computes_the_same(name: str) -> None:
    """With statistics as training makes them; each kind of network with batch normalisation."""
    torch.manual_seed(1)
    _, architecture = architecture_named(name)
    spec = ModelSpec("", "", name, options={"init_weights": False})
    net = build(spec, architecture, classes=3).eval()
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.normal_(norm.running_mean, 0, 0.1)
        nn.init.uniform_(norm.running_var, 0.5, 1.5)
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, 0, 0.1)
    size = architecture.image_size or 96
    images = torch.rand(2, 3, size, size)
    with torch.inference_mode():
        expected = net(images)
        found = for_inference(net, torch.device("cpu"))(images)
    left = sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    assert left < len(norms)
    assert float((found - expected).abs().max()) <= 1e-5 * float(expected.abs().max())


def broken(root: Path) -> Path:
    """Class folders of which two files are no images."""
    class_folders(root, {"cat": 2, "dog": 2})
    for name in ("cat/000.png", "dog/001.png"):
        (root / name).write_bytes(b"x")
    return root


UNREADABLE = (
    "InvalidDatasetError (0018): dataset: images that cannot be read, 2 problems: 'cat/000.png' "
    "(it is not an image of a known format); 'dog/001.png' "
)


@pytest.mark.parametrize(
    ("make", "start"),
    [
        (broken, UNREADABLE),
        (
            lambda root: image_directory(root, [column(NAMES[2], "str")], [{NAMES[2]: "x"}]),
            "InvalidDatasetError (0018): dataset: its columns 'Scored Labels' have names ",
        ),
        (
            lambda root: image_directory(root, [column(NAMES[1], "float64")], [{NAMES[1]: 1}]),
            "InvalidDatasetError (0018): dataset: its columns 'Scored Probabilities_dog' have ",
        ),
        (
            lambda root: image_directory(root, [], [{"category": "bird"}]),
            "InvalidDatasetError (0018): dataset: images.lst has 1 images with 1 labels that are ",
        ),
    ],
    ids=["unreadable", "scored label", "probability", "unknown label"],
)
def test_images_that_cannot_be_scored(
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], Path],
    start: str,
) -> None:
    """Are told in one line, and nothing is written."""
    assert refused(model, make(tmp_path / "in"), tmp_path / "out", capsys).startswith(start)


def refused(model: Path, images: Path, target: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Score what cannot be scored; returns the one line that says why."""
    words = ["--trained-model", model, "--dataset", images, "--scored-dataset", target]
    capsys.readouterr()
    assert score_image_model.main([str(word) for word in [*words, "--device", "cpu"]]) == 1
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1, err
    assert not target.exists()
    return err


def test_models_that_cannot_score(
    resnet18: Path,
    model: Path,
    validation: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One that is not trained, and one with a label twice."""
    untrained = "InvalidModelDirectoryError (0159): trained_model: found an untrained model"
    assert refused(resnet18, validation, tmp_path / "out", capsys).startswith(untrained)
    shutil.copytree(model, tmp_path / "twice")
    (tmp_path / "twice" / "index_to_label.csv").write_text(",label\n0,cat\n1,cat\n")
    twice = "InvalidModelDirectoryError (0159): trained_model: 1 labels belong to more than one"
    err = refused(tmp_path / "twice", validation, tmp_path / "out", capsys)
    assert err.startswith(twice)


def test_images_too_small_for_the_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A DenseNet halves them until nothing is left."""
    create("densenet121", tmp_path / "untrained")
    labels = tuple(map(str, range(1000)))
    model = trained_model(tmp_path / "untrained", tmp_path / "model", labels, "classifier")
    images = class_folders(tmp_path / "in", {"cat": 1, "dog": 1}, size=16)
    err = refused(model, images, tmp_path / "out", capsys)
    assert err.startswith("InvalidDatasetError (0018): dataset: images of 16x16 pixels are too ")


MEASURED = """
import os, resource, sys
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])  # more of them work ahead on more
from train_pytorch_model.companions.score_image_model import main
assert main(sys.argv[1:]) == 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_images(tmp_path: Path) -> None:
    """The pixels of 180 more would take 194 MB."""
    create("shufflenet_v2_x0_5", tmp_path / "untrained")
    model = trained_model(tmp_path / "untrained", tmp_path / "model", ("cat", "dog"))
    peaks = []
    for count in (20, 200):
        images = image_directory(tmp_path / f"{count}", [], [{}])
        picture(0, 600).save(images / "image" / "0.png", compress_level=1)
        line = (images / "images.lst").read_text()
        (images / "images.lst").write_text("\n".join([line] * count))
        words = ["--trained-model", model, "--dataset", images, "--device", "cpu"]
        command = [sys.executable, "-c", MEASURED, *words, "--scored-dataset", tmp_path / "scored"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks.append(int(done.stdout.splitlines()[-1]) / 1024)
        shutil.rmtree(tmp_path / "scored")
    assert peaks[1] - peaks[0] < 48, peaks
