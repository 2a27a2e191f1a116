"""The whole way from images to scored images, on a sample of Fashion-MNIST: ``make demo``.

Each step is a command that can be run by itself; it is printed before it runs.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
SAMPLE = Path("examples/fashion_mnist")
DEMO = Path("demo")
COMPANIONS = "train_pytorch_model.companions"

STEPS: list[tuple[str, list[str | Path]]] = [
    (
        "Turn the training images into an ImageDirectory",
        [
            f"{COMPANIONS}.convert_to_image_directory",
            *("--input_path", SAMPLE / "train"),
            *("--output_path", DEMO / "training_dataset"),
        ],
    ),
    (
        "Turn the validation images into an ImageDirectory",
        [
            f"{COMPANIONS}.convert_to_image_directory",
            *("--input_path", SAMPLE / "valid"),
            *("--output_path", DEMO / "validation_dataset"),
        ],
    ),
    (
        "Make an untrained ResNet-18",
        [
            f"{COMPANIONS}.resnet",
            *("--model_name", "resnet18"),
            *("--pretrained", "False"),
            *("--untrained_model_path", DEMO / "untrained_model"),
        ],
    ),
    (
        "Train it with the default parameters",
        [
            "train_pytorch_model",
            *("--untrained-model-path", DEMO / "untrained_model"),
            *("--train-data-path", DEMO / "training_dataset"),
            *("--valid-data-path", DEMO / "validation_dataset"),
            *("--trained-model-path", DEMO / "trained_model"),
        ],
    ),
    (
        "Score the validation images with what was written",
        [
            f"{COMPANIONS}.score_image_model",
            *("--trained-model", DEMO / "trained_model"),
            *("--dataset", DEMO / "validation_dataset"),
            *("--scored-dataset", DEMO / "scored_dataset"),
        ],
    ),
    (
        "Evaluate the scores",
        [
            f"{COMPANIONS}.evaluate_image_model",
            *("--scored-dataset", DEMO / "scored_dataset"),
            *("--evaluation-results", DEMO / "evaluation_results"),
        ],
    ),
]

RESULTS = {
    "training_dataset": "the training images, an ImageDirectory",
    "validation_dataset": "the validation images, an ImageDirectory",
    "untrained_model": "the untrained ResNet-18, an UntrainedModelDirectory",
    "trained_model": "the trained model, a ModelDirectory",
    "trained_model/history.csv": "the table above",
    "trained_model/training.json": "how it was trained",
    "scored_dataset/_data.parquet": "a probability per category of each validation image",
    "evaluation_results/metrics.json": "accuracy, precision, recall, F1",
    "evaluation_results/confusion_matrix.png": "which categories are taken for which",
}


def main() -> int:
    """Run every step; returns the exit code of the first that fails, else 0."""
    shutil.rmtree(ROOT / DEMO, ignore_errors=True)
    for number, (what, words) in enumerate(STEPS, start=1):
        command = ["python", "-m", *map(str, words)]
        sys.stdout.write(f"\n{number}. {what}\n   $ {' '.join(command)}\n")
        sys.stdout.flush()
        code = subprocess.run([sys.executable, *command[1:]], cwd=ROOT, check=False).returncode
        if code:
            return code
    sys.stdout.write(f"\nEverything is in {ROOT / DEMO}:\n")
    for name, what in RESULTS.items():
        sys.stdout.write(f"   {name:<41} {what}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
