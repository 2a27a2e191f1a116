"""The whole pipeline in both SDKs, every node of it run on real images."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import v2

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "examples" / "fashion_mnist" / "train"
SETTINGS = {"size": 28, "epochs": 2}

ACCURACY = 0.6
"""What two epochs on 1,800 images of ten categories reach at least; guessing gives 0.1."""


def accuracy(evaluation: Path) -> float:
    """What the last node says of the model."""
    found: float = json.loads((evaluation / "metrics.json").read_text())["accuracy"]
    return found


@pytest.mark.filterwarnings("ignore")  # azure-ai-ml warns of its own dependencies on import
def test_the_v2_pipeline_runs(tmp_path: Path) -> None:
    """Each node's command, in its code snapshot, in the order of the graph."""
    from pipelines.train_image_classifier import build

    job = build(str(IMAGES), "cpu-cluster", **SETTINGS)
    assert job._to_rest_object().properties.jobs
    written = v2.run_pipeline(job, tmp_path)
    assert accuracy(written["evaluate"]["evaluation_results"]) > ACCURACY
    assert (written["train"]["trained_model"] / "_meta.yaml").exists()


def test_the_v2_command_line_validates_offline() -> None:
    """It shows the graph, in the order of the steps."""
    command = [sys.executable, "-W", "ignore", "-m", "pipelines.train_image_classifier", IMAGES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *nodes, last = done.stdout.splitlines()
    assert [line.split()[0] for line in nodes] == [
        *("convert", "split", "resize", "training", "validation"),
        *("resnet", "train", "score", "evaluate"),
    ]
    assert last.startswith("The pipeline is valid")


@pytest.mark.skipif(
    sys.version_info >= (3, 12),
    reason="azure-ml-component has no release for Python 3.12 and later",
)
def test_the_classic_pipeline_runs(tmp_path: Path) -> None:
    """In the SDK's own host mode.

    In a process of its own: the SDK changes logging and warnings for the whole process.
    """
    size, epochs = (str(SETTINGS[name]) for name in ("size", "epochs"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-m", "pipelines.classic", IMAGES),
            *("--size", size, "--epochs", epochs, "--working-dir", tmp_path),
        ],
        cwd=ROOT,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = tmp_path / "evaluate" / "outputs" / "evaluation_results"
    assert accuracy(results) > ACCURACY
