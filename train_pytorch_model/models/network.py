"""A model directory → the network to train or to score with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from train_pytorch_model.errors import (
    InvalidDatasetError,
    InvalidModelDirectoryError,
    ParameterError,
    Problems,
    quoted,
    scalar,
)
from train_pytorch_model.models.architectures import (
    FAMILIES,
    Architecture,
    Family,
    architecture_in,
    family_of,
)
from train_pytorch_model.models.kernel_maps import use_kernel_maps
from train_pytorch_model.models.kernels import fit_kernels, whole_state_dict
from train_pytorch_model.models.normalisation import normalise_pooled
from train_pytorch_model.models.pooling import forget_pooled, pool_first
from train_pytorch_model.models.shapes import ShapesAlone, Size, input_sizes
from train_pytorch_model.models.torchvision_networks import networks
from train_pytorch_model.models.weight_gradients import multiply_weight_gradients
from train_pytorch_model.models.weights import SECOND_HEAD, checked_weights, is_head
from train_pytorch_model.models.winograd import use_winograd
from train_pytorch_model.params import seed_of_64_bits
from train_pytorch_model.ports.model_directory import CONNECT, ModelDirectory
from train_pytorch_model.ports.model_spec import LABELS, ModelSpec

PREFIX = "model."
"""The original keeps the torchvision network in an attribute of this name."""

_RESIZE = "resize them with Init Image Transformation and Apply Image Transformation"


def trained_spec(
    directory: ModelDirectory, classes: int, image_column: str, created: datetime
) -> ModelSpec:
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
        normalised=True,
        created=created,
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
    family, architecture = _looked_up(directory)
    net = unfilled_network(directory.spec, architecture, len(labels))
    problems = Problems()
    weights = checked_weights(
        directory.weights,
        net,
        architecture.head,
        problems,
        prefix=PREFIX,
        second_head=family.second_head,
    )
    if problems:
        raise InvalidModelDirectoryError(
            f"{directory.port}: the weights are not those expected of "
            f"{directory.spec.model_name}, {problems}; {CONNECT}."
        )
    last = _last_layer(weights, architecture.head)
    outputs, *inputs = last["weight"].shape
    if directory.labels is not None and len(directory.labels) != outputs:
        raise InvalidModelDirectoryError(
            f"{directory.port}: found {len(directory.labels):,} labels for {outputs:,} "
            "outputs of the network, expected as many; connect the output of Train PyTorch Model."
        )
    kept = _order_of(labels, directory.labels, outputs)
    if kept is None:
        torch.manual_seed(seed_of_64_bits(seed))
        fresh = nn.Linear(inputs[0], len(labels)).state_dict()
        last = {name: fresh[name].reshape(-1, *value.shape[1:]) for name, value in last.items()}
    else:
        last = {name: value[kept] for name, value in last.items()}
    body = {key: value for key, value in weights.items() if not is_head(key, architecture.head)}
    state = net.state_dict()  # not a new dict: this one has the versions of the layers with it
    state.update(body)
    state.update({f"{architecture.head}.{name}": value for name, value in last.items()})
    net.load_state_dict(state, assign=True)
    return net


def original_state_dict(net: nn.Module, unreached: float = 1.0) -> dict[str, Tensor]:
    """The network's state dict under the original's names, on the CPU, in PyTorch's usual layout.

    Args:
        net: as ``network`` gives it; ``fit_to_sizes`` may have been called.
        unreached: see ``kernels.whole_state_dict``.
    """
    return {
        PREFIX + key: value.detach().cpu().contiguous()
        for key, value in whole_state_dict(net, unreached).items()
    }


def fit_to_sizes(
    net: nn.Module,
    directory: ModelDirectory,
    sizes: set[Size],
    batch: int,
    layout: torch.memory_format,
    cpu_capability: str,
) -> None:
    """Have ``net`` compute the same in less time, for images of these sizes (height, width) only.

    See ``kernels``, ``pooling``, ``normalisation``, ``kernel_maps``, ``winograd`` and
    ``weight_gradients``. Its state dict is another after that; ``original_state_dict`` makes it
    whole.

    Args:
        net: as ``network`` gives it.
        directory: the model directory that it is of.
        sizes: of all images that it will be given.
        batch: how many of them it is mostly given at once.
        layout: how these images, and so its weights, lie in memory.
        cpu_capability: the vector instructions of the CPU that computes in float32, as PyTorch
            calls them (``AVX2``); empty if another device does, or in bfloat16.
    """
    _, architecture = _looked_up(directory)
    skeleton = unfilled_network(directory.spec, architecture, 2).to("meta")
    inputs = input_sizes(skeleton, sizes)
    fit_kernels(net, inputs)
    pool_first(net)
    net.to(memory_format=layout)
    if cpu_capability and layout == torch.channels_last:
        normalise_pooled(net)
    forget_pooled(net)
    # Which is faster was measured on processors with AVX2 alone (``benchmarks.layers``); oneDNN
    # has other code for those with AVX-512.
    as_products = cpu_capability == "AVX2" and layout == torch.channels_last
    if as_products:
        use_winograd(net, inputs, batch)
    if cpu_capability:
        use_kernel_maps(net, inputs, layout)
    if as_products:
        multiply_weight_gradients(net)


def build(spec: ModelSpec, architecture: Architecture, classes: int) -> nn.Module:
    """A torchvision network with random weights, which follow PyTorch's seed."""
    create = getattr(networks, architecture.name)
    options = {n: spec.options.get(n, values[0]) for n, values in architecture.options.items()}
    net: nn.Module = create(weights=None, num_classes=classes, **options)
    return net


