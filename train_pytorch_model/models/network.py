"""A model directory → the network to train or to score with."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
import torchvision
from torch import Tensor, nn

from train_pytorch_model.errors import (
    InvalidDatasetError,
    InvalidModelDirectoryError,
    ParameterError,
    Problems,
    scalar,
)
from train_pytorch_model.models.architectures import FAMILIES, Family, family_of
from train_pytorch_model.params import seed_of_64_bits
from train_pytorch_model.ports.model_directory import ModelDirectory
from train_pytorch_model.ports.model_spec import LABELS, ModelSpec

PREFIX = "model."
"""The original keeps the torchvision network in an attribute of this name."""

_LINEAR = ("weight", "bias")

SECOND_HEAD = "out_linear_model."
"""The original's last layer of a pretrained network, 1000 → number of classes."""


def trained_spec(directory: ModelDirectory, classes: int, image_column: str) -> ModelSpec:
    """The spec of the network that ``network`` gives.

    It never says ``pretrained``, which would make the original download weights to load it.
    """
    return replace(
        directory.spec,
        pretrained=False,
        num_classes=classes,
        weights_file="model",
        labels_file=LABELS,
        image_column=image_column,
    )


def network(directory: ModelDirectory, labels: Sequence[str], seed: int) -> nn.Module:
    """The network of a model directory with its weights, and an output per label.

    Only the last layer may be new: where the directory's labels are other than ``labels``, or it
    has none and the layer is not of their number. Labels in another order are put into this one.
    The two last layers of a pretrained network become the one that computes the same.

    Args:
        directory: the model directory.
        labels: class index → label, of the data.
        seed: of the random initialisation of a new last layer; any integer.

    Returns:
        A torchvision network on the CPU, float32: images (b, 3, height, width) → (b, classes).

    Raises:
        InvalidModelDirectoryError: the architecture is unknown, or the weights are not its.
    """
    family = _family(directory)
    net = meta_network(directory.spec, family, len(labels))
    weights = _checked_weights(directory, family, net)
    head = _last_layer(weights, family)
    if directory.labels is not None and len(directory.labels) != head[0].shape[0]:
        raise InvalidModelDirectoryError(
            f"{directory.port}: found {len(directory.labels):,} labels for {head[0].shape[0]:,} "
            "outputs of the network, expected as many; connect the output of Train PyTorch Model."
        )
    kept = _order_of(labels, directory.labels, head[0].shape[0])
    if kept is None:
        torch.manual_seed(seed_of_64_bits(seed))
        fresh = nn.Linear(head[0].shape[1], len(labels))
        head = fresh.weight.detach(), fresh.bias.detach()
    else:
        head = head[0][kept], head[1][kept]
    body = {key: value for key, value in weights.items() if not _is_head(key, family)}
    named = {f"{family.head}.weight": head[0], f"{family.head}.bias": head[1]}
    net.load_state_dict({**body, **named}, assign=True)
    return net


def original_state_dict(net: nn.Module) -> dict[str, Tensor]:
    """The network's state dict under the original's names, on the CPU."""
    return {PREFIX + key: value.detach().cpu() for key, value in net.state_dict().items()}


def meta_network(spec: ModelSpec, family: Family, classes: int) -> nn.Module:
    """A network without storage (on the device ``meta``), to be given weights."""
    with torch.device("meta"):
        create = getattr(torchvision.models, spec.model_name)
        option = spec.options.get(family.option, False)
        net: nn.Module = create(weights=None, num_classes=classes, **{family.option: option})
    return net


def check_batch(
    directory: ModelDirectory, classes: int, batch: int, size: tuple[int, int], port: str
) -> None:
    """Check that a training step can be done, by a forward pass without storage.

    Args:
        directory: the model directory.
        classes: the number of outputs.
        batch: images in a batch.
        size: (height, width) of the images.
        port: the name of the input that they come from.

    Raises:
        ParameterError: the batch is too small for batch normalisation.
        InvalidDatasetError: the images are too small for the architecture.
    """
    height, width = size
    net = meta_network(directory.spec, _family(directory), classes).train()
    try:
        net(torch.empty(batch, 3, height, width, device="meta"))
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ParameterError(
            f"batch_size: a batch of {batch} image of {width}x{height} pixels is too small for the "
            f"batch normalisation of {directory.spec.model_name}, expected at least 2 images; "
            "choose a batch size of 2 or more, and train on 2 images or more.",
            code="0005",
        ) from error
    except RuntimeError as error:
        if "too small" not in str(error) and "Kernel size" not in str(error):
            raise
        raise InvalidDatasetError(
            f"{port}: images of {width}x{height} pixels are too small for "
            f"{directory.spec.model_name}; enlarge them with Init Image Transformation (Resize) "
            "and Apply Image Transformation."
        ) from error


def _family(directory: ModelDirectory) -> Family:
    spec = directory.spec
    family = family_of(spec.module, spec.class_name)
    if family is None:
        known = " or ".join(f"{f.class_name!r} in {f.module!r}" for f in FAMILIES)
        raise InvalidModelDirectoryError(
            f"{directory.port}: found the class {scalar(spec.class_name)} in "
            f"{scalar(spec.module)}, expected {known}; connect the output of ResNet or DenseNet."
        )
    unknown = set(spec.options) - {family.option}
    if spec.model_name not in family.model_names or unknown:
        found = f"parameters {sorted(unknown)}" if unknown else scalar(spec.model_name)
        expected = family.option if unknown else "one of " + ", ".join(family.model_names)
        raise InvalidModelDirectoryError(
            f"{directory.port}: found {found} for {family.class_name}, expected {expected}; "
            "connect the output of ResNet or DenseNet."
        )
    return family


