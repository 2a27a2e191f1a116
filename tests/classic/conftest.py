"""The pipeline's steps as separate processes: Microsoft's last real modules, and ours.

Both sides have the same methods, and every one returns the directory that it wrote, so that a test
can put a pipeline together from either.
"""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[2]
CLASSIC = Path(os.environ.get("CLASSIC_VENV") or REPOSITORY / ".venv-classic").absolute()
PROBE = Path(__file__).with_name("probe.py")

CV = "azureml.designer.modules.computer_vision"
PYTORCH = "azureml.designer.modules.dl.pytorch"
CLASSIFICATION = f"{PYTORCH}.initialize_models.vision.classification"


class StepFailedError(Exception):
    """A step's exit code was not 0; the message ends with what it said last."""


class Steps:
    """What both sides share: numbered output directories, and how a process is run.

    A step that fails raises ``failure``.
    """

    failure = StepFailedError

    def __init__(self, python: str | Path, folder: Path, environment: dict[str, str]) -> None:
        self.python = python
        self.folder = folder
        # One thread a process: the images are tiny, and two processes run at a time.
        self.environment = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", **environment}
        self.numbers = itertools.count()

    def target(self, name: str) -> Path:
        """A directory that is not there yet."""
        return self.folder / f"{next(self.numbers)}-{name}"

    def run(self, *arguments: str | Path, **environment: str) -> str:
        """Run Python with ``arguments``; returns what it wrote to stdout."""
        result = subprocess.run(
            [self.python, *arguments],
            cwd=self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            check=False,
            timeout=300,
        )
        output = result.stdout.decode(errors="replace")
        if result.returncode != 0:
            said = output + result.stderr.decode(errors="replace")
            raise StepFailedError(f"{arguments}: exit code {result.returncode}\n{said[-4000:]}")
        return output

    def split_by(self, module: str, source: Path, fraction: float) -> tuple[Path, Path]:
        """Split Image Directory."""
        first, second = self.target("first-half"), self.target("second-half")
        halves = ("--tgt_train_path", first, "--tgt_test_path", second)
        self.run("-m", module, "--src_path", source, *halves, "--fraction", str(fraction))
        return first, second

    def untrained_by(
        self, package: str, model_name: str, options: dict[str, str], **env: str
    ) -> Path:
        """ResNet or DenseNet, with random weights if nothing else is said."""
        target = self.target(model_name)
        module = "densenet" if model_name.startswith("densenet") else "resnet"
        chosen = {"--model_name": model_name, "--pretrained": "False", **options}
        words = [word for pair in chosen.items() for word in pair]
        self.run("-m", f"{package}.{module}", "--untrained_model_path", target, *words, **env)
        return target

    def trained_by(
        self, module: str, data: Path, untrained: Path, name: str, *options: str, **env: str
    ) -> Path:
        """One epoch of Train PyTorch Model, validated on the training data."""
        target = self.target(name)
        self.run(
            *("-m", module, "--untrained-model-path", untrained, "--trained-model-path", target),
            *("--train-data-path", data, "--valid-data-path", data),
            *("--epochs", "1", "--batch-size", "4", *options),
            **env,
        )
        return target

    def init_by(self, module: str, chosen: Mapping[str, object]) -> Path:
        """Init Image Transformation."""
        target = self.target("transformation")
        words = [word for name, value in chosen.items() for word in (f"--{name}", str(value))]
        self.run("-m", module, "--output_path", target, *words)
        return target

    def apply_by(self, module: str, transformation: Path, images: Path, mode: str) -> Path:
        """Apply Image Transformation."""
        target = self.target("transformed")
        self.run(
            *("-m", module, "--mode", mode, "--input_image_dir_path", images),
            *("--input_image_transform_path", transformation, "--output_path", target),
        )
        return target


class Original(Steps):
    """Microsoft's last real modules."""

    def convert(self, source: Path) -> Path:
        """Convert to Image Directory."""
        target = self.target("converted")
        module = f"{CV}.preprocess.convert_to_image_directory.convert_to_image_directory"
        self.run("-m", module, "--input_path", source, "--output_path", target)
        return target

    def split(self, source: Path, fraction: float = 0.5) -> tuple[Path, Path]:
        """Split Image Directory, in halves."""
        module = f"{CV}.preprocess.split_image_directory.split_image_directory"
        return self.split_by(module, source, fraction)

    def init(self, **chosen: object) -> Path:
        """Init Image Transformation."""
        module = f"{CV}.transform.init_image_transformation.init_image_transformation"
        return self.init_by(module, chosen)

    def apply(self, transformation: Path, images: Path, mode: str = "For training") -> Path:
        """Apply Image Transformation."""
        module = f"{CV}.transform.apply_image_transformation.apply_image_transformation"
        return self.apply_by(module, transformation, images, mode)

    def resized(self, source: Path, size: int) -> Path:
        """Init Image Transformation and Apply Image Transformation."""
        return self.apply(self.init(resize=True, size=size), source)

    def untrained(self, model_name: str, options: dict[str, str] | None = None, **env: str) -> Path:
        """ResNet or DenseNet."""
        return self.untrained_by(CLASSIFICATION, model_name, options or {}, **env)

    def train(self, untrained: Path, data: Path, *options: str, **env: str) -> Path:
        """Train PyTorch Model."""
        module = f"{PYTORCH}.train.train_pytorch_model"
        return self.trained_by(module, data, untrained, "trained", *options, **env)

    def score(self, model: Path, data: Path, **env: str) -> Path:
        """Score Image Model."""
        target = self.target("scored")
        module = f"{PYTORCH}.score.score_image_model.module_invoker"
        paths = ("--trained-model", model, "--dataset", data, "--scored-dataset", target)
        self.run("-m", module, *paths, **env)
        return target

    def probe(self, *arguments: str | Path) -> Any:
        """What ``probe.py`` prints, which is the last line: the original logs before it."""
        return json.loads(self.run(PROBE, *arguments).splitlines()[-1])


