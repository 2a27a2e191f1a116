"""The neighbours that the demo needs."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from tests.conftest import Arguments, Run, class_folders, picture
from tests.scoring import probabilities, score
from tests.test_training import output_of, same, train, weights
from train_pytorch_model.companions import resnet, score_image_model


def test_an_untrained_model_is_the_originals_format(tmp_path: Path) -> None:
    """And its weights follow the seed."""
    paths = {name: tmp_path / name for name in ("a", "b", "c")}
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        words = ["--untrained_model_path", str(paths[name]), "--random_seed", str(seed)]
        words += ["--model_name", "resnet18", "--pretrained", "False"]
        assert resnet.main(words) == 0
    assert same(weights(paths["a"]), weights(paths["b"]))
    assert not same(weights(paths["a"]), weights(paths["c"]))
    meta = yaml.safe_load((paths["a"] / "_meta.yaml").read_text())
    assert meta == {"type": "ModelDirectory", "extension": {}, "model": "model_spec.yaml"}
    spec = yaml.safe_load((paths["a"] / "model_spec.yaml").read_text())
    assert isinstance(spec.pop("time_created"), str)
    package = "azureml.designer.modules.dl.pytorch.initialize_models.vision.classification"
    assert spec == {
        "flavor": {"name": "pytorch", "serialization_method": "state_dict"},
        "model_file": "model",
        "flavor_extras": {
            "module": f"{package}.resnet",
            "class": "ResNet",
            "is_cuda": False,
            "init_params": {
                "model_name": "resnet18",
                "pretrained": False,
                "zero_init_residual": False,
            },
        },
        "task_type": "MultiClassification",
    }


def test_scored_images(run: Run, arguments: Arguments, tmp_path: Path) -> None:
    """The table's columns, its schema, and labelled and unlabelled images."""
    train(run, {})
    images = Path(str(arguments["--valid-data-path"]))
    table = score(output_of(arguments), images, tmp_path / "scored")
    names = ["Scored Probabilities_cat", "Scored Probabilities_dog", "Scored Labels"]
    assert list(table.columns) == ["category", "id", *names]
    assert table["id"].tolist() == list(range(6))
    best = probabilities(table).idxmax(axis=1)
    assert best.tolist() == table["Scored Labels"].tolist()

    schema = json.loads((tmp_path / "scored" / "schema" / "_schema.json").read_text())
    assert [c["name"] for c in schema["columnAttributes"]] == list(table.columns)
    assert schema["labelColumns"] == {"True Labels": "category"}
    assigned = {"Multi Class Assigned Labels": "Scored Labels"}
    assert schema["scoreColumns"] == {**{n: n for n in names[:2]}, **assigned}
    samples = json.loads((tmp_path / "scored" / "_samples.json").read_text())
    assert [row["id"] for row in samples] == [0, 1, 2]

    flat = tmp_path / "flat"
    flat.mkdir()
    for number, size in enumerate([32, 48, 32]):  # sizes may be mixed when scoring
        picture(number, size).save(flat / f"{number}.png")
    unlabelled = score(output_of(arguments), flat, tmp_path / "scored flat")
    assert list(unlabelled.columns) == ["id", *names]
    schema = json.loads((tmp_path / "scored flat" / "schema" / "_schema.json").read_text())
    assert schema["labelColumns"] == {}


def test_what_cannot_be_scored(
    run: Run, arguments: Arguments, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An untrained model, and images that cannot be read: all of them are named."""
    images = Path(str(arguments["--valid-data-path"]))

    def refused(words: Sequence[object]) -> str:
        assert score_image_model.main([str(w) for w in words]) == 1
        assert not (tmp_path / "scored").exists()
        return capsys.readouterr().err

    target = ("--scored-dataset", tmp_path / "scored")
    untrained = arguments["--untrained-model-path"]
    err = refused(["--trained-model", untrained, "--dataset", images, *target])
    assert err.startswith("InvalidModelDirectoryError (0159): trained_model: found an untrained")

    train(run, {})
    broken = class_folders(tmp_path / "broken", {"cat": 2, "dog": 2})
    for name in ("cat/000.png", "dog/001.png"):
        (broken / name).write_bytes(b"x")
    err = refused(["--trained-model", output_of(arguments), "--dataset", broken, *target])
    assert err.startswith("InvalidDatasetError (0018): dataset: images that cannot be read, 2 ")
    assert "'cat/000.png'" in err
    assert "'dog/001.png'" in err