def _is_head(key: str, family: Family) -> bool:
    return key.startswith((f"{family.head}.", SECOND_HEAD))


def _checked_weights(
    directory: ModelDirectory, family: Family, net: nn.Module
) -> dict[str, Tensor]:
    """The directory's weights under torchvision's names, after every check.

    Raises:
        InvalidModelDirectoryError: naming each tensor that is missing, superfluous, of another
            shape or type than the architecture's, or not finite.
    """
    problems = Problems()
    weights: dict[str, Tensor] = {}
    for key, tensor in directory.weights.items():
        if key.startswith((PREFIX, SECOND_HEAD)):
            weights[key.removeprefix(PREFIX)] = tensor
        else:
            problems.add(f"{scalar(key)} is not one of its tensors")
    expected = net.state_dict()
    inputs = expected[f"{family.head}.weight"].shape[1]
    for key, reference in expected.items():
        value = weights.get(key)
        if value is None:
            problems.add(f"{PREFIX}{key} is missing")
        elif not _is_head(key, family) and value.shape != reference.shape:
            found, wanted = list(value.shape), list(reference.shape)
            problems.add(f"{PREFIX}{key} is of shape {found}, expected {wanted}")
        else:
            weights[key] = _checked_values(PREFIX + key, value, reference, problems)
    second = {f"{SECOND_HEAD}{name}": expected[f"{family.head}.{name}"] for name in _LINEAR}
    for key in sorted(weights.keys() - expected.keys()):
        if key in second:
            weights[key] = _checked_values(key, weights[key], second[key], problems)
        else:
            problems.add(f"{scalar(key)} is not one of its tensors")
    if not problems:
        _check_head_shapes(weights, family, inputs, problems)
    if problems:
        raise InvalidModelDirectoryError(
            f"{directory.port}: the weights are not those of {directory.spec.model_name}, "
            f"{problems}. Connect the output of ResNet, DenseNet or Train PyTorch Model."
        )
    return weights


def _checked_values(key: str, value: Tensor, reference: Tensor, problems: Problems) -> Tensor:
    """``value`` in the type of ``reference``, if both are integers or both floats and finite."""
    plain = value.layout == torch.strided and not value.is_quantized and not value.is_complex()
    # A tensor may claim more elements than are in the file, by a stride of 0.
    if not plain or value.numel() * value.element_size() > value.untyped_storage().nbytes():
        problems.add(f"{key} is not a plain tensor")
    elif value.is_floating_point() != reference.is_floating_point():
        problems.add(f"{key} is of type {value.dtype}, expected {reference.dtype}")
    else:
        # A copy: two names may share one storage, and would be trained as one.
        value = value.to(reference.dtype, copy=True)
        if value.is_floating_point() and not bool(value.isfinite().all()):
            problems.add(f"{key} has values that are infinite or not a number in {value.dtype}")
    return value


def _check_head_shapes(
    weights: Mapping[str, Tensor], family: Family, inputs: int, problems: Problems
) -> None:
    """Check that each last layer takes what the one before it gives."""
    for prefix in (f"{family.head}.", SECOND_HEAD):
        weight, bias = weights.get(f"{prefix}weight"), weights.get(f"{prefix}bias")
        if weight is None and bias is None and prefix == SECOND_HEAD:
            return
        if weight is None or bias is None:
            problems.add(f"{prefix}weight or {prefix}bias is missing")
            return
        rows = weight.shape[0] if weight.dim() == 2 else 0
        if rows < 1 or list(weight.shape) != [rows, inputs] or list(bias.shape) != [rows]:
            problems.add(
                f"{prefix}weight and {prefix}bias are of shapes {list(weight.shape)} and "
                f"{list(bias.shape)}, expected [n, {inputs}] and [n]"
            )
            return
        inputs = rows


def _last_layer(weights: Mapping[str, Tensor], family: Family) -> tuple[Tensor, Tensor]:
    """The weight (n, inputs) and bias (n,) of the last layer, or of the two that there are."""
    weight, bias = weights[f"{family.head}.weight"], weights[f"{family.head}.bias"]
    if f"{SECOND_HEAD}weight" not in weights:
        return weight, bias
    second = weights[f"{SECOND_HEAD}weight"].double()
    both = second @ weight.double(), second @ bias.double() + weights[f"{SECOND_HEAD}bias"]
    return both[0].float(), both[1].float()


def _order_of(
    labels: Sequence[str], previous: Sequence[str] | None, outputs: int
) -> list[int] | None:
    """Which output of the directory's last layer belongs to each label; None: make a new layer."""
    if previous is None:
        return list(range(outputs)) if outputs == len(labels) else None
    if sorted(previous) != sorted(labels):
        return None
    if list(previous) == list(labels):
        return list(range(outputs))
    position = {label: index for index, label in enumerate(previous)}
    return [position[label] for label in labels]
