"""ResNet, DenseNet and Image Model: what they write, and that it is trained and scored."""

import hashlib
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
import yaml
from torch import Tensor, nn

from tests import v2
from tests.conftest import Arguments, Run, create, refused
from tests.scoring import score
from tests.test_model_directory import FROZEN, Payload, loaded, trained_on
from tests.test_training import output_of, same, train, weights
from train_pytorch_model.companions import densenet, image_model, resnet
from train_pytorch_model.errors import FailedToDownloadFilesError, UserError
from train_pytorch_model.models.architectures import architecture_named, model_names
from train_pytorch_model.models.network import check_batch, network, unfilled_network
from train_pytorch_model.models.pretrained import published
from train_pytorch_model.ports.download import downloaded
from train_pytorch_model.ports.model_directory import ModelDirectory, read_model_directory
from train_pytorch_model.ports.model_spec import ModelSpec

ROOT = Path(__file__).parent.parent

State = dict[str, Tensor]


def spec_of(name: str) -> ModelSpec:
    """The spec of an architecture, without options."""
    family, _ = architecture_named(name)
    return ModelSpec(family.module, family.class_name, name)


def init_params(path: Path) -> dict[str, Any]:
    """What a model directory says of its network."""
    document = yaml.safe_load((path / "model_spec.yaml").read_text())
    found: dict[str, Any] = document["flavor_extras"]["init_params"]
    return found


def initialize(component: Any, path: Path, name: str, **flags: object) -> None:
    """Run a component and expect success."""
    words = ["--untrained_model_path", path, "--model_name", name]
    for flag, value in flags.items():
        words += [f"--{flag}", value]
    assert component.main([str(word) for word in words]) == 0


def test_the_table_names_every_classifier_of_torchvision() -> None:
    """Those of this torchvision; a new one must be added."""
    names = torchvision.models.list_models(module=torchvision.models)
    assert sorted(model_names()) == sorted(names)


@pytest.mark.parametrize("name", model_names())
def test_every_architecture_is_known(name: str) -> None:
    """Its last layer, and where its weights are; and it is made without storage."""
    family, architecture = architecture_named(name)
    net = unfilled_network(spec_of(name), architecture, 7)
    layers = dict(net.named_modules())
    wide = [key for key, layer in layers.items() if getattr(layer, "weight", None) is not None]
    assert [key for key in wide if layers[key].weight.shape[0] == 7] == [architecture.head]
    assert wide[-1] == architecture.head
    assert isinstance(layers[architecture.head], nn.Linear | nn.Conv2d)
    stored = sum(v.numel() for v in net.state_dict().values() if v.device.type != "meta")
    assert stored < 1_000_000  # statistics of batch normalisation, and positions
    url, _ = published(family, architecture)
    assert re.fullmatch(r"https://download\.pytorch\.org/models/[\w.-]+-[0-9a-f]{8,}\.pth", url)


def test_the_weights_that_have_a_licence_of_their_own() -> None:
    """Of all others torchvision's own is the licence."""
    found = {name for name in model_names() if published(*architecture_named(name))[1]}
    assert found == {"regnet_y_128gf", "vit_h_14"}


SIZES = [
    # name, size of the images, a part of the message
    ("alexnet", 62, "too small for alexnet"),
    ("alexnet", 63, None),
    ("convnext_tiny", 31, "too small"),
    ("convnext_tiny", 32, None),
    ("densenet121", 28, "too small"),
    ("googlenet", 14, "too small"),
    ("googlenet", 15, None),
    ("inception_v3", 74, "too small"),
    ("inception_v3", 75, None),
    ("maxvit_t", 223, "expected 224x224, the only size that maxvit_t takes"),
    ("maxvit_t", 448, "expected 224x224"),
    ("maxvit_t", 224, None),
    ("regnet_x_400mf", 1, None),
    ("squeezenet1_0", 20, "too small"),
    ("squeezenet1_0", 21, None),
    ("swin_t", 3, "too small"),
    ("swin_t", 4, None),
    ("swin_v2_t", 4, None),
    ("vgg11", 31, "too small"),
    ("vgg11", 32, None),
    ("vit_b_32", 32, "found images of 32x32 pixels, expected 224x224"),
    ("vit_b_32", 224, None),
    ("vit_h_14", 224, None),
]


