"""Model directories: every architecture, fine-tuning, and what is refused."""

import json
import shutil
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
import yaml
from PIL import Image, PngImagePlugin
from torch import Tensor, nn

from tests.conftest import Arguments, Run, class_folders, create, refused
from tests.scoring import probabilities, score
from tests.test_training import output_of, same, train, weights
from train_pytorch_model.models.architectures import DENSENET, RESNET
from train_pytorch_model.models.network import network
from train_pytorch_model.ports.model_directory import read_model_directory

FROZEN = {"--learning-rate": "5e-324", "--epochs": 1}
"""A run that changes the statistics of batch normalisation, but no weight."""


def trained_on(run: Run, folder: Path, counts: dict[str, int], **changes: object) -> Path:
    """A model trained on these categories; returns its directory."""
    images = class_folders(folder / "images", counts)
    ports = {"--train-data-path": images, "--valid-data-path": images}
    train(run, {**ports, "--trained-model-path": folder / "model", **changes})
    return folder / "model"


@pytest.mark.parametrize("name", [*RESNET.model_names, *DENSENET.model_names])
def test_every_architecture_loads_with_its_weights(name: str, tmp_path: Path) -> None:
    """All but the last layer, which is made for the labels."""
    create(name, tmp_path / "untrained")
    state = weights(tmp_path / "untrained")
    assert all(key.startswith("model.") for key in state)
    directory = read_model_directory(tmp_path / "untrained", "untrained_model")
    net = network(directory, ["cat", "dog", "eel"], seed=1).eval()
    with torch.inference_mode():
        assert net(torch.zeros(1, 3, 32, 32)).shape == (1, 3)
    found = {f"model.{key}": value for key, value in net.state_dict().items()}
    head = {key for key in found if key.startswith(("model.fc.", "model.classifier."))}
    assert {k: v for k, v in state.items() if k not in head}.keys() == found.keys() - head
    assert all(torch.equal(state[key], found[key]) for key in found.keys() - head)


@pytest.mark.parametrize("name", ["resnet34", "densenet121"])
def test_an_architecture_trains_and_is_scored(run: Run, arguments: Arguments, name: str) -> None:
    """The other families through the command line."""
    folder = output_of(arguments).parent
    create(name, folder / "untrained")
    train(run, {"--untrained-model-path": folder / "untrained"})
    table = score(output_of(arguments), Path(str(arguments["--valid-data-path"])), folder / "s")
    assert list(probabilities(table).columns) == ["cat", "dog"]
    assert probabilities(table).sum(axis=1).to_numpy() == pytest.approx(1.0)


def test_training_starts_from_the_weights_it_is_given(run: Run, arguments: Arguments) -> None:
    """At a rate of nothing, they are what is written."""
    train(run, FROZEN)
    given, written = (
        weights(Path(str(arguments["--untrained-model-path"]))),
        weights(output_of(arguments)),
    )
    learned = [k for k in given if k.endswith(("weight", "bias")) and ".fc." not in k]
    assert len(learned) == 60
    assert all(torch.equal(given[key], written[key]) for key in learned)
    assert written["model.fc.weight"].shape == (2, 512)


def test_fine_tuning_keeps_the_head_for_the_same_labels(run: Run, tmp_path: Path) -> None:
    """In whatever order the data has them; for others only the head is new."""
    counts = {"b": 4, "c": 4, "d": 4}
    first = trained_on(run, tmp_path / "first", counts)
    before = weights(first)

    again = trained_on(
        run, tmp_path / "again", counts, **{"--untrained-model-path": first}, **FROZEN
    )
    assert torch.equal(weights(again)["model.fc.weight"], before["model.fc.weight"])

    # The same labels in another order: a directory whose ids are turned round.
    turned = tmp_path / "turned"
    shutil.copytree(first, turned)
    order = [2, 0, 1]
    labels = ["b", "c", "d"]
    rows = [f"{i},{labels[j]}\n" for i, j in enumerate(order)]
    (turned / "index_to_label.csv").write_text("".join([",label\n", *rows]))
    state = {**before}
    for key in ("model.fc.weight", "model.fc.bias"):
        state[key] = before[key][order]
    torch.save(state, turned / "model")
    other = trained_on(
        run, tmp_path / "other", counts, **{"--untrained-model-path": turned}, **FROZEN
    )
    assert torch.equal(weights(other)["model.fc.weight"], before["model.fc.weight"])

    fresh = trained_on(
        run, tmp_path / "new", {"b": 4, "e": 4}, **{"--untrained-model-path": first}, **FROZEN
    )
    after = weights(fresh)
    assert after["model.fc.weight"].shape == (2, 512)
    assert torch.equal(after["model.conv1.weight"], before["model.conv1.weight"])


