"""Train PyTorch Model, declared: its ports and settings beside the parameters of ``params``."""

from train_pytorch_model.component import (
    DEVICE,
    INT32_MAX,
    PRIVATE_URLS,
    Component,
    Parameter,
    Port,
)
from train_pytorch_model.params import PARAMETERS

TRAIN_PYTORCH_MODEL = Component(
    name="train_pytorch_model",
    title="Train PyTorch Model",
    category="Model Training",
    description=(
        "Trains an image classifier from scratch, or fine-tunes one, on a labelled image "
        "directory, and keeps the weights of the epoch with the lowest validation loss."
    ),
    documentation="https://learn.microsoft.com/azure/machine-learning/component-reference/train-pytorch-model",
    module="train_pytorch_model",
    inputs=(
        Port(
            name="untrained_model",
            flag="--untrained-model-path",
            type="UntrainedModelDirectory",
            help="The model to train, from ResNet, DenseNet or Image Model; or a trained model to "
            "fine-tune.",
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
    ),
    outputs=(
        Port(
            name="trained_model",
            flag="--trained-model-path",
            type="ModelDirectory",
            help="The trained model, which Score Image Model reads; a directory that is empty or "
            "new.",
        ),
    ),
    parameters=PARAMETERS,
    settings=(
        DEVICE,
        PRIVATE_URLS,
        Parameter(
            name="precision",
            flag="--precision",
            type=str,
            default="auto",
            choices=("auto", "float32", "bfloat16"),
            help="What the network computes in while it trains; auto takes bfloat16 on a GPU that "
            "has it, else float32.",
        ),
        Parameter(
            name="cache",
            flag="--cache",
            type=str,
            default="auto",
            choices=("auto", "memory", "disk", "none"),
            help="Where decoded images are kept; auto takes memory, the disk where that is too "
            "little, and decodes anew in each epoch what fits nowhere.",
        ),
        Parameter(
            name="warmup_epochs",
            flag="--num-warmup-steps",
            type=int,
            default=0,
            minimum=0,
            maximum=INT32_MAX,
            help="Epochs in which the learning rate rises from 1e-4 to its initial value.",
        ),
        Parameter(
            name="checkpoint_minutes",
            flag="--checkpoint-minutes",
            type=float,
            default=2.0,
            minimum=0.0,
            help="Minutes between two checkpoints within an epoch; there is one after each epoch "
            "too. With 0 there is none.",
        ),
        Parameter(
            name="print_frequency",
            flag="--print-freq",
            type=int,
            default=100,
            minimum=1,
            maximum=INT32_MAX,
            help="Batches between two updates of the progress bar's loss.",
        ),
    ),
)