@pytest.mark.parametrize(("name", "size", "expected"), SIZES)
def test_sizes_of_images(name: str, size: int, expected: str | None) -> None:
    """What is too small, or is not the one size that there is, is told before training."""
    directory = ModelDirectory("untrained_model", spec_of(name), {}, None)
    if expected is None:
        check_batch(directory, 3, 2, (size, size), "training_dataset")
        return
    with pytest.raises(UserError) as error:
        check_batch(directory, 3, 2, (size, size), "training_dataset")
    assert str(error.value).startswith("InvalidDatasetError (0018): training_dataset: ")
    assert expected in str(error.value)


SMALL = [
    "efficientnet_b0",  # drops whole branches
    "googlenet",  # without its auxiliary outputs
    "mnasnet0_5",
    "mobilenet_v3_small",  # drops single values
    "regnet_y_400mf",  # computes its widths
    "shufflenet_v2_x0_5",
    "squeezenet1_1",  # its last layer is a convolution
    "swin_t",  # looks up positions
]


@pytest.mark.parametrize("name", SMALL)
def test_every_kind_is_trained_and_scored(
    run: Run, arguments: Arguments, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """Twice to the bit, and the deployment file scores it as the companion does."""
    create(name, tmp_path / "untrained")
    ports = {"--untrained-model-path": tmp_path / "untrained"}
    train(run, {**ports, "--trained-model-path": tmp_path / "again"})
    torch.rand(7)  # what others draw between two runs must not matter
    train(run, ports)
    path = output_of(arguments)
    assert same(weights(path), weights(tmp_path / "again"))
    assert init_params(path)["num_classes"] == 2
    assert not init_params(path)["pretrained"]

    endpoint = loaded(path / "score.py")
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(path))
    endpoint.init()
    rows = json.loads(endpoint.run((path / "_samples.json").read_text()))["result"]
    table = score(path, Path(str(arguments["--train-data-path"])), tmp_path / "scored")
    for row, expected in zip(rows, table.head(3).to_numpy().tolist(), strict=True):
        assert row[2:4] == pytest.approx(expected[2:4], abs=1e-5)


def test_fine_tuning_starts_equal_and_drops_out_by_the_seed(
    run: Run, arguments: Arguments, tmp_path: Path
) -> None:
    """Also where no layer is new, and so nothing else is drawn."""
    create("mobilenet_v3_small", tmp_path / "untrained")
    train(run, {"--untrained-model-path": tmp_path / "untrained"})
    models = {}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        torch.manual_seed(ord(name))
        ports = {"--untrained-model-path": output_of(arguments)}
        ports["--trained-model-path"] = tmp_path / name
        train(run, {**ports, "--random-seed": seed})
        models[name] = weights(tmp_path / name)
    assert same(models["a"], models["b"])
    assert not same(models["a"], models["c"])


def test_a_convolution_as_last_layer_is_kept_by_label(run: Run, tmp_path: Path) -> None:
    """For the same labels in another order; for others it is made anew."""
    create("squeezenet1_1", tmp_path / "untrained")
    counts = {"b": 4, "c": 4, "d": 4}
    ports = {"--untrained-model-path": tmp_path / "untrained"}
    first = trained_on(run, tmp_path / "first", counts, **ports)
    kept = network(read_model_directory(first, "trained_model"), ["d", "b", "c"], seed=1)
    head, before = "classifier.1.weight", weights(first)["model.classifier.1.weight"]
    assert before.shape == (3, 512, 1, 1)
    assert torch.equal(kept.state_dict()[head], before[[2, 0, 1]])
    ports = {"--untrained-model-path": first}
    other = trained_on(run, tmp_path / "other", {"b": 4, "e": 4}, **ports, **FROZEN)
    assert weights(other)["model.classifier.1.weight"].shape == (2, 512, 1, 1)
    body = "model.features.0.weight"
    assert torch.equal(weights(other)[body], weights(first)[body])


