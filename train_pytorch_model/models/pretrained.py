"""The weights that torchvision publishes of its networks, trained on ImageNet."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
import torchvision
from torch import Tensor

from train_pytorch_model.errors import Problems, UnableToDeserializeModelError
from train_pytorch_model.models.architectures import Architecture, Family
from train_pytorch_model.models.network import PREFIX, unfilled_network
from train_pytorch_model.models.weights import checked_weights
from train_pytorch_model.ports.model_spec import ModelSpec
from train_pytorch_model.ports.paths import open_file, reason
from train_pytorch_model.ports.state_dict import load_state_dict

CLASSES = 1000
"""Of ImageNet."""

# Published files keep the names of the torchvision that wrote them.
_TODAY = (
    (re.compile(r"\.(norm|conv)\.([12])\."), r".\1\2."),  # DenseNet
    (re.compile(r"\.mlp\.linear_1\."), ".mlp.0."),  # ViT
    (re.compile(r"\.mlp\.linear_2\."), ".mlp.3."),
)
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
_COUNTER = ".num_batches_tracked"


def published(family: Family, architecture: Architecture) -> tuple[str, str | None]:
    """The addresses of an architecture's weights, and of their licence if they have their own."""
    members = torchvision.models.get_model_weights(architecture.name).__members__
    weights = next(members[name] for name in family.weights if name in members)
    return weights.url, weights.meta.get("license")


def read_published(
    path: Path, spec: ModelSpec, architecture: Architecture, port: str
) -> dict[str, Tensor]:
    """The weights in a file as torchvision publishes it, under the original's names.

    Args:
        path: a state dict, whose last layer may have another number of outputs.
        spec: the network that it is for.
        architecture: of that network.
        port: the name of the input, for messages.

    Raises:
        UnableToDeserializeModelError: it cannot be read or is not the architecture's.
    """
    hint = f"name a state dict of torchvision's {architecture.name}, such as the file it publishes"
    try:
        with open_file(path) as file:
            state = load_state_dict(file)
    except OSError as error:
        raise UnableToDeserializeModelError(
            f"{port}: {str(path)!r} cannot be read ({reason(error)}), expected a file; {hint}."
        ) from error
    except ValueError as error:
        raise UnableToDeserializeModelError(
            f"{port}: {str(path)!r} {error}, expected a tensor per name, saved by PyTorch; {hint}."
        ) from error
    net = unfilled_network(spec, architecture, CLASSES)
    problems = Problems()
    state = _of_today(state, net.state_dict(), architecture)
    weights = checked_weights(state, net, architecture.head, problems)
    if problems:
        raise UnableToDeserializeModelError(
            f"{port}: the weights in {str(path)!r} are not those of {architecture.name}, "
            f"{problems}; {hint}."
        )
    return {PREFIX + key: value for key, value in weights.items()}


def _of_today(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], architecture: Architecture
) -> dict[str, Tensor]:
    """``state`` under today's names, with batch normalisation's counters, without extra outputs."""
    counters = [key for key in expected if key.endswith(_COUNTER)]
    found = dict.fromkeys(counters, torch.tensor(0))
    for key, value in state.items():
        name = key
        for pattern, today in _TODAY:
            name = pattern.sub(today, name)
        if not (architecture.options.get("aux_logits") and key.startswith(_AUXILIARY)):
            found[name if name in expected else key] = value
    return found
