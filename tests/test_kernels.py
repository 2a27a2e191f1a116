"""Kernels without the weights that no image reaches compute the same."""

import copy
from collections import Counter

import pytest
import torch
import torchvision
from torch import nn
from torch.nn.functional import cross_entropy

from train_pytorch_model.engine.optimizer import MOMENTUM, WEIGHT_DECAY
from train_pytorch_model.engine.schedule import decayed
from train_pytorch_model.models.kernels import fit_kernels, whole_state_dict
from train_pytorch_model.models.shapes import input_sizes


@pytest.mark.parametrize(
    ("name", "sizes", "fewer"),
    [
        ("resnet18", {(32, 32)}, True),
        ("resnet18", {(28, 20)}, True),
        ("resnet18", {(32, 32), (24, 60)}, True),
        ("resnet18", {(32, 32), (224, 224)}, False),
        ("densenet121", {(32, 32)}, True),
        ("mobilenet_v3_small", {(33, 33)}, True),
        ("shufflenet_v2_x0_5", {(40, 32)}, True),
    ],
)
def test_training_is_the_same(name: str, sizes: set[tuple[int, int]], fewer: bool) -> None:
    """Three steps in double precision; weight decay of what is not reached too."""
    torch.manual_seed(0)
    whole = getattr(torchvision.models, name)(num_classes=3).double()
    for module in whole.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    trimmed = copy.deepcopy(whole)
    fit_kernels(trimmed, input_sizes(copy.deepcopy(whole).float().to("meta"), sizes))
    counts = [sum(p.numel() for p in net.parameters()) for net in (whole, trimmed)]
    assert (counts[1] < counts[0]) == fewer

    for net in (whole, trimmed):
        net.train()
        optimizer = torch.optim.SGD(
            net.parameters(), 0.001, MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=True
        )
        generator = torch.Generator().manual_seed(1)
        for step in range(3):
            height, width = sorted(sizes)[step % len(sizes)]
            images = torch.randn(4, 3, height, width, generator=generator, dtype=torch.float64)
            loss = cross_entropy(net(images), torch.tensor([0, 2, 1, 0]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    left = decayed([0.001], 3, MOMENTUM, WEIGHT_DECAY)
    expected, found = whole.state_dict(), whole_state_dict(trimmed, left)
    assert expected.keys() == found.keys()
    for key, value in expected.items():
        torch.testing.assert_close(found[key].to(value.dtype), value, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("size", "products"), [(28, 5), (32, 5), (64, 0)])
def test_a_kernel_that_lies_in_one_place_is_a_matrix(size: int, products: int) -> None:
    """The last five convolutions of a ResNet-18 on images of one pixel in the end."""
    net = torchvision.models.resnet18(num_classes=3)
    fit_kernels(net, input_sizes(copy.deepcopy(net).to("meta"), {(size, size)}))
    with torch.autograd.profiler.profile() as profile:
        net(torch.zeros(2, 3, size, size))
    called = Counter(event.name for event in profile.function_events)
    assert called["aten::conv2d"] == 20 - products
    assert called["aten::linear"] == 1 + products


@pytest.mark.parametrize("kernel", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 3])
def test_every_geometry(kernel: int, stride: int, padding: int) -> None:
    """A convolution alone, on every small input that it takes."""
    for length in range(max(1, kernel - 2 * padding), 9):
        conv = nn.Conv2d(3, 2, kernel, stride, padding)
        trimmed = copy.deepcopy(conv)
        net = nn.Sequential(trimmed)
        fit_kernels(net, input_sizes(copy.deepcopy(net).to("meta"), {(length, length)}))
        images = torch.randn(1, 3, length, length)
        torch.testing.assert_close(trimmed(images), conv(images), rtol=1e-4, atol=1e-5)
        assert torch.equal(whole_state_dict(net, 1.0)["0.weight"], conv.weight)