def test_a_last_layer_without_bias(tmp_path: Path) -> None:
    """MaxViT's."""
    create("maxvit_t", tmp_path / "untrained")
    directory = read_model_directory(tmp_path / "untrained", "untrained_model")
    net = network(directory, ["cat", "dog", "eel"], seed=1)
    assert net.state_dict()["classifier.5.weight"].shape == (3, 512)
    assert "classifier.5.bias" not in net.state_dict()


def swapped_positions(state: State) -> None:
    """Damage: two positions that a window looks at are another's."""
    key = "model.features.1.0.attn.relative_position_index"
    state[key] = state[key].flip(0)


DAMAGED: dict[str, tuple[str, Callable[[Path], object], str]] = {
    # what is wrong: (architecture, the damage, a part of the message)
    "positions of nowhere": (
        "swin_t",
        lambda p: change(p, swapped_positions),
        "relative_position_index has other values than the architecture's",
    ),
    "auxiliary outputs": (
        "googlenet",
        lambda p: options(p, aux_logits=True),
        "found parameters ['aux_logits'] for googlenet, expected aux_logits: False, init_weights",
    ),
    "an option of another": (
        "squeezenet1_1",
        lambda p: options(p, zero_init_residual=False),
        "found parameters ['zero_init_residual'] for squeezenet1_1, expected none",
    ),
    "a ResNet": (
        "squeezenet1_1",
        lambda p: options(p, model_name="resnet18"),
        "found 'resnet18' for ImageModel, expected one of alexnet, ",
    ),
    "a second last layer": (
        "squeezenet1_1",
        lambda p: change(
            p,
            lambda s: s.update(
                {
                    "out_linear_model.weight": torch.zeros(2, 1000),
                    "out_linear_model.bias": torch.zeros(2),
                }
            ),
        ),
        "2 problems: 'out_linear_model.bias' is not one of its tensors; ",
    ),
    "a flat last layer": (
        "squeezenet1_1",
        lambda p: change(
            p, lambda s: s.update({"model.classifier.1.weight": torch.zeros(1000, 512)})
        ),
        "are of shapes [1000, 512] and [1000], expected [n, 512, 1, 1] and [n]",
    ),
}


def change(path: Path, damage: Callable[[State], object]) -> None:
    """Change the state dict of a model directory."""
    state = weights(path)
    damage(state)
    torch.save(state, path / "model")


def options(path: Path, **changes: object) -> None:
    """Change the initialisation parameters of a model directory."""
    document = yaml.safe_load((path / "model_spec.yaml").read_text())
    document["flavor_extras"]["init_params"].update(changes)
    (path / "model_spec.yaml").write_text(yaml.safe_dump(document))


@pytest.mark.parametrize("what", DAMAGED)
def test_damaged_directories_of_image_models(
    run: Run, arguments: Arguments, tmp_path: Path, what: str
) -> None:
    """Each is named."""
    name, damage, expected = DAMAGED[what]
    create(name, tmp_path / "damaged")
    damage(tmp_path / "damaged")
    ports = {"--untrained-model-path": tmp_path / "damaged"}
    start = "InvalidModelDirectoryError (0159): untrained_model: "
    assert expected in refused(run, arguments, ports, start)


def test_images_of_another_size_than_the_network_takes(
    run: Run, arguments: Arguments, tmp_path: Path
) -> None:
    """Are refused before training."""
    create("maxvit_t", tmp_path / "untrained")
    ports = {"--untrained-model-path": tmp_path / "untrained"}
    start = "InvalidDatasetError (0018): training_dataset: found images of 32x32 pixels, expected"
    assert "224x224" in refused(run, arguments, ports, start)


def test_the_options_of_the_original(tmp_path: Path) -> None:
    """Are written, and do what they say."""
    initialize(resnet, tmp_path / "r", "resnet18", pretrained=False, zero_init_residual=True)
    assert init_params(tmp_path / "r") == {
        "model_name": "resnet18",
        "pretrained": False,
        "zero_init_residual": True,
    }
    assert not weights(tmp_path / "r")["model.layer1.0.bn2.weight"].any()
    initialize(densenet, tmp_path / "d", "densenet121", pretrained=False, memory_efficient=True)
    assert init_params(tmp_path / "d")["memory_efficient"] is True
    directory = read_model_directory(tmp_path / "d", "untrained_model")
    assert network(directory, ["a", "b"], seed=1).features.denseblock1.denselayer1.memory_efficient


