"""The closed table of architectures: every classifier of torchvision.

A model directory names a module and a class; they are looked up here and never imported.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

EITHER = (False, True)


@dataclass(frozen=True)
class Architecture:
    """One network of torchvision's.

    Attributes:
        name: torchvision's name of it, the ``model_name`` of a model directory.
        head: the path of its last layer, which is linear or a 1x1 convolution.
        options: the other initialisation parameters, and the values that each may have; the first
            is the default.
        image_size: the one height and width that it takes; None: any that is large enough.
    """

    name: str
    head: str
    options: Mapping[str, tuple[bool, ...]] = field(default_factory=dict)
    image_size: int | None = None


@dataclass(frozen=True)
class Family:
    """The architectures of one class that model directories name.

    Attributes:
        title: the component that makes it.
        module: the module that a model directory names.
        class_name: the class that it names there.
        architectures: its networks.
        weights: which of torchvision's sets of pretrained weights to take; the first that there is.
        second_head: whether a trained model may have a second last layer behind the first, as the
            original makes them of pretrained ones.
    """

    title: str
    module: str
    class_name: str
    architectures: tuple[Architecture, ...]
    weights: tuple[str, ...] = ("IMAGENET1K_V1",)
    second_head: bool = True

    @property
    def model_names(self) -> tuple[str, ...]:
        """The values of its ``model_name``."""
        return tuple(architecture.name for architecture in self.architectures)


def _of(head: str, names: str, **options: tuple[bool, ...]) -> tuple[Architecture, ...]:
    return tuple(Architecture(name, head, options) for name in names.split())


def _of_224(head: str, names: str) -> tuple[Architecture, ...]:
    return tuple(Architecture(name, head, image_size=224) for name in names.split())


# Without the auxiliary outputs, which are there only for training from scratch on ImageNet.
_PLAIN = {"aux_logits": (False,), "init_weights": (True,)}

_PACKAGE = "azureml.designer.modules.dl.pytorch.initialize_models.vision.classification"

RESNET = Family(
    title="ResNet",
    module=f"{_PACKAGE}.resnet",
    class_name="ResNet",
    architectures=_of(
        "fc",
        "resnet18 resnet34 resnet50 resnet101 resnet152 "
        "resnext50_32x4d resnext101_32x8d wide_resnet50_2 wide_resnet101_2",
        zero_init_residual=EITHER,
    ),
)

DENSENET = Family(
    title="DenseNet",
    module=f"{_PACKAGE}.densenet",
    class_name="DenseNet",
    architectures=_of(
        "classifier",
        "densenet121 densenet161 densenet169 densenet201",
        memory_efficient=EITHER,
    ),
)

IMAGE_MODEL = Family(
    title="Image Model",
    module="train_pytorch_model.models.image_model",  # a name of ours; there is nothing to import
    class_name="ImageModel",
    architectures=(
        *_of("classifier.6", "alexnet"),
        *_of("classifier.2", "convnext_tiny convnext_small convnext_base convnext_large"),
        *_of("classifier.1", "efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3"),
        *_of("classifier.1", "efficientnet_b4 efficientnet_b5 efficientnet_b6 efficientnet_b7"),
        *_of("classifier.1", "efficientnet_v2_s efficientnet_v2_m efficientnet_v2_l"),
        *_of("fc", "googlenet inception_v3", **_PLAIN),
        *_of_224("classifier.5", "maxvit_t"),
        *_of("classifier.1", "mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3 mobilenet_v2"),
        *_of("classifier.3", "mobilenet_v3_small mobilenet_v3_large"),
        *_of("fc", "regnet_x_400mf regnet_x_800mf regnet_x_1_6gf regnet_x_3_2gf"),
        *_of("fc", "regnet_x_8gf regnet_x_16gf regnet_x_32gf"),
        *_of("fc", "regnet_y_400mf regnet_y_800mf regnet_y_1_6gf regnet_y_3_2gf"),
        *_of("fc", "regnet_y_8gf regnet_y_16gf regnet_y_32gf regnet_y_128gf"),
        *_of("fc", "resnext101_64x4d"),
        *_of("fc", "shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0"),
        *_of("classifier.1", "squeezenet1_0 squeezenet1_1"),
        *_of("head", "swin_t swin_s swin_b swin_v2_t swin_v2_s swin_v2_b"),
        *_of("classifier.6", "vgg11 vgg13 vgg16 vgg19 vgg11_bn vgg13_bn vgg16_bn vgg19_bn"),
        *_of_224("heads.head", "vit_b_16 vit_b_32 vit_l_16 vit_l_32 vit_h_14"),
    ),
    # The last is all that there is of the two largest; it was trained for images of 224 pixels.
    weights=("IMAGENET1K_V2", "IMAGENET1K_V1", "IMAGENET1K_SWAG_LINEAR_V1"),
    second_head=False,
)

FAMILIES = (RESNET, DENSENET, IMAGE_MODEL)


def family_of(module: object, class_name: object) -> Family | None:
    """The family that a model directory names, or None."""
    return next((f for f in FAMILIES if (f.module, f.class_name) == (module, class_name)), None)


def architecture_in(family: Family, model_name: str) -> Architecture | None:
    """The architecture of a family that has this name, or None."""
    return next((a for a in family.architectures if a.name == model_name), None)


def architecture_named(model_name: str) -> tuple[Family, Architecture]:
    """The architecture of this name, one of ``model_names()``, and its family."""
    return next((f, a) for f in FAMILIES for a in f.architectures if a.name == model_name)


def model_names() -> tuple[str, ...]:
    """The names of all architectures."""
    return tuple(name for family in FAMILIES for name in family.model_names)
