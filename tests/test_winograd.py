"""Convolutions by Winograd's products are those that PyTorch computes."""

import copy
import itertools

import pytest
import torch
import torchvision
from torch.nn.functional import conv2d

from tests.alike import assert_gradients_are_alike, plain_network
from train_pytorch_model.models.shapes import input_sizes
from train_pytorch_model.models.winograd import Scratch, gradients, outputs_of, use_winograd


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "images",
    [
        *itertools.product((1, 3), (1, 2, 3, 4, 7, 10), (1, 2, 5, 8)),
        (5, 20, 20),
        (20, 20, 20),  # eight of these are convolved together
        (3, 60, 60),  # one by one
    ],
)
def test_every_size(images: tuple[int, int, int], bias: bool) -> None:
    """Outputs and gradients, in double precision; also of images whose channels lie apart."""
    b, height, width = images
    pixels = torch.randn(b, 4, height, width, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(5, 4, 3, 3, dtype=torch.float64, requires_grad=True)
    added = torch.randn(5, dtype=torch.float64) if bias else None
    expected = conv2d(pixels, weight, added, 1, 1)
    gradient = torch.randn_like(expected)
    of_pixels, of_weight = torch.autograd.grad(expected, (pixels, weight), gradient)

    scratch = Scratch()
    for layout in (torch.contiguous_format, torch.channels_last):
        laid = pixels.detach().contiguous(memory_format=layout)
        found = outputs_of(laid, weight.detach(), added, scratch)
        torch.testing.assert_close(found, expected)
        both = gradients(laid, weight.detach(), gradient.contiguous(memory_format=layout), scratch)
        torch.testing.assert_close(both, (of_pixels, of_weight))
        for tensor in (found, *both):
            assert tensor.is_contiguous(memory_format=torch.channels_last)


def test_rounding() -> None:
    """In single precision it is no more than twice PyTorch's own."""
    torch.manual_seed(0)
    images, weight = torch.randn(8, 256, 14, 14), torch.randn(256, 256, 3, 3)
    exact = conv2d(images.double(), weight.double(), None, 1, 1)
    own, ours = (
        (found - exact).abs().max()
        for found in (
            conv2d(images, weight, None, 1, 1),
            outputs_of(images, weight, None, Scratch()),
        )
    )
    assert ours < 2 * own


@pytest.mark.parametrize(
    ("name", "size", "batch", "changed"),
    [
        ("resnet18", 224, 16, 9),  # of 128 channels or more, and not halving
        ("resnet18", 224, 2, 3),  # for the others, two images are too few
        ("resnet18", 160, 16, 6),  # 5x5 pixels would be convolved as 6x6
        ("resnet50", 224, 16, 10),
        ("vgg13", 224, 16, 7),
        ("vgg13", 256, 16, 6),  # an image of 128x128 pixels has too many patches
        ("resnext50_32x4d", 224, 16, 0),  # all of 3x3 are in groups
        ("densenet121", 224, 16, 0),  # all give 32 channels
        ("mobilenet_v3_small", 224, 16, 0),
    ],
)
def test_which_convolutions(name: str, size: int, batch: int, changed: int) -> None:
    """Those that gain by it (``benchmarks.layers``)."""
    net = getattr(torchvision.models, name)(num_classes=2)
    before = [type(module) for module in net.modules()]
    use_winograd(net, input_sizes(copy.deepcopy(net).to("meta"), {(size, size)}), batch)
    after = [type(module) for module in net.modules()]
    assert sum(one is not other for one, other in zip(before, after, strict=True)) == changed


@pytest.mark.parametrize("name", ["resnet18", "vgg11"])
def test_networks_are_the_same(name: str) -> None:
    """Outputs and gradients, in double precision."""
    plain = plain_network(name)
    net = copy.deepcopy(plain)
    use_winograd(net, input_sizes(copy.deepcopy(net).float().to("meta"), {(64, 72)}), 64)
    assert [type(m) for m in net.modules()] != [type(m) for m in plain.modules()]

    with torch.inference_mode():  # as before the first step of a run that goes on
        net.eval()(torch.randn(2, 3, 64, 72, dtype=torch.float64))
    net.train()
    for module, old in zip(net.buffers(), plain.buffers(), strict=True):
        assert torch.equal(module, old)
    torch.testing.assert_close(*assert_gradients_are_alike(net, plain, 64, 72))