def test_image_model_makes_the_originals_where_it_can(tmp_path: Path) -> None:
    """So that the original's modules read them."""
    initialize(image_model, tmp_path / "a", "resnet18", pretrained=False, random_seed=3)
    initialize(resnet, tmp_path / "b", "resnet18", pretrained=False, random_seed=3)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    specs = [
        yaml.safe_load((tmp_path / name / "model_spec.yaml").read_text()) for name in ("a", "b")
    ]
    for spec in specs:
        del spec["time_created"]
    assert specs[0] == specs[1]


def published_state(name: str, **settings: object) -> State:
    """What torchvision would publish of an architecture, with random weights."""
    torch.manual_seed(11)
    state = getattr(torchvision.models, name)(weights=None, **settings).state_dict()
    return {key: value + 1 if "num_batches" in key else value for key, value in state.items()}


@pytest.fixture(scope="session")
def resnet18_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a ResNet-18, saved as torchvision publishes them."""
    path = tmp_path_factory.mktemp("published") / "resnet18.pth"
    torch.save(published_state("resnet18"), path)
    return path


def test_pretrained_weights_from_a_file(
    run: Run, arguments: Arguments, resnet18_file: Path, tmp_path: Path
) -> None:
    """Are what training starts from, all but the last layer; and pretrained is the default."""
    initialize(resnet, tmp_path / "pretrained", "resnet18", weights=resnet18_file)
    assert init_params(tmp_path / "pretrained")["pretrained"] is True
    given = torch.load(resnet18_file, weights_only=True)
    assert same(weights(tmp_path / "pretrained"), {f"model.{k}": v for k, v in given.items()})

    train(run, {"--untrained-model-path": tmp_path / "pretrained", **FROZEN})
    written = weights(output_of(arguments))
    learned = [k for k in given if k.endswith(("weight", "bias")) and not k.startswith("fc.")]
    assert all(torch.equal(given[key], written[f"model.{key}"]) for key in learned)
    assert written["model.fc.weight"].shape == (2, 512)
    assert init_params(output_of(arguments))["pretrained"] is False


@pytest.mark.filterwarnings("ignore")  # azure-ai-ml warns of its own dependencies on import
def test_the_v2_component_takes_the_file(resnet18_file: Path, tmp_path: Path) -> None:
    """Which is an optional input."""
    from azure.ai.ml import load_component

    component = load_component(ROOT / "components" / "resnet" / "module_spec.yaml")
    values = {"untrained_model": tmp_path / "out", "model_name": "resnet18"}
    assert "--weights" not in v2.rendered(component, values)
    command = v2.rendered(component, {**values, "weights": resnet18_file})
    done = v2.run_command(command, v2.snapshot(component, tmp_path / "code"))
    assert done.returncode == 0, done.stderr
    assert init_params(tmp_path / "out")["pretrained"] is True


def without_counters(state: State) -> State:
    """As PyTorch before 0.4.1 saved it: parameters, and no counters of batch normalisation."""
    return {
        key: nn.Parameter(value) if key.endswith((".weight", ".bias")) else value
        for key, value in state.items()
        if not key.endswith("num_batches_tracked")
    }


def with_old_dense_names(state: State) -> State:
    """As the published DenseNets are."""
    return {re.sub(r"\.(norm|conv)([12])\.", r".\1.\2.", k): v for k, v in state.items()}


def with_old_vit_names(state: State) -> State:
    """As the published ViTs are."""
    renamed = {k: k.replace(".mlp.0.", ".mlp.linear_1.") for k in state}
    return {new.replace(".mlp.3.", ".mlp.linear_2."): state[k] for k, new in renamed.items()}


OLD: dict[str, tuple[Callable[[State], State], dict[str, object]]] = {
    # architecture: (as it is published, what torchvision makes it with)
    "resnet18": (without_counters, {}),
    "densenet121": (with_old_dense_names, {}),
    "googlenet": (dict, {"init_weights": False}),
    "inception_v3": (dict, {"init_weights": False}),
    "vit_b_32": (with_old_vit_names, {}),
}


@pytest.mark.parametrize("name", OLD)
def test_published_weights_of_another_time(tmp_path: Path, name: str) -> None:
    """Old names, no counters, auxiliary outputs: what is loaded is as torchvision loads it."""
    old, settings = OLD[name]
    state = published_state(name, **settings)
    published_as = old(state)
    assert same(published_as, state) == (old is dict)
    torch.save(published_as, tmp_path / "w.pth", _use_new_zipfile_serialization=old is dict)
    initialize(image_model, tmp_path / "m", name, weights=tmp_path / "w.pth")
    found = weights(tmp_path / "m")
    assert all(
        torch.equal(
            found.pop(f"model.{key}"),
            torch.zeros_like(value) if "num_b" in key and old is without_counters else value,
        )
        for key, value in state.items()
        if not key.lower().startswith("aux")
    )
    assert not found


def test_pretrained_weights_from_the_cache(
    resnet18_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch's own: what is there is not fetched again."""
    url, _ = published(*architecture_named("resnet18"))
    checkpoints = tmp_path / "home" / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    shutil.copy(resnet18_file, checkpoints / url.rsplit("/", 1)[1])
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    initialize(resnet, tmp_path / "a", "resnet18")
    initialize(resnet, tmp_path / "b", "resnet18", weights=resnet18_file)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))