class Ours(Steps):
    """The steps of this package."""

    def convert(self, source: Path) -> Path:
        """Convert to Image Directory."""
        target = self.target("converted")
        module = "train_pytorch_model.companions.convert_to_image_directory"
        self.run("-m", module, "--input_path", source, "--output_path", target)
        return target

    def split(self, source: Path, fraction: float = 0.5) -> tuple[Path, Path]:
        """Split Image Directory, in halves."""
        module = "train_pytorch_model.companions.split_image_directory"
        return self.split_by(module, source, fraction)

    def init(self, **chosen: object) -> Path:
        """Init Image Transformation."""
        return self.init_by("train_pytorch_model.companions.init_image_transformation", chosen)

    def apply(self, transformation: Path, images: Path, mode: str = "For training") -> Path:
        """Apply Image Transformation."""
        module = "train_pytorch_model.companions.apply_image_transformation"
        return self.apply_by(module, transformation, images, mode)

    def untrained(self, model_name: str, options: dict[str, str] | None = None, **env: str) -> Path:
        """ResNet or DenseNet."""
        package = "train_pytorch_model.companions"
        return self.untrained_by(package, model_name, options or {}, **env)

    def train(self, untrained: Path, data: Path, *options: str) -> Path:
        """Train PyTorch Model."""
        module = "train_pytorch_model"
        return self.trained_by(module, data, untrained, "trained", "--device", "cpu", *options)

    def score(self, model: Path, data: Path) -> Path:
        """Score Image Model."""
        target = self.target("scored")
        module = "train_pytorch_model.companions.score_image_model"
        paths = ("--trained-model", model, "--dataset", data, "--scored-dataset", target)
        self.run("-m", module, *paths, "--device", "cpu")
        return target


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    """Microsoft's modules; a test that asks for them fails where they are not installed."""
    python = CLASSIC / "bin" / "python"
    if not python.exists():
        pytest.fail(
            f"Microsoft's modules are not installed ({python} is missing): run make classic, or "
            "tests/classic/setup.sh VENV and name the environment in CLASSIC_VENV.",
            pytrace=False,
        )
    # PYTHONPATH names what is for this Python and not for theirs.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return Original(python, tmp_path_factory.mktemp("original"), environment)


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Ours:
    """This package's steps."""
    return Ours(sys.executable, tmp_path_factory.mktemp("ours"), dict(os.environ))


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three class folders of four photographs each, large enough for DenseNet."""
    folder = tmp_path_factory.mktemp("pictures")
    for name in ("Ankle_boot", "Bag", "Coat"):
        (folder / name).mkdir()
        source = REPOSITORY / "examples" / "fashion_mnist" / "train" / name
        for path in sorted(source.iterdir())[:4]:
            with Image.open(path) as image:
                image.resize((32, 32)).save(folder / name / path.name)
    return folder


@pytest.fixture(scope="session")
def noise() -> Callable[[Path, int], None]:
    """Writes a small picture of noise, another for each number."""

    def write(path: Path, number: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(path)

    return write


@pytest.fixture(scope="session")
def at_once() -> Callable[..., list[Any]]:
    """Calls functions at once and returns their results: most of a step is starting up."""

    def call(*functions: Callable[[], Any]) -> list[Any]:
        with ThreadPoolExecutor(2) as pool:
            return [future.result() for future in [pool.submit(f) for f in functions]]

    return call


@pytest.fixture(scope="session")
def same_scores() -> Callable[[Path, Path], None]:
    """Asserts that two scored data sets have equal columns, labels and probabilities."""

    def check(first: Path, second: Path) -> None:
        a, b = (pyarrow.parquet.read_table(path / "_data.parquet") for path in (first, second))
        assert a.column_names == b.column_names
        assert a.num_rows == b.num_rows > 0
        for name in a.column_names:
            values: Sequence[Any] = a[name].to_pylist()
            if name.startswith("Scored Probabilities_"):
                assert b[name].to_pylist() == pytest.approx(values, abs=1e-5)
            else:
                assert b[name].to_pylist() == values

    return check
