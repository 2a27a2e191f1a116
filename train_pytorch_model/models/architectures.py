"""The closed table of architectures: what the original's ResNet and DenseNet modules offer.

A model directory names a module and a class; they are looked up here and never imported.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """The architectures of one of the original's modules.

    Attributes:
        module: the module that a model directory names.
        class_name: the class that it names there.
        model_names: the values of its ``model_name``, which are torchvision's.
        option: the name of its other initialisation parameter (a bool, default false).
        head: the torchvision attribute that is the last, linear layer.
    """

    module: str
    class_name: str
    model_names: tuple[str, ...]
    option: str
    head: str


_PACKAGE = "azureml.designer.modules.dl.pytorch.initialize_models.vision.classification"

FAMILIES = (
    Family(
        module=f"{_PACKAGE}.resnet",
        class_name="ResNet",
        model_names=(
            *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
            *("resnext50_32x4d", "resnext101_32x8d", "wide_resnet50_2", "wide_resnet101_2"),
        ),
        option="zero_init_residual",
        head="fc",
    ),
    Family(
        module=f"{_PACKAGE}.densenet",
        class_name="DenseNet",
        model_names=("densenet121", "densenet161", "densenet169", "densenet201"),
        option="memory_efficient",
        head="classifier",
    ),
)


def family_of(module: object, class_name: object) -> Family | None:
    """The family that a model directory names, or None."""
    return next((f for f in FAMILIES if (f.module, f.class_name) == (module, class_name)), None)


def family_with(model_name: str) -> Family:
    """The family that has the architecture ``model_name``, one of ``model_names()``."""
    return next(family for family in FAMILIES if model_name in family.model_names)


def model_names() -> tuple[str, ...]:
    """The names of all architectures."""
    return tuple(name for family in FAMILIES for name in family.model_names)