def unfilled_network(spec: ModelSpec, architecture: Architecture, classes: int) -> nn.Module:
    """A network whose weights have no storage (device ``meta``), to be given some."""
    with _EmptyOnMeta():
        return build(spec, architecture, classes)


class _EmptyOnMeta(TorchFunctionMode):
    """Weights, which begin as ``torch.empty``, are made on the device ``meta``.

    ``torch.device("meta")`` would make everything so; but some networks compute their widths, and
    what a window looks at, with tensors.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call ``func``."""
        kwargs = dict(kwargs or {})
        if func is torch.empty and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        if func is Tensor.normal_ and args[0].is_meta:
            return args[0]  # what it would do there needs torch.compile, which takes a second
        return func(*args, **kwargs)


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
        InvalidDatasetError: the architecture does not take images of this size.
    """
    height, width = size
    _, architecture = _looked_up(directory)
    only = architecture.image_size
    if only is not None and size != (only, only):
        raise InvalidDatasetError(
            f"{port}: found images of {width}x{height} pixels, expected {only}x{only}, the only "
            f"size that {directory.spec.model_name} takes; {_RESIZE}."
        )
    net = unfilled_network(directory.spec, architecture, classes).to("meta").train()
    try:
        with ShapesAlone():
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
            f"{directory.spec.model_name}, expected larger ones; {_RESIZE}."
        ) from error


def _looked_up(directory: ModelDirectory) -> tuple[Family, Architecture]:
    spec = directory.spec
    family = family_of(spec.module, spec.class_name)
    if family is None:
        known = " or ".join(f"{f.class_name!r} in {f.module!r}" for f in FAMILIES)
        raise InvalidModelDirectoryError(
            f"{directory.port}: found the class {scalar(spec.class_name)} in "
            f"{scalar(spec.module)}, expected {known}; {CONNECT}."
        )
    architecture = architecture_in(family, spec.model_name)
    if architecture is None:
        raise InvalidModelDirectoryError(
            f"{directory.port}: found {scalar(spec.model_name)} for {family.class_name}, expected "
            f"one of {', '.join(family.model_names)}; {CONNECT}."
        )
    options = architecture.options
    wrong = [name for name, value in spec.options.items() if value not in options.get(name, ())]
    if wrong:
        known = ", ".join(f"{n}: {' or '.join(map(str, values))}" for n, values in options.items())
        raise InvalidModelDirectoryError(
            f"{directory.port}: found parameters [{quoted(sorted(wrong))}] for {spec.model_name}, "
            f"expected {known or 'none'}; {CONNECT}."
        )
    return family, architecture


def _last_layer(weights: Mapping[str, Tensor], head: str) -> dict[str, Tensor]:
    """The weight (n, inputs, …) and, if it has one, bias (n,) of the last layer, or of the two."""
    names = [name for name in ("weight", "bias") if f"{head}.{name}" in weights]
    last = {name: weights[f"{head}.{name}"] for name in names}
    if f"{SECOND_HEAD}weight" not in weights:
        return last
    second = weights[f"{SECOND_HEAD}weight"].double()
    both = {name: second @ value.double() for name, value in last.items()}
    both["bias"] += weights[f"{SECOND_HEAD}bias"]
    return {name: value.float() for name, value in both.items()}


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
