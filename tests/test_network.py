"""A network that is fit to its images is the network that torchvision makes."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from train_pytorch_model.engine.fit import train_step
from train_pytorch_model.engine.optimizer import MOMENTUM, SGD, WEIGHT_DECAY
from train_pytorch_model.engine.schedule import decayed
from train_pytorch_model.models.network import (
    PREFIX,
    fit_to_sizes,
    network,
    original_state_dict,
)
from train_pytorch_model.ports.model_directory import ModelDirectory, read_model_directory

LABELS = ["cat", "dog", "emu"]
ROWS, CHANNELS = torch.contiguous_format, torch.channels_last

WHERE = [
    # edge of the images, their layout, the CPU's instructions, and the modules that make it faster
    (64, CHANNELS, "AVX2", {"normalisation", "winograd", "kernel_maps", "weight_gradients"}),
    (64, CHANNELS, "AVX512", {"normalisation", "kernel_maps"}),
    (64, CHANNELS, "DEFAULT", {"normalisation", "kernel_maps"}),
    (64, CHANNELS, "", {"pooling"}),
    (28, ROWS, "AVX2", {"pooling", "kernel_maps", "kernels"}),
    (28, ROWS, "DEFAULT", {"pooling", "kernel_maps", "kernels"}),
    (28, CHANNELS, "", {"pooling", "kernels"}),
]


@pytest.fixture
def untrained(resnet18: Path) -> ModelDirectory:
    """That of a ResNet-18."""
    return read_model_directory(resnet18, "untrained_model")


@pytest.mark.parametrize(("edge", "layout", "capability", "used"), WHERE)
def test_which_layers_are_computed_otherwise(
    untrained: ModelDirectory,
    edge: int,
    layout: torch.memory_format,
    capability: str,
    used: set[str],
) -> None:
    """What pays depends on the images and on what computes."""
    net = network(untrained, LABELS, 1)
    fit_to_sizes(net, untrained, {(edge, edge)}, 16, layout, capability)
    modules = {type(module).__module__ for module in net.modules()}
    ours = {name.rpartition(".")[2] for name in modules if name.startswith("train_pytorch_model.")}
    assert ours == used


@pytest.mark.parametrize(("edge", "layout", "capability"), [where[:3] for where in WHERE])
def test_training_is_that_of_plain_pytorch(
    untrained: ModelDirectory, edge: int, layout: torch.memory_format, capability: str
) -> None:
    """Three steps in double precision from the same weights, with torchvision's and PyTorch's own.

    Weights of ImageNet have negative scales before the first pooling.
    """
    ours, plain = (network(untrained, LABELS, 1).double() for _ in range(2))
    for net in (ours, plain):
        net.get_parameter("bn1.weight").data[::5] = -0.5
    fit_to_sizes(ours, untrained, {(edge, edge)}, 16, layout, capability)
    optimizer = SGD(ours, 0.01)
    options = {"momentum": MOMENTUM, "weight_decay": WEIGHT_DECAY, "nesterov": True}
    plain_optimizer = torch.optim.SGD(plain.parameters(), 0.01, **options)

    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        images = torch.randn(6, 3, edge, edge, generator=generator, dtype=torch.float64)
        labels = torch.tensor([0, 2, 1, 0, 1, 2])
        _train(plain.train(), plain_optimizer, images, labels)
        train_step(ours.train(), optimizer, images.contiguous(memory_format=layout), labels)

    found = original_state_dict(ours, decayed([0.01], 3, MOMENTUM, WEIGHT_DECAY))
    expected = {PREFIX + key: value for key, value in plain.state_dict().items()}
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-7, atol=1e-9, msg=key)


def _train(
    net: nn.Module, optimizer: torch.optim.SGD, images: torch.Tensor, labels: torch.Tensor
) -> None:
    optimizer.zero_grad()
    cross_entropy(net(images).float(), labels).backward()  # type: ignore[no-untyped-call]  # torch does not type it
    optimizer.step()
