"""The environment on Azure, the image, and registration."""

import os
import re
import subprocess
from importlib.metadata import requires, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tools.pip_part import pip_part
from tools.sync_docs import COMPONENTS, IMAGE, folder_of

ROOT = Path(__file__).parent.parent


def pins() -> dict[str, Requirement]:
    """What conda.yaml installs with pip, by name."""
    lines = map(Requirement, pip_part((ROOT / "conda.yaml").read_text("utf-8")))
    return {requirement.name.lower(): requirement for requirement in lines}


def test_conda_pins_what_the_package_needs() -> None:
    """Each dependency of the package and of its extra for Azure, at one version that it takes."""
    needed = [Requirement(line) for line in requires("train-pytorch-model") or []]
    needed = [r for r in needed if r.marker is None or r.marker.evaluate({"extra": "azure"})]
    assert {r.name.lower() for r in needed} == set(pins())
    for requirement in needed:
        (pin,) = pins()[requirement.name.lower()].specifier
        assert pin.operator == "=="
        assert requirement.specifier.contains(pin.version)


OTHER_TORCH = not pins()["torch"].specifier.contains(version("torch"))


@pytest.mark.skipif(OTHER_TORCH, reason="another torch than conda.yaml's was installed on purpose")
@pytest.mark.parametrize("name", ["torch", "torchvision", "numpy", "pillow", "pyarrow"])
def test_the_tests_run_what_conda_pins(name: str) -> None:
    """So that what is tested is what runs on Azure."""
    assert pins()[name].specifier.contains(version(name))


def test_the_image_is_what_the_specs_build() -> None:
    """The same base, the same environment file, the same package."""
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    assert f"FROM {IMAGE}" in lines
    copied = [line.split()[1] for line in lines if line.startswith("COPY ")]
    assert copied == ["conda.yaml", "train_pytorch_model"]
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert {f"!{name}" for name in copied} <= set(ignored)
    environment = yaml.safe_load((ROOT / "conda.yaml").read_text("utf-8"))
    assert environment["dependencies"][0] == "python=3.11"


def test_register_names_every_component(tmp_path: Path) -> None:
    """``make register`` calls az once for each spec; without a workspace it says what it needs."""
    log = tmp_path / "az.log"
    az = tmp_path / "az"
    az.write_text(f'#!/bin/sh\necho "$@" >> {log}\n')
    az.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}

    def make(*words: str) -> subprocess.CompletedProcess[str]:
        command = ["make", "register", *words]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )

    refused = make()
    assert refused.returncode == 2
    assert "name the workspace: make register WORKSPACE=" in refused.stderr
    assert not log.exists()
    assert make("WORKSPACE=w", "RESOURCE_GROUP=g").returncode == 0
    calls = log.read_text().splitlines()
    expected = {str(folder_of(c) / "module_spec.yaml") for c in COMPONENTS}
    assert {re.findall(r"--file (\S+)", call)[0] for call in calls} == expected
    assert all("--workspace-name w --resource-group g" in call for call in calls)