@pytest.mark.parametrize("component", ["resnet", "densenet", "image_model"])
def test_no_network(tmp_path: Path, component: str) -> None:
    """Is told in a line, within seconds, and nothing is written."""
    with socket.socket() as unused:  # bound and not listening: a connection is refused
        unused.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{unused.getsockname()[1]}"
        done = subprocess.run(
            [
                *(sys.executable, "-m", f"train_pytorch_model.companions.{component}"),
                *("--untrained_model_path", tmp_path / "out"),
            ],
            env={
                **os.environ,
                "TORCH_HOME": str(tmp_path / "home"),
                "https_proxy": proxy,
                "no_proxy": "",
                "NO_PROXY": "",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=120,  # of which nearly all is starting up
        )
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("FailedToDownloadFilesError (0162): weights: https://download.pytorch.")
    assert "Connection refused" in line
    assert "name the file as weights" in line
    assert not (tmp_path / "out").exists()


CONTENT = b"weights" * 1000


class Server(http.server.BaseHTTPRequestHandler):
    """Answers ``CONTENT``, half of it, nothing at all, or that there is nothing."""

    def do_GET(self) -> None:
        """Answer by the path's first part."""
        kind = self.path.split("/")[1]
        if kind == "silent":
            time.sleep(3)
            return
        self.send_response(404 if kind == "missing" else 200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:100] if kind == "half" else CONTENT)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a server on this machine."""
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


DIGEST = hashlib.sha256(CONTENT).hexdigest()[:8]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"whole/net-{DIGEST}.pth", None),
        ("whole/net-00000000.pth", "invalid hash value"),
        (f"half/net-{DIGEST}.pth", "invalid hash value"),
        (f"missing/net-{DIGEST}.pth", "HTTP Error 404: Not Found"),
        (f"silent/net-{DIGEST}.pth", "timed out"),
    ],
)
def test_a_download(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, expected: str | None
) -> None:
    """Is kept if it is what its name says, and leaves nothing behind if not."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    if expected is None:
        file = downloaded(f"{server}/{path}", "weights")
        assert file == tmp_path / "hub" / "checkpoints" / f"net-{DIGEST}.pth"
        assert file.read_bytes() == CONTENT
    else:
        with pytest.raises(FailedToDownloadFilesError, match=expected):
            downloaded(f"{server}/{path}", "weights", seconds=0.5)
        assert not list((tmp_path / "hub" / "checkpoints").iterdir())


def saved(change_of: Callable[[State], object]) -> Callable[[Path], None]:
    """Writes a state dict of ResNet-18 that has been changed."""

    def write(path: Path) -> None:
        state = published_state("resnet18")
        change_of(state)
        torch.save(state, path)

    return write


