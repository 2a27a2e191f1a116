"""Weights move as PyTorch's SGD moves them, to the bit."""

import copy
import weakref

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from train_pytorch_model.engine import optimizer
from train_pytorch_model.engine.fit import train_step
from train_pytorch_model.engine.optimizer import MOMENTUM, SGD, WEIGHT_DECAY


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_steps_are_those_of_torch(layout: torch.memory_format) -> None:
    """Over several steps, of weights that move by themselves and of others; the rate changes."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 32, 7),
        nn.BatchNorm2d(32),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(16),
        nn.Flatten(),
        nn.Linear(32 * 16 * 16, 65),
        nn.Linear(65, 4),
    )
    sizes = [weights.numel() for weights in net.parameters()]
    assert min(sizes) < optimizer._LARGE < max(sizes)
    other = copy.deepcopy(net)
    net.to(memory_format=layout)
    other.to(memory_format=layout)
    ours = SGD(net, 0.1)
    known = {"momentum": MOMENTUM, "weight_decay": WEIGHT_DECAY, "nesterov": True}
    torchs = torch.optim.SGD(other.parameters(), lr=0.1, **known, fused=True)
    for rate in (0.1, 0.1, 0.01):
        ours.rate = torchs.param_groups[0]["lr"] = rate
        images, labels = torch.randn(5, 3, 24, 24), torch.randint(4, (5,))
        train_step(net, ours, images, labels)
        torchs.zero_grad()
        cross_entropy(other(images), labels).backward()  # type: ignore[no-untyped-call]  # torch does not type it
        torchs.step()
        for found, expected in zip(net.parameters(), other.parameters(), strict=True):
            assert torch.equal(found, expected)
            assert torch.equal(ours.momenta[found], torchs.state[expected]["momentum_buffer"])


def test_gradients_are_gone_as_weights_move() -> None:
    """Large ones before those of the layer before are there, the others after the step."""
    first, last = nn.Linear(4, 1 << 17), nn.Linear(1 << 17, 1 << 3)
    net = nn.Sequential(first, last)
    ours = SGD(net, 0.1)
    seen = []
    first.weight.register_hook(lambda _: seen.append((last.weight.grad, last.bias.grad)))
    net(torch.ones(2, 4)).sum().backward()
    [(large, small)] = seen
    assert large is None
    assert small is not None
    ours.step()
    assert all(weights.grad is None for weights in net.parameters())


def test_a_network_is_freed_with_its_optimiser() -> None:
    """By the count of references alone."""
    net = nn.Linear(1 << 10, 1 << 10)
    ours = SGD(net, 0.1)
    train_step(net, ours, torch.ones(2, 1 << 10), torch.tensor([0, 1]))
    weights = weakref.ref(net.weight)
    del net, ours
    assert weights() is None
