"""The two component specs: they say what the package declares, and the real SDKs run them."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import v2
from tests.conftest import Arguments
from tools.sync_docs import COMPONENTS, documents, folder_of
from train_pytorch_model.cli import main
from train_pytorch_model.command_line import values_from
from train_pytorch_model.companions import apply_image_transformation
from train_pytorch_model.component import Component

ROOT = Path(__file__).parent.parent

CONTRACT: dict[str, tuple[str, str, dict[str, Any]]] = {
    # name: (v2 type, classic type, default and range)
    "untrained_model": ("uri_folder", "UntrainedModelDirectory", {}),
    "training_dataset": ("uri_folder", "ImageDirectory", {}),
    "validation_dataset": ("uri_folder", "ImageDirectory", {}),
    "epochs": ("integer", "Integer", {"default": 5, "min": 1, "max": 2**31 - 1}),
    "batch_size": ("integer", "Integer", {"default": 16, "min": 1, "max": 2**31 - 1}),
    "learning_rate": ("number", "Float", {"default": 0.001, "min": 4.94065645841247e-324}),
    "random_seed": ("integer", "Integer", {"default": 1}),
    "patience": ("integer", "Integer", {"default": 3, "min": 1, "max": 2**31 - 1}),
}
"""The contract, written down a second time on purpose: a change of it must be meant."""

FLAGS = {
    "untrained_model": "--untrained-model-path",
    "training_dataset": "--train-data-path",
    "validation_dataset": "--valid-data-path",
    "trained_model": "--trained-model-path",
    "epochs": "--epochs",
    "batch_size": "--batch-size",
    "learning_rate": "--learning-rate",
    "random_seed": "--random-seed",
    "patience": "--patience",
}


def spec(name: str) -> dict[str, Any]:
    """A spec file as data."""
    document: dict[str, Any] = yaml.safe_load((ROOT / name).read_text("utf-8"))
    return document


@pytest.mark.parametrize("name", sorted(documents()))
def test_documents_are_what_the_declarations_make(name: str) -> None:
    """``make sync-docs`` has been run."""
    assert (ROOT / name).read_text("utf-8") == documents()[name]


@pytest.mark.parametrize(
    ("name", "position"), [("module_spec.yaml", 0), ("module_spec.classic.yaml", 1)]
)
def test_specs_hold_the_contract(name: str, position: int) -> None:
    """Exactly these inputs and parameters, with these types, defaults and ranges; one output."""
    document = spec(name)
    found = {
        key: (item["type"], {k: item[k] for k in ("default", "min", "max") if k in item})
        for key, item in document["inputs"].items()
    }
    assert found == {key: (entry[position], entry[2]) for key, entry in CONTRACT.items()}
    expected = ("uri_folder", "ModelDirectory")[position]
    assert {k: v["type"] for k, v in document["outputs"].items()} == {"trained_model": expected}


@pytest.mark.parametrize("name", ["module_spec.yaml", "module_spec.classic.yaml"])
def test_commands_bind_every_name_to_its_flag(name: str) -> None:
    """And no other."""
    words = spec(name)["command"].replace("${{", "{").replace("}}", "}").split()
    assert words[:3] == ["python", "-m", "train_pytorch_model"]
    bound = {
        value.strip("{}").split(".")[1]: flag
        for flag, value in zip(words[3::2], words[4::2], strict=True)
    }
    assert bound == FLAGS


def test_help_and_readme_hold_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    """Every flag and default, in both directions."""
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    settings = {
        "--help",
        "--version",
        "--device",
        "--precision",
        "--cache",
        "--checkpoint-minutes",
        "--private-urls",
        "--num-warmup-steps",
        "--print-freq",
    }
    assert set(re.findall(r"--[a-z-]+", text)) == {*FLAGS.values(), *settings}
    rows = re.findall(
        r"^\| \w+ \| `(\w+)` \| `([a-z-]+)` \| (\w+) \| ([^ |]*) ?\|",
        (ROOT / "README.md").read_text(),
        re.M,
    )
    assert {row[0]: row[1] for row in rows} == FLAGS
    defaults = {name: str(entry[2].get("default", "")) for name, entry in CONTRACT.items()}
    assert {row[0]: row[3] for row in rows} == {**defaults, "trained_model": ""}
    flat = " ".join(text.split())
    for name, default in defaults.items():
        if default:
            assert re.search(rf"{FLAGS[name]} (INT|FLOAT) .*?; default {default}\.", flat), name


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: c.name)
@pytest.mark.parametrize("name", ["module_spec.yaml", "module_spec.classic.yaml"])
def test_specs_say_what_a_registry_shows(component: Component, name: str) -> None:
    """Name, description, where the designer lists it, what documents it; the code stays inside."""
    document = spec(str(folder_of(component) / name))
    assert document["name"] == component.name
    assert document["display_name"] == component.title
    assert document["description"].endswith(".")
    assert document["tags"]["category"]
    assert document["tags"]["helpDocument"].startswith("https://")
    assert document["is_deterministic"] is True
    assert document["code"] == "."
    described = [*document["inputs"].values(), *document["outputs"].values()]
    assert all(item["description"].strip() for item in described)


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: c.name)
@pytest.mark.filterwarnings("ignore")  # azure-ai-ml warns of its own dependencies on import
def test_v2_code_snapshots_hold_only_what_runs(component: Component, tmp_path: Path) -> None:
    """The package, the environment and the specs, well below 1 MB; each command starts in it."""
    from azure.ai.ml import load_component

    loaded = load_component(ROOT / folder_of(component) / "module_spec.yaml")
    assert loaded._validate().passed
    code = v2.snapshot(loaded, tmp_path / "code")
    assert files_in(code) == what_runs()
    assert sum(path.stat().st_size for path in code.rglob("*") if path.is_file()) < 1_000_000
    done = v2.run_command(f"python -m {component.module} --help", code)
    assert done.returncode == 0, done.stderr


CLASSIC_SNAPSHOT = """
import sys, zipfile
from azure.ml.component._api._component_snapshot import ComponentSnapshot
with zipfile.ZipFile(ComponentSnapshot(sys.argv[1]).create_snapshot()) as snapshot:
    snapshot.extractall(sys.argv[2])
