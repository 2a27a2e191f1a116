"""What ResNet, DenseNet and Image Model share: an architecture → an UntrainedModelDirectory."""

from collections.abc import Mapping
from pathlib import Path

from train_pytorch_model.component import Parameter, Port, raise_if_any
from train_pytorch_model.imports import lean
from train_pytorch_model.models.architectures import architecture_named
from train_pytorch_model.params import seed_of_64_bits

CATEGORY = "Computer Vision/Image Classification"

WEIGHTS = Port(
    name="weights",
    flag="--weights",
    type="AnyFile",
    help="The pretrained weights, as torchvision publishes them; if absent, they are downloaded.",
    optional=True,
)

UNTRAINED_MODEL = Port(
    name="untrained_model",
    flag="--untrained_model_path",
    type="UntrainedModelDirectory",
    help="The model, for Train PyTorch Model; a directory that is empty or new.",
)

PRETRAINED = Parameter(
    name="pretrained",
    flag="--pretrained",
    type=bool,
    default=True,
    help="Whether to start from weights trained on ImageNet instead of random ones.",
)

RANDOM_SEED = Parameter(
    name="random_seed",
    flag="--random_seed",
    type=int,
    default=1,
    help="The seed of random weights; the same seed gives the same model.",
)


def model_name_of(choices: tuple[str, ...], default: str) -> Parameter:
    """The parameter that chooses an architecture."""
    return Parameter(
        name="model_name",
        flag="--model_name",
        type=str,
        default=default,
        choices=choices,
        help="The architecture, by torchvision's name.",
    )


def initialize(
    target: Path,
    name: str,
    *,
    pretrained: bool,
    weights: Path | None,
    random_seed: int,
    options: Mapping[str, bool] | None = None,
) -> None:
    """Write an untrained model, and say whose weights it has.

    Args:
        target: where to write the directory.
        name: of the architecture, one of ``model_names()``.
        pretrained: whether it has weights trained on ImageNet instead of random ones.
        weights: a file of these; None downloads what torchvision publishes.
        random_seed: of random weights, any integer.
        options: the other initialisation parameters, those that are not the default.

    Raises:
        ParameterError: there are weights and ``pretrained`` is not set.
        UnableToDeserializeModelError: ``weights`` does not hold those of the architecture.
        FailedToDownloadFilesError: there are none, and they cannot be downloaded.
        FailedToWriteOutputsError: ``target`` cannot be written.
    """
    if weights is not None and not pretrained:
        conflict = f"pretrained is False, expected True where weights ({str(weights)!r}) are given"
        raise_if_any([("0002", conflict)])

    with lean():
        import torch

        from train_pytorch_model.models.network import build, original_state_dict
        from train_pytorch_model.models.pretrained import CLASSES, published, read_published
        from train_pytorch_model.ports.download import downloaded
        from train_pytorch_model.ports.model_directory import write_untrained_model
        from train_pytorch_model.ports.model_spec import ModelSpec
        from train_pytorch_model.ports.output import check_output, whole_directory
        from train_pytorch_model.report.console import say, warn

    check_output(target, UNTRAINED_MODEL.name)
    family, architecture = architecture_named(name)
    defaults = {option: values[0] for option, values in architecture.options.items()}
    chosen = {**defaults, **(options or {})}
    spec = ModelSpec(family.module, family.class_name, name, chosen, pretrained)
    if pretrained:
        source, licence = str(weights), None
        if weights is None:
            source, licence = published(family, architecture)
            say(f"Taking the weights of {name} from {source}")
            weights = downloaded(source, WEIGHTS.name)
        state = read_published(weights, spec, architecture, WEIGHTS.name)
        if licence is not None:
            warn(f"weights: {source} has a licence of its own, see {licence}.")
    else:
        source = f"random weights of seed {random_seed}"
        torch.manual_seed(seed_of_64_bits(random_seed))
        state = original_state_dict(build(spec, architecture, CLASSES))
    with whole_directory(target, UNTRAINED_MODEL.name) as folder:
        write_untrained_model(folder, spec, state)
    say(f"{name} is in {target}, with {source}")