def pretrained_directory(path: Path, classes: int | None) -> nn.Sequential:
    """What the original writes of a pretrained ResNet-18, here with random weights."""
    torch.manual_seed(3)
    body = torchvision.models.resnet18(weights=None)
    last = nn.Linear(1000, classes or 1)
    create("resnet18", path)
    spec = yaml.safe_load((path / "model_spec.yaml").read_text())
    spec["flavor_extras"]["init_params"]["pretrained"] = True
    state = {f"model.{key}": value for key, value in body.state_dict().items()}
    if classes:
        spec["flavor_extras"]["init_params"]["num_classes"] = classes
        spec["label_map_file"] = "index_to_label.csv"
        state |= {f"out_linear_model.{key}": value for key, value in last.state_dict().items()}
        rows = [f"{i},{name}\n" for i, name in enumerate(["cat", "dog"][:classes])]
        (path / "index_to_label.csv").write_text("".join([",label\n", *rows]))
    (path / "model_spec.yaml").write_text(yaml.safe_dump(spec))
    torch.save(state, path / "model")
    return nn.Sequential(body, last).eval()


def test_a_trained_pretrained_model_keeps_what_it_computes(tmp_path: Path) -> None:
    """Its two last layers become one."""
    original = pretrained_directory(tmp_path / "pretrained", classes=2)
    directory = read_model_directory(tmp_path / "pretrained", "untrained_model")
    images = torch.rand(4, 3, 64, 64)
    with torch.inference_mode():
        expected = original(images)
        found = network(directory, ["cat", "dog"], seed=1).eval()(images)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_pretrained_model_is_written_so_that_nothing_is_downloaded(
    run: Run, arguments: Arguments, tmp_path: Path
) -> None:
    """With ``pretrained: false``, its classes, and its body's weights."""
    pretrained_directory(tmp_path / "pretrained", classes=None)
    train(run, {"--untrained-model-path": tmp_path / "pretrained", **FROZEN})
    spec = yaml.safe_load((output_of(arguments) / "model_spec.yaml").read_text())
    assert spec["flavor_extras"]["init_params"] == {
        "model_name": "resnet18",
        "pretrained": False,
        "zero_init_residual": False,
        "num_classes": 2,
    }
    given, written = weights(tmp_path / "pretrained"), weights(output_of(arguments))
    assert torch.equal(given["model.conv1.weight"], written["model.conv1.weight"])


def test_odd_labels_survive(run: Run, tmp_path: Path) -> None:
    """As text, whatever they look like."""
    names = [
        "01",
        "1e3",
        "nan",
        "True",
        "a,b",
        'say "x"',
        "été 日本",
        " edge ",
        "line\nbreak",
        "cr\rhere",
    ]
    path = trained_on(run, tmp_path / "odd", dict.fromkeys(sorted(names), 2))
    table = score(path, tmp_path / "odd" / "images", tmp_path / "scored")
    assert list(probabilities(table).columns) == sorted(names)
    assert set(table["category"]) == set(names)
    assert set(table["Scored Labels"]) <= set(names)


def test_labels_with_gaps_load(tmp_path: Path, resnet18: Path) -> None:
    """The original leaves out category ids that nothing has, all but the last."""
    path = tmp_path / "gaps"
    shutil.copytree(resnet18, path)
    spec_with(lambda s: s.update(label_map_file="l.csv"))(path)
    (path / "l.csv").write_text(",label\n0,cat\n2,Others\n3,dog\n")
    directory = read_model_directory(path, "trained_model")
    assert directory.labels == ("cat", "1", "Others", "dog")


def loaded(path: Path) -> Any:
    """A Python file as a module."""
    module_spec = spec_from_file_location(path.stem, path)
    assert module_spec is not None
    assert module_spec.loader is not None
    module = module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    return module