"""


@pytest.mark.skipif(
    sys.version_info >= (3, 12),
    reason="azure-ml-component has no release for Python 3.12 and later",
)
def test_classic_code_snapshots_are_the_same(tmp_path: Path) -> None:
    """What the classic SDK uploads with a companion, additional includes and all."""
    path = ROOT / "components" / "score_image_model" / "module_spec.classic.yaml"
    command = [sys.executable, "-W", "ignore", "-c", CLASSIC_SNAPSHOT, path, tmp_path / "code"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert files_in(tmp_path / "code") == what_runs()


def what_runs() -> set[str]:
    """The files of a code snapshot."""
    package = ROOT / "train_pytorch_model"
    modules = {str(path.relative_to(ROOT)) for path in package.rglob("*.py")}
    specs = {"module_spec.yaml", "module_spec.classic.yaml"}
    return {*modules, "train_pytorch_model/deployment/conda_env.yaml", "conda.yaml", *specs}


def files_in(folder: Path) -> set[str]:
    """The paths of all files below ``folder``."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.filterwarnings("ignore")  # azure-ai-ml warns of its own dependencies on import
def test_v2_command_of_the_component_runs(arguments: Arguments, tmp_path: Path) -> None:
    """As registered, in the code snapshot that would be uploaded."""
    from azure.ai.ml import load_component

    component = load_component(ROOT / "module_spec.yaml")
    values = {name: arguments[flag] for name, flag in FLAGS.items() if flag in arguments}
    code = v2.snapshot(component, tmp_path / "code")
    done = v2.run_command(v2.rendered(component, values), code)
    assert done.returncode == 0, done.stderr
    check_trained(Path(str(arguments["--trained-model-path"])))


@pytest.mark.parametrize("quote", [str, shlex.quote], ids=["as they are", "quoted"])
@pytest.mark.filterwarnings("ignore")  # azure-ai-ml warns of its own dependencies on import
def test_a_value_with_a_space_stays_whole(quote: Callable[[str], str]) -> None:
    """However it is put into the command."""
    from azure.ai.ml import load_component

    folder = ROOT / folder_of(apply_image_transformation.COMPONENT)
    component = load_component(folder / "module_spec.yaml")
    ports = {port.name: port.name for port in apply_image_transformation.COMPONENT.ports}
    command = v2.rendered(component, {**ports, "mode": quote("For inference")})
    words = shlex.split(command)[3:]
    assert values_from(apply_image_transformation.COMPONENT, words)["mode"] == "For inference"


@pytest.mark.filterwarnings("ignore")  # azure-ai-ml warns of its own dependencies on import
def test_v2_pipeline_takes_the_component(arguments: Arguments) -> None:
    """A pipeline that wires it validates offline."""
    from azure.ai.ml import Input, dsl, load_component

    component = load_component(ROOT / "module_spec.yaml")

    @dsl.pipeline(compute="cpu-cluster")
    def pipeline(data: Input) -> dict[str, Any]:
        node = component(untrained_model=data, training_dataset=data, validation_dataset=data)
        node.set_resources(instance_count=1, shm_size="8g")
        return {"trained_model": node.outputs.trained_model}

    built = pipeline(Input(type="uri_folder", path="azureml:images:1"))
    assert built._validate().passed
    assert built._to_rest_object().properties.jobs


@pytest.mark.skipif(
    sys.version_info >= (3, 12),
    reason="azure-ml-component has no release for Python 3.12 and later",
)
def test_classic_sdk_loads_the_spec_and_runs_it(arguments: Arguments, tmp_path: Path) -> None:
    """The SDK's own host mode runs the command; its validation enforces the ranges.

    In a process of its own: the SDK changes logging and warnings for the whole process.
    """
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    shutil.copytree(ROOT / "train_pytorch_model", snapshot / "train_pytorch_model")
    for name in ("module_spec.classic.yaml", "conda.yaml"):
        shutil.copyfile(ROOT / name, snapshot / name)
    ports = ("untrained_model", "training_dataset", "validation_dataset")
    values = {name: str(arguments[FLAGS[name]]) for name in ports}
    parameters = {"epochs": 1, "batch_size": 4}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    script = Path(__file__).parent / "run_classic_spec.py"
    work = tmp_path / "work"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", script, snapshot / "module_spec.classic.yaml", work],
        input=json.dumps({**values, **parameters}),
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "epochs' range is invalid" in done.stdout
    check_trained(work / "outputs" / "trained_model")


def check_trained(path: Path) -> None:
    """A whole ModelDirectory is at ``path``."""
    assert yaml.safe_load((path / "_meta.yaml").read_text())["type"] == "ModelDirectory"
    assert json.loads((path / "training.json").read_text())["epochs_run"] == 1
