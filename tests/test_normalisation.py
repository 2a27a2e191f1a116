"""Batch normalisation behind the max-pooling computes the same."""

import copy

import pytest
import torch
from torch import Tensor, nn

from tests.alike import assert_gradients_are_alike, plain_network
from train_pytorch_model.models.normalisation import normalise_pooled
from train_pytorch_model.models.pooling import pool_first


def swapped(net: nn.Module) -> list[str]:
    """The names of the normalisations that also pool."""
    return [name for name, module in net.named_modules() if hasattr(module, "geometry")]


@pytest.mark.parametrize(
    ("name", "norms"),
    [
        ("resnet18", ["bn1"]),
        ("resnet50", ["bn1"]),
        ("densenet121", ["features.norm0"]),
        ("vgg11_bn", [f"features.{at}" for at in (1, 5, 12, 19, 26)]),
        ("vgg11", []),
        ("shufflenet_v2_x0_5", []),  # it pools what another module gives
        ("mobilenet_v3_small", []),
    ],
)
def test_networks_are_the_same(name: str, norms: list[str]) -> None:
    """Outputs, gradients and statistics in double precision, whatever sign a channel's scale has.

    So are the names of all weights.
    """
    plain = plain_network(name)
    for module in plain.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    net = copy.deepcopy(plain)
    pool_first(net)
    normalise_pooled(net)
    assert swapped(net) == norms
    torch.testing.assert_close(*assert_gradients_are_alike(net, plain, 64, 72))
    torch.testing.assert_close(net.state_dict(), plain.state_dict())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    "pool",
    [nn.MaxPool2d(2), nn.MaxPool2d(3, 2, 1), nn.MaxPool2d((3, 2), (2, 1), ceil_mode=True)],
)
@pytest.mark.parametrize("signs", [True, False])
def test_each_pooling(pool: nn.MaxPool2d, layout: torch.memory_format, signs: bool) -> None:
    """In single precision: the same but for rounding, of channels whose mean is large too.

    One channel is the same everywhere. New networks have no negative scale.
    """
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 8, 1)  # it is not used; a normalisation elsewhere is left alone
    plain = nn.Sequential(conv, nn.BatchNorm2d(8), pool)
    scales = torch.tensor([1.0, -1, 1e-9, 2, -0.1, 0.5, -3, 1])
    plain[1].weight.data = scales if signs else scales.abs()
    ours = copy.deepcopy(plain)
    normalise_pooled(ours)
    assert swapped(ours) == ["1"]
    images = torch.randn(4, 8, 9, 8)
    images[:, 5] += 20
    images[:, 6] = 1
    found = []
    for net in (plain, ours):
        given = images.clone(memory_format=layout).requires_grad_()
        pooled: Tensor = net[1:](given * 1)
        pooled.backward(torch.randn(pooled.shape, generator=torch.Generator().manual_seed(1)))
        parameters = [parameter.grad for parameter in net[1].parameters()]
        found.append((pooled.detach(), given.grad, *parameters, *net.buffers()))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_a_gradient_is_not_asked_for_twice() -> None:
    """Which would find the first in place of what was normalised; PyTorch says so."""
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.MaxPool2d(2))
    normalise_pooled(net)
    total = net(torch.randn(2, 3, 8, 8)).sum()
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


@pytest.mark.parametrize(
    "net",
    [
        nn.Sequential(nn.ReLU(), nn.BatchNorm2d(4), nn.MaxPool2d(2)),  # ReLU needs what it gave
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.AvgPool2d(2)),
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.MaxPool2d(2, return_indices=True)),
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.MaxPool2d(2), nn.BatchNorm2d(4)),
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.MaxPool2d(2), nn.MaxPool2d(2)),
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.BatchNorm2d(4)),
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, affine=False), nn.MaxPool2d(2)),
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, momentum=None), nn.MaxPool2d(2)),
        nn.Sequential(),
    ],
)
def test_what_is_left_alone(net: nn.Module) -> None:
    """What is not a convolution, a batch normalisation and a max-pooling."""
    normalise_pooled(net)
    assert swapped(net) == []