def test_the_deployment_file_scores_as_the_companion(
    run: Run, arguments: Arguments, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """``score.py`` answers the rows of ``_samples.json``, without this package."""
    train(run, {})
    path = output_of(arguments)
    endpoint = loaded(path / "score.py")
    assert "train_pytorch_model" not in (path / "score.py").read_text()
    assert str(path) not in sys.path
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(path.parent))
    endpoint.init()
    rows = json.loads(endpoint.run((path / "_samples.json").read_text()))["result"]
    table = score(path, Path(str(arguments["--train-data-path"])), tmp_path / "scored")
    for row, expected in zip(rows, table.head(3).to_numpy().tolist(), strict=True):
        assert row[:2] == expected[:2]
        assert row[2:4] == pytest.approx(expected[2:4], abs=1e-5)
        assert row[4] == expected[4]


def test_the_deployment_file_takes_deep_images(
    run: Run, arguments: Arguments, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By the rule of training: of 16 bits, though no value is, and with a profile of 2 MB."""
    rng = np.random.default_rng(0)
    deep = tmp_path / "deep"
    for number, name in enumerate(("cat", "dog")):
        (deep / name).mkdir(parents=True)
        values = rng.integers(0, 30000 * (number + 1), (32, 32)).astype(np.uint16)
        Image.fromarray(values).save(deep / name / "0.png", icc_profile=bytes(2 << 20))
        dark = rng.integers(0, 100 * (number + 1), (32, 32)).astype(np.uint16)
        Image.fromarray(dark).save(deep / name / "1.pgm")
    train(run, {"--train-data-path": deep, "--valid-data-path": deep})
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(output_of(arguments)))
    monkeypatch.setattr(PngImagePlugin, "MAX_TEXT_CHUNK", 1 << 20)  # as it is without this package
    endpoint = loaded(output_of(arguments) / "score.py")
    endpoint.init()
    answer = endpoint.run((output_of(arguments) / "_samples.json").read_text())
    table = score(output_of(arguments), deep, tmp_path / "scored")
    for row, expected in zip(json.loads(answer)["result"], table.to_numpy().tolist(), strict=False):
        assert row[2:4] == pytest.approx(expected[2:4], abs=1e-5)


Damage = Callable[[Path], object]


@pytest.mark.parametrize(
    ("value", "meant"), [("true", True), ("false", True), (1, True), (0, False), ("", False)]
)
def test_options_that_are_no_truth_values(
    resnet18: Path, tmp_path: Path, value: Any, meant: bool
) -> None:
    """As the original's command line writes ``--pretrained true``; it takes any text for true."""
    path = shutil.copytree(resnet18, tmp_path / "model")
    options = {"pretrained": value, "zero_init_residual": value}
    spec_with(lambda s: s["flavor_extras"]["init_params"].update(options))(path)
    spec = read_model_directory(path, "untrained_model").spec
    assert (spec.pretrained, spec.options["zero_init_residual"]) == (meant, meant)


def spec_with(change: Callable[[dict[str, Any]], object]) -> Damage:
    """Damage to the spec: ``change`` gets its data."""

    def damage(path: Path) -> None:
        document = yaml.safe_load((path / "model_spec.yaml").read_text())
        change(document)
        (path / "model_spec.yaml").write_text(yaml.safe_dump(document))

    return damage


def file_with(name: str, content: bytes) -> Damage:
    """Damage to a file: it has this content."""
    return lambda path: (path / name).write_bytes(content)


def weights_with(change: Callable[[dict[str, Tensor]], object]) -> Damage:
    """Damage to the state dict."""

    def damage(path: Path) -> None:
        state = weights(path)
        change(state)
        torch.save(state, path / "model")

    return damage


class Payload:
    """Unpickling this would leave a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        """Touch the mark."""
        return Path.touch, (self.mark,)


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{new}: &{new} {{<<: [{','.join([f'*{old}'] * 9)}]}}\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
PROCESSOR = {"module": "os", "class": "system", "init_params": {"command": "touch mark"}}

DAMAGED: dict[str, tuple[Damage, str]] = {
    # what is wrong: (the damage, a part of the message)
    "no meta": (lambda p: (p / "_meta.yaml").unlink(), "'_meta.yaml' cannot be read"),
    "empty meta": (file_with("_meta.yaml", b""), "type None"),
    "binary meta": (file_with("_meta.yaml", b"\xff\x00\xfe"), "_meta.yaml is not YAML"),
    "deep meta": (file_with("_meta.yaml", b"[" * 100000), "_meta.yaml is not YAML"),
    "meta of images": (file_with("_meta.yaml", b"type: ImageDirectory"), "'ImageDirectory'"),
    "meta bomb": (file_with("_meta.yaml", f"{BOMB}type: *i".encode()), "type a list"),
    "meta python": (
        file_with("_meta.yaml", b"type: !!python/object/apply:os.system ['touch mark']"),
        "_meta.yaml is not YAML",
    ),
    "spec elsewhere": (
        file_with("_meta.yaml", b"type: ModelDirectory\nmodel: ../model_spec.yaml"),
        "its path leaves the directory",
    ),
    "no spec": (lambda p: (p / "model_spec.yaml").unlink(), "'model_spec.yaml' cannot be read"),
    "empty spec": (file_with("model_spec.yaml", b""), "flavor.name is None, expected 'pytorch'"),
    "merge bomb": (
        file_with("_meta.yaml", MERGES.encode()),
        "_meta.yaml is not YAML (ConstructorError)",
    ),
    "odd tag in meta": (file_with("_meta.yaml", b"type: !!bool x"), "_meta.yaml is not YAML"),
    "overflow": (
        weights_with(
            lambda s: s.update({"model.bn1.weight": torch.full((64,), 1e300, dtype=torch.float64)})
        ),
        "model.bn1.weight has values that are infinite or not a number in torch.float32",
    ),
    "huge spec": (file_with("model_spec.yaml", b" " * 2**21), "larger than 1,048,576 bytes"),
    "sklearn": (spec_with(lambda s: s["flavor"].update(name="sklearn")), "'sklearn'"),
    "pickled": (
        spec_with(lambda s: s["flavor"].update(serialization_method="cloudpickle")),
        "'cloudpickle'",
    ),
    "os.system": (
        spec_with(lambda s: s["flavor_extras"].update({"module": "os", "class": "system"})),
        "found the class 'system' in 'os'",
    ),
    "bomb class": (
        lambda p: (p / "model_spec.yaml").write_text(
            BOMB + (p / "model_spec.yaml").read_text().replace("class: ResNet", "class: *i")
        ),
        "flavor_extras.class is a list",
    ),
    "pre-processor": (
        spec_with(lambda s: s.update(inputs=[{"name": "image", "pre_processor": PROCESSOR}])),
        "pre_processor.module is 'os'",
    ),
    "unknown net": (
        spec_with(lambda s: s["flavor_extras"]["init_params"].update(model_name="vgg16")),
        "found 'vgg16' for ResNet, expected one of resnet18",
    ),
    "DenseNet of ResNet": (
        spec_with(lambda s: s["flavor_extras"].update({"class": "DenseNet"})),
        "found the class 'DenseNet'",
    ),
    "unknown option": (
        spec_with(lambda s: s["flavor_extras"]["init_params"].update(weights=True)),
        "parameters ['weights']",
    ),
    "option that is a list": (
        spec_with(lambda s: s["flavor_extras"]["init_params"].update(pretrained=["yes"])),
        "expected true or false",
    ),
    "no classes": (
        spec_with(lambda s: s["flavor_extras"]["init_params"].update(num_classes=0)),
        "num_classes is 0",
    ),
    "weights elsewhere": (spec_with(lambda s: s.update(model_file="/etc/hostname")), "leaves"),
    "weights of a link": (
        lambda p: ((p / "model").unlink(), (p / "model").symlink_to("/etc/hostname")),
        "a link leads out of the directory",
    ),
    "no weights": (lambda p: (p / "model").unlink(), "'model' cannot be read"),
    "empty weights": (file_with("model", b""), "not a state dict"),
    "text weights": (file_with("model", b"hello"), "not a state dict"),
    "half weights": (
        lambda p: (p / "model").write_bytes((p / "model").read_bytes()[:1000000]),
        "not a state dict",
    ),
    "a tensor": (lambda p: torch.save(torch.zeros(2), p / "model"), "holds a Tensor"),
    "code": (lambda p: torch.save({"x": Payload(p / "mark")}, p / "model"), "not a state dict"),
    "missing tensor": (
        weights_with(lambda s: s.pop("model.conv1.weight")),
        "1 problem: model.conv1.weight is missing",
    ),
    "every tensor missing": (
        weights_with(lambda s: s.clear()),
        "122 problems: model.conv1.weight is missing; ",
    ),
    "more tensors": (weights_with(lambda s: s.update(x=torch.zeros(1))), "'x' is not one of"),
    "other shape": (
        weights_with(lambda s: s.update({"model.conv1.weight": torch.zeros(64, 3, 3, 3)})),
        "model.conv1.weight is of shape [64, 3, 3, 3], expected [64, 3, 7, 7]",
    ),
    "other type": (
        weights_with(lambda s: s.update({"model.bn1.weight": torch.zeros(64, dtype=torch.int64)})),
        "model.bn1.weight is of type torch.int64",
    ),
    "NaN": (
        weights_with(lambda s: s["model.conv1.weight"].fill_(float("nan"))),
        "model.conv1.weight has values that are infinite or not a number",
    ),
    "head of another shape": (
        weights_with(lambda s: s.update({"model.fc.weight": torch.zeros(5, 7)})),
        "expected [n, 512] and [n]",
    ),
    "huge expanded head": (
        weights_with(lambda s: s.update({"model.fc.weight": torch.zeros(1).expand(10**9, 512)})),
        "model.fc.weight is not a plain tensor",
    ),
    "second head of another shape": (
        weights_with(
            lambda s: s.update(
                {
                    "out_linear_model.weight": torch.zeros(2, 9),
                    "out_linear_model.bias": torch.zeros(2),
                }
            )
        ),
        "expected [n, 1000] and [n]",
    ),
    "half a second head": (
        weights_with(lambda s: s.update({"out_linear_model.bias": torch.zeros(2)})),
        "out_linear_model.weight or out_linear_model.bias is missing",
    ),
    "labels missing": (spec_with(lambda s: s.update(label_map_file="gone.csv")), "'gone.csv'"),
    "labels elsewhere": (spec_with(lambda s: s.update(label_map_file="../x.csv")), "leaves"),
    "labels of a number": (spec_with(lambda s: s.update(label_map_file=3)), "label_map_file is 3"),
    "labels not a table": (
        lambda p: (
            (
                spec_with(lambda s: s.update(label_map_file="l.csv"))(p),
                file_with("l.csv", b",label\nx,y\n")(p),
            )
        ),
        "not a table of an index and a label",
    ),
    "fewer labels than outputs": (
        lambda p: (
            (
                spec_with(lambda s: s.update(label_map_file="l.csv"))(p),
                file_with("l.csv", b",label\n0,cat\n1,dog\n")(p),
            )
        ),
        "found 2 labels for 1,000 outputs",
    ),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_damaged_model_directories(
    run: Run, arguments: Arguments, tmp_path: Path, what: str
) -> None:
    """Each is named, nothing is executed and nothing is written."""
    path = tmp_path / "damaged"
    shutil.copytree(str(arguments["--untrained-model-path"]), path)
    damage, expected = DAMAGED[what]
    damage(path)
    start = "InvalidModelDirectoryError (0159): untrained_model: "
    line = refused(run, arguments, {"--untrained-model-path": path}, start)
    assert expected in line
    assert not list(tmp_path.rglob("mark"))
    assert not Path("mark").exists()


@pytest.mark.parametrize(
    ("name", "what"), [("model", "nothing"), ("model", "a file"), ("m" * 300, "nothing")]
)
def test_no_model_directory(
    run: Run, arguments: Arguments, tmp_path: Path, name: str, what: str
) -> None:
    """The path leads nowhere, or to a file."""
    path = tmp_path / name
    if what == "a file":
        path.write_text("x")
    start = f"InvalidModelDirectoryError (0159): untrained_model: found {what} at "
    refused(run, arguments, {"--untrained-model-path": path}, start)


def test_weights_of_an_older_pytorch_load(tmp_path: Path, resnet18: Path) -> None:
    """The original's early versions saved without a zip."""
    path = tmp_path / "old"
    shutil.copytree(resnet18, path)
    torch.save(weights(path), path / "model", _use_new_zipfile_serialization=False)
    directory = read_model_directory(path, "untrained_model")
    assert same(dict(directory.weights), weights(resnet18))
