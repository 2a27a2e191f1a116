"""The steps of a pipeline that more than one benchmark runs."""

from pathlib import Path

from benchmarks.command_line import words
from benchmarks.sides import Side, run

TRAIN = "train_pytorch_model"
COMPANIONS = "train_pytorch_model.companions"
ORIGINAL_TRAIN = "azureml.designer.modules.dl.pytorch.train.train_pytorch_model"
PROBABILITY = "Scored Probabilities_"
"""What the names of a scored table's columns of probabilities begin with."""


def write_image_directory(ours: Side, folders: Path, target: Path) -> None:
    """Make an image directory of class folders, with our Convert to Image Directory.

    Raises:
        BenchmarkError: it failed.
    """
    flags = words({"--input_path": folders, "--output_path": target})
    run(ours, f"{COMPANIONS}.convert_to_image_directory", flags, Path(f"{target}.log"))


def write_untrained_model(
    ours: Side, target: Path, model_name: str = "resnet18", seed: int = 1
) -> None:
    """Make a ResNet of random weights, with our ResNet.

    Raises:
        BenchmarkError: it failed.
    """
    flags = {
        "--untrained_model_path": target,
        "--model_name": model_name,
        "--pretrained": False,
        "--random_seed": seed,
    }
    run(ours, f"{COMPANIONS}.resnet", words(flags), Path(f"{target}.log"))


def training_flags(
    untrained: Path, training: Path, validation: Path, target: Path, **parameters: float
) -> list[str]:
    """The flags of a training, which ours and the original share.

    Args:
        untrained: the untrained model.
        training: the images to train on.
        validation: the images to validate with.
        target: where the trained model is written.
        **parameters: of the training, by their names.
    """
    paths = {
        "--untrained-model-path": untrained,
        "--train-data-path": training,
        "--valid-data-path": validation,
        "--trained-model-path": target,
    }
    named = {f"--{name.replace('_', '-')}": value for name, value in parameters.items()}
    return words({**paths, **named})
