"""The interoperability matrix: each step, {original, ours}, on what each neighbour wrote.

``python tests/classic/interoperability.py`` runs every cell, prints the table and writes it into
the README; ``test_interoperability.py`` runs every cell again and compares.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow.parquet
from numpy.typing import NDArray
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from tools.sync_docs import replace_between  # noqa: E402 - the repository is not installed
from train_pytorch_model.ports.image_directory import read_image_directory  # noqa: E402

CLASSIC = Path(os.environ.get("CLASSIC_VENV") or REPOSITORY / ".venv-classic").absolute()
SIDES = ("original", "ours")
CATEGORIES = ("Ankle_boot", "Bag", "Coat")
IMAGES = 24

CV = "azureml.designer.modules.computer_vision"
PYTORCH = "azureml.designer.modules.dl.pytorch"
OURS = "train_pytorch_model.companions"


@dataclass(frozen=True)
class Step:
    """A step of the pipeline: what runs it on each side, and its flags, which both sides share.

    ``inputs`` are flag → step whose output it takes; ``outputs`` the flags of what it writes;
    ``options`` the other words of its command line.
    """

    name: str
    modules: dict[str, str]
    inputs: dict[str, str]
    outputs: tuple[str, ...]
    options: tuple[str, ...] = ()


STEPS = (
    Step(
        "Convert to Image Directory",
        {
            "original": f"{CV}.preprocess.convert_to_image_directory.convert_to_image_directory",
            "ours": f"{OURS}.convert_to_image_directory",
        },
        {"--input_path": "images"},
        ("--output_path",),
    ),
    Step(
        "Split Image Directory",
        {
            "original": f"{CV}.preprocess.split_image_directory.split_image_directory",
            "ours": f"{OURS}.split_image_directory",
        },
        {"--src_path": "Convert to Image Directory"},
        ("--tgt_train_path", "--tgt_test_path"),
        ("--fraction", "0.5"),
    ),
    Step(
        "Init Image Transformation",
        {
            "original": f"{CV}.transform.init_image_transformation.init_image_transformation",
            "ours": f"{OURS}.init_image_transformation",
        },
        {},
        ("--output_path",),
        ("--resize", "True", "--size", "40", "--center_crop", "True", "--crop_size", "36"),
    ),
    Step(
        "Apply Image Transformation",
        {
            "original": f"{CV}.transform.apply_image_transformation.apply_image_transformation",
            "ours": f"{OURS}.apply_image_transformation",
        },
        {
            "--input_image_transform_path": "Init Image Transformation",
            "--input_image_dir_path": "Split Image Directory",
        },
        ("--output_path",),
        ("--mode", "For training"),
    ),
    Step(
        "ResNet",
        {
            "original": f"{PYTORCH}.initialize_models.vision.classification.resnet",
            "ours": f"{OURS}.resnet",
        },
        {},
        ("--untrained_model_path",),
        ("--model_name", "resnet18", "--pretrained", "False"),
    ),
    Step(
        "DenseNet",
        {
            "original": f"{PYTORCH}.initialize_models.vision.classification.densenet",
            "ours": f"{OURS}.densenet",
        },
        {},
        ("--untrained_model_path",),
        ("--model_name", "densenet121", "--pretrained", "False"),
    ),
    *(
        Step(
            f"Train PyTorch Model ({family})",
            {"original": f"{PYTORCH}.train.train_pytorch_model", "ours": "train_pytorch_model"},
            {
                "--untrained-model-path": family,
                "--train-data-path": "Apply Image Transformation",
                "--valid-data-path": "Apply Image Transformation",
            },
            ("--trained-model-path",),
            ("--epochs", "1", "--batch-size", "4"),
        )
        for family in ("ResNet", "DenseNet")
    ),
    *(
        Step(
            f"Score Image Model ({family})",
            {
                "original": f"{PYTORCH}.score.score_image_model.module_invoker",
                "ours": f"{OURS}.score_image_model",
            },
            {
                "--trained-model": f"Train PyTorch Model ({family})",
                "--dataset": "Apply Image Transformation",
            },
            ("--scored-dataset",),
        )
        for family in ("ResNet", "DenseNet")
    ),
    Step(
        "Evaluate Image Model",
        {"ours": f"{OURS}.evaluate_image_model"},
        {"--scored-dataset": "Score Image Model (ResNet)"},
        ("--evaluation-results",),
    ),
)


def pictures(folder: Path) -> Path:
    """Class folders of photographs, large enough for DenseNet."""
    for name in CATEGORIES:
        (folder / name).mkdir(parents=True)
        source = REPOSITORY / "examples" / "fashion_mnist" / "train" / name
        for path in sorted(source.iterdir())[: IMAGES // len(CATEGORIES)]:
            with Image.open(path) as image:
                image.resize((48, 48)).save(folder / name / path.name)
    return folder


def run(side: str, words: Sequence[str | Path], folder: Path) -> str | None:
    """Run ``python -m`` with ``words``; returns what it says last if it fails."""
    python = CLASSIC / "bin" / "python" if side == "original" else Path(sys.executable)
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    if side == "ours":
        kept["PYTHONPATH"] = str(REPOSITORY)
    # One thread a process: the images are tiny, and two processes run at a time.
    environment = {**kept, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [python, "-m", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        check=False,
        timeout=600,
    )
    if done.returncode == 0:
        return None
    return (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()[-1][:200]


def holds_the_images(path: Path, count: int) -> str | None:
    """What is wrong with an image directory of ``count`` labelled images, by our reader."""
    images = read_image_directory(path, "dataset")
    if len(images) != count or images.schema.classes != CATEGORIES or (images.labels < 0).any():
        return f"{len(images)} images of {images.schema.classes}"
    return None


def holds_the_scores(path: Path) -> str | None:
    """What is wrong with a table of the scores of the first half."""
    table = pyarrow.parquet.read_table(path / "_data.parquet")
    scored = [name for name in table.column_names if name.startswith("Scored ")]
    if table.num_rows != IMAGES // 2 or len(scored) != len(CATEGORIES) + 1:
        return f"{table.num_rows} rows, columns {table.column_names}"
    return None


def wrong_with(step: Step, outputs: Sequence[Path]) -> str | None:
    """What is wrong with what a step wrote, beyond that it says it succeeded."""
    if step.name == "Convert to Image Directory":
        return holds_the_images(outputs[0], IMAGES)
    if step.name in ("Split Image Directory", "Apply Image Transformation"):
        return next(filter(None, (holds_the_images(path, IMAGES // 2) for path in outputs)), None)
    if step.name.startswith("Score"):
        return holds_the_scores(outputs[0])
    return None if (outputs[0] / "_meta.yaml").exists() else "no _meta.yaml"


def same(step: Step, theirs: Path, own: Path) -> bool:
    """Whether both sides wrote the same, in the steps in which nothing is drawn at random."""
    if step.name.startswith(("Convert", "Apply")):
        lists = [(path / "images.lst").read_text("ascii").splitlines() for path in (theirs, own)]
        rows = [[json.loads(line) for line in lines] for lines in lists]
        names = [[row["image_info"]["file_name"] for row in found] for found in rows]
        return rows[0] == rows[1] and all(
            np.array_equal(pixels(theirs / a), pixels(own / b)) for a, b in zip(*names, strict=True)
        )
    if step.name.startswith("Init"):
        files = [sorted(p.name for p in path.iterdir()) for path in (theirs, own)]
        return files[0] == files[1] and all(
            (theirs / name).read_bytes() == (own / name).read_bytes() for name in files[0]
        )
    if step.name.startswith("Score"):
        a, b = (pyarrow.parquet.read_table(path / "_data.parquet") for path in (theirs, own))
        return a.column_names == b.column_names and all(
            np.allclose(a[name], b[name], rtol=0, atol=1e-5)
            if name.startswith("Scored Probabilities_")
            else a[name].to_pylist() == b[name].to_pylist()
            for name in a.column_names
        )
    return True


def pixels(path: Path) -> NDArray[np.uint8]:
    """(height, width, channels) of an image."""
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


Cell = tuple[str, str, tuple[str, ...]]
"""A step's name, who runs it, and who wrote what each of its neighbours gives."""


