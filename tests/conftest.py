"""Tiny real models and real directories."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train_pytorch_model.cli import main
from train_pytorch_model.companions import image_model

# Threads that wait by spinning slow a machine that is busy with something else. torch reads this
# when it is imported, which the tests do after this file.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

Arguments = dict[str, object]


def picture(seed: int, size: int = 32, hue: int = 0) -> Image.Image:
    """A noisy RGB picture whose channel ``hue`` is bright, so that classes can be told apart."""
    pixels = np.random.default_rng(seed).integers(0, 120, (size, size, 3), dtype=np.uint8)
    pixels[:, :, hue % 3] += 120
    return Image.fromarray(pixels)


def class_folders(root: Path, counts: Mapping[str, int], size: int = 32, seed: int = 0) -> Path:
    """Write ``counts[name]`` PNG pictures into ``root/name`` each."""
    for hue, (name, count) in enumerate(counts.items()):
        folder = root / name
        folder.mkdir(parents=True)
        for number in range(count):
            picture(1000 * seed + 100 * hue + number, size, hue).save(folder / f"{number:03}.png")
    return root


def create(model_name: str, target: Path, random_seed: int = 1) -> None:
    """Write an untrained model with random weights."""
    words = ["--untrained_model_path", str(target), "--model_name", model_name]
    words += ["--pretrained", "False", "--random_seed", str(random_seed)]
    assert image_model.main(words) == 0


@pytest.fixture(scope="session")
def resnet18(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained ResNet-18."""
    path = tmp_path_factory.mktemp("models") / "resnet18"
    create("resnet18", path, random_seed=7)
    return path


@pytest.fixture(scope="session")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of 12 pictures of 32x32 in two categories."""
    return class_folders(tmp_path_factory.mktemp("data") / "training", {"cat": 6, "dog": 6})


@pytest.fixture(scope="session")
def validation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of 6 pictures of 32x32 in the categories of ``training``."""
    counts = {"cat": 3, "dog": 3}
    return class_folders(tmp_path_factory.mktemp("data") / "validation", counts, seed=1)


@pytest.fixture
def arguments(resnet18: Path, training: Path, validation: Path, tmp_path: Path) -> Arguments:
    """Flag → value of a run that works and takes about a second."""
    return {
        "--untrained-model-path": resnet18,
        "--train-data-path": training,
        "--valid-data-path": validation,
        "--trained-model-path": tmp_path / "trained",
        "--epochs": 1,
        "--batch-size": 4,
        "--device": "cpu",
    }


DO = (
    "add|bring|choose|connect|copy|correct|empty|free|make|name|put|remove|rename|replace|resize|"
    "split"
)
MENDABLE = re.compile(
    rf"\w+ \(\d{{4}}\): [a-z_]+( and [a-z_]+)?(:| is) .*(?i:expected .*[;.] ({DO}|write)\b).*\."
)
"""A message names the input, then what was found and what was expected, then what to do."""

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(arguments: Arguments, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line: ``run({flag: value}) → (exit code, stderr)``; None drops a flag."""

    def run_with(changes: Mapping[str, object] | None = None) -> tuple[int, str]:
        chosen = {**arguments, **(changes or {})}
        words = [str(w) for flag, v in chosen.items() if v is not None for w in (flag, v)]
        capsys.readouterr()
        try:
            code = main(words)
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, capsys.readouterr().err

    return run_with


def refused(run: Run, arguments: Arguments, changes: Mapping[str, object], start: str) -> str:
    """Run with ``changes``; check that it is refused as a user's error; returns the message.

    Exit code 1, one line that begins with ``start``, no traceback, and no output.
    """
    output = Path(str(changes.get("--trained-model-path", arguments["--trained-model-path"])))
    before = sorted(output.parent.rglob("*")) if output.parent.exists() else []
    code, err = run(changes)
    lines = [line for line in err.splitlines() if not line.startswith("warning: ")]
    assert code == 1, err
    assert len(lines) == 1, err
    assert lines[0].startswith(start), err
    assert "Traceback" not in err
    assert MENDABLE.fullmatch(lines[0]) or start.startswith("UserError"), lines[0]
    after = sorted(output.parent.rglob("*")) if output.parent.exists() else []
    assert after == before
    return lines[0]