def bomb(path: Path) -> None:
    """A small file that expands."""
    saved(lambda s: s.update(x=torch.zeros(10_000_000)))(path)
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(path.with_name("bomb"), "w") as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry), zipfile.ZIP_DEFLATED)
    path.with_name("bomb").replace(path)


WEIGHTS: dict[str, tuple[Callable[[Path], object], str]] = {
    # what is wrong: (writes the file, a part of the message)
    "nothing": (lambda p: None, "cannot be read (No such file or directory), expected a file"),
    "a directory": (lambda p: p.mkdir(), "cannot be read (it is not a regular file)"),
    "a pipe": (os.mkfifo, "cannot be read (it is not a regular file)"),
    "empty": (lambda p: p.touch(), "is damaged or not a state dict"),
    "half": (
        lambda p: (saved(dict)(p), p.write_bytes(p.read_bytes()[:1_000_000])),
        "is damaged or not a state dict",
    ),
    "code": (
        lambda p: torch.save({"x": Payload(p.with_name("mark"))}, p),
        "is damaged or not a state dict",
    ),
    "a bomb": (bomb, "its content is compressed"),
    "a network": (lambda p: torch.save(nn.Linear(1, 1), p), "is damaged or not a state dict"),
    "a list": (lambda p: torch.save([torch.zeros(1)], p), "holds a list, expected"),
    "a checkpoint": (
        lambda p: torch.save({"state_dict": published_state("resnet18")}, p),
        "holds a dict, expected a tensor per name",
    ),
    "of another network": (
        lambda p: torch.save(published_state("squeezenet1_1"), p),
        "are not those of resnet18, ",
    ),
    "of another shape": (
        saved(lambda s: s.update({"conv1.weight": torch.zeros(64, 3, 3, 3)})),
        "1 problem: conv1.weight is of shape [64, 3, 3, 3], expected [64, 3, 7, 7]",
    ),
    "without values": (
        saved(lambda s: s.update({"conv1.weight": s["conv1.weight"].to("meta")})),
        "its pickle names 'torch._utils _rebuild_meta_tensor_no_storage'",
    ),
    "not a number": (
        saved(lambda s: s["bn1.bias"].fill_(float("nan"))),
        "bn1.bias has values that are infinite or not a number",
    ),
    "of a trained model of the original's": (
        saved(lambda s: s.update({"out_linear_model.bias": torch.zeros(2)})),
        "'out_linear_model.bias' is not one of its tensors",
    ),
}


@pytest.mark.parametrize("what", WEIGHTS)
def test_weights_that_cannot_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    """Each is told in a line; nothing is executed, and nothing is written."""
    write, expected = WEIGHTS[what]
    write(tmp_path / "w.pth")
    words = ["--model_name", "resnet18", "--untrained_model_path", str(tmp_path / "out")]
    assert resnet.main([*words, "--weights", str(tmp_path / "w.pth")]) == 1
    err = capsys.readouterr().err
    assert err.startswith("UnableToDeserializeModelError (0082): weights: ")
    assert len(err.splitlines()) == 1
    assert expected in err
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "mark").exists()


def test_weights_of_other_categories_are_pretrained_too(tmp_path: Path) -> None:
    """A network that somebody has trained on something else than ImageNet."""
    torch.save(published_state("resnet18", num_classes=5), tmp_path / "w.pth")
    initialize(resnet, tmp_path / "m", "resnet18", weights=tmp_path / "w.pth")
    directory = read_model_directory(tmp_path / "m", "untrained_model")
    assert network(directory, ["a", "b"], seed=1).fc.weight.shape == (2, 512)


def test_weights_need_pretrained(
    resnet18_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that would be ignored is an error."""
    words = ["--model_name", "resnet18", "--untrained_model_path", str(tmp_path / "out")]
    assert resnet.main([*words, "--pretrained", "False", "--weights", str(resnet18_file)]) == 1
    err = capsys.readouterr().err
    assert err.startswith("ParameterError (0002): pretrained is False, expected True where weights")
    assert not (tmp_path / "out").exists()
