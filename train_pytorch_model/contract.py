"""The ports of the component: their one declaration, beside that of the parameters.

The command line, both component specs and the README's table are made from it.
"""

from dataclasses import dataclass

NAME = "train_pytorch_model"
TITLE = "Train PyTorch Model"
DESCRIPTION = (
    "Trains an image classifier from scratch, or fine-tunes one, on a labelled image directory, "
    "and keeps the weights of the epoch with the lowest validation loss."
)


@dataclass(frozen=True)
class Port:
    """An input or the output: a directory of a type that the designer knows.

    ``flag`` is the original's; ``type`` the designer's.
    """

    name: str
    flag: str
    type: str
    help: str


INPUTS = (
    Port(
        name="untrained_model",
        flag="--untrained-model-path",
        type="UntrainedModelDirectory",
        help="The model to train, from ResNet or DenseNet; or a trained model to fine-tune.",
    ),
    Port(
        name="training_dataset",
        flag="--train-data-path",
        type="ImageDirectory",
        help="The labelled images to train on.",
    ),
    Port(
        name="validation_dataset",
        flag="--valid-data-path",
        type="ImageDirectory",
        help="The labelled images to choose the best epoch by, of the same categories.",
    ),
)

OUTPUT = Port(
    name="trained_model",
    flag="--trained-model-path",
    type="ModelDirectory",
    help="The trained model, which Score Image Model reads; a directory that is empty or new.",
)

PORTS = (*INPUTS, OUTPUT)