class Matrix:
    """Every cell, run once; what a step gives its neighbours is what one side's chain wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        images = pictures(folder / "images")
        self.written = {(side, "images"): images for side in SIDES}
        self.results: dict[Cell, str] = {}

    def run(self) -> dict[Cell, str]:
        """Run every cell, two at a time; returns ``works`` or what went wrong."""
        for step in STEPS:
            neighbours = [n for n in dict.fromkeys(step.inputs.values()) if n != "images"]
            cells = list(product(step.modules, product(SIDES, repeat=len(neighbours))))
            with ThreadPoolExecutor(2) as pool:
                calls = [pool.submit(self._cell, step, *cell, neighbours) for cell in cells]
                for (side, writers), call in zip(cells, calls, strict=True):
                    self.results[step.name, side, writers] = call.result()
            for side, writers in cells:
                if side == "ours" and "original" in step.modules:
                    self._compare(step, writers)
        return self.results

    def _compare(self, step: Step, writers: tuple[str, ...]) -> None:
        """Say so in our cell where the two sides made different things of the same input."""
        both = [self.outputs(step, side, writers)[0] for side in SIDES]
        cells = [(step.name, side, writers) for side in SIDES]
        if all(self.results[cell] == "works" for cell in cells) and not same(step, *both):
            self.results[cells[1]] = "differs from the original"

    def outputs(self, step: Step, side: str, writers: tuple[str, ...]) -> list[Path]:
        """Where a cell writes."""
        name = "-".join((step.name.replace(" ", ""), side, *writers))
        return [self.folder / f"{name}{flag}" for flag in step.outputs]

    def _cell(
        self, step: Step, side: str, writers: tuple[str, ...], neighbours: Sequence[str]
    ) -> str:
        writer = {"images": side, **dict(zip(neighbours, writers, strict=True))}
        outputs = self.outputs(step, side, writers)
        inputs = {
            flag: self.written.get((writer[source], source)) for flag, source in step.inputs.items()
        }
        missing = [source for flag, source in step.inputs.items() if inputs[flag] is None]
        if missing:
            return f"not run: {missing[0]} failed"
        words = [step.modules[side], *step.options]
        for flag, path in [*inputs.items(), *zip(step.outputs, outputs, strict=True)]:
            words += [flag, str(path)]
        problem = run(side, words, self.folder) or wrong_with(step, outputs)
        if problem is None and set(writers) <= {side}:
            self.written[side, step.name] = outputs[0]
        return f"fails: {problem}" if problem else "works"


def table(results: dict[Cell, str]) -> str:
    """The matrix in Markdown: a row for each step and writers of its inputs."""
    rows = ["| step | reads | original | ours |", "|---|---|---|---|"]
    for step in STEPS:
        neighbours = [n for n in dict.fromkeys(step.inputs.values()) if n != "images"]
        for writers in product(SIDES, repeat=len(neighbours)):
            pairs = zip(neighbours, writers, strict=True)
            reads = ", ".join(f"{name.split()[0]}: {writer}" for name, writer in pairs)
            cells = [results.get((step.name, side, writers), "–") for side in SIDES]
            rows.append(f"| {step.name} | {reads or '–'} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def main() -> None:
    """Run every cell and write the README's table."""
    with tempfile.TemporaryDirectory() as folder:
        made = table(Matrix(Path(folder)).run())
    sys.stdout.write(made)
    readme = REPOSITORY / "README.md"
    readme.write_text(replace_between(readme.read_text("utf-8"), "interoperability", made), "utf-8")


if __name__ == "__main__":
    main()
