"""Convolutions by products for each tap are those that PyTorch computes."""

import copy
import itertools

import pytest
import torch
import torchvision
from torch import nn

from tests.alike import assert_gradients_are_alike, plain_network
from train_pytorch_model.models.kernel_maps import (
    gradients,
    kernel_map,
    outputs_of,
    use_kernel_maps,
)
from train_pytorch_model.models.kernels import fit_kernels
from train_pytorch_model.models.shapes import Size, input_sizes

GEOMETRIES = [*itertools.product((1, 2, 3, 5), (1, 2, 3), (0, 1, 2), (1, 2))]


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation"), GEOMETRIES)
def test_every_geometry(kernel: int, stride: int, padding: int, dilation: int) -> None:
    """Outputs and gradients, in double precision, of every small image that they take.

    Taps that no pixel meets have no gradient.
    """
    conv = nn.Conv2d(4, 5, (kernel, 3), stride, padding, dilation, bias=False).double()
    reach = (dilation * (kernel - 1) + 1, dilation * 2 + 1)
    for size in itertools.product(range(1, 6), range(1, 6)):
        if any(edge + 2 * padding < needed for edge, needed in zip(size, reach, strict=True)):
            continue
        images = torch.randn(3, 4, *size, dtype=torch.float64, requires_grad=True)
        expected = conv(images)
        gradient = torch.randn_like(expected)
        of_images, of_weight = torch.autograd.grad(expected, (images, conv.weight), gradient)

        where = kernel_map(conv, size)
        by_tap = conv.weight.detach().permute(2, 3, 1, 0).flatten(0, 1)
        pixels = images.detach()
        torch.testing.assert_close(outputs_of(pixels, by_tap, where), expected)
        both = gradients(pixels, by_tap, where, gradient)
        torch.testing.assert_close(both, (of_images, _by_tap(of_weight)))


def _by_tap(weight: torch.Tensor) -> torch.Tensor:
    return weight.permute(2, 3, 1, 0).flatten(0, 1)


def multiplied(net: nn.Module) -> list[str]:
    """The names of the convolutions that are computed tap by tap."""
    return [name for name, module in net.named_modules() if hasattr(module, "kernel_maps")]


SIZES = [{(48, 48)}, {(64, 72), (48, 40)}]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("name", ["resnet18", "vgg11"])  # the second has biases
def test_networks_are_the_same(name: str, sizes: set[Size], layout: torch.memory_format) -> None:
    """Outputs and gradients, in double precision, of images of each size."""
    plain = plain_network(name)
    net = copy.deepcopy(plain).to(memory_format=layout)  # type: ignore[call-overload]  # torch does not type it
    use_kernel_maps(net, input_sizes(copy.deepcopy(net).float().to("meta"), sizes), layout)
    assert multiplied(net)
    for height, width in sizes:
        assert_gradients_are_alike(net.train(), plain.train(), height, width)
        for parameter in (*net.parameters(), *plain.parameters()):
            parameter.grad = None


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(1, 2), (2, 2)])
def test_an_activation_may_write_into_what_it_gives(
    size: Size, layout: torch.memory_format
) -> None:
    """Of one image, too, whose pixels lie as they were computed."""
    net = nn.Sequential(nn.Conv2d(128, 128, 3, 1, 1), nn.ReLU(inplace=True))
    expected = copy.deepcopy(net)
    use_kernel_maps(net, {"0": {size}}, layout)
    assert multiplied(net) == ["0"]
    images = torch.randn(1, 128, *size).contiguous(memory_format=layout)
    for each in (net, expected):
        each(images).sum().backward()
    for found, wanted in zip(net.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(found.grad, wanted.grad)


@pytest.mark.parametrize(
    ("name", "sizes", "expected"),
    [
        ("resnet18", {(28, 28)}, ["3.0.conv1", "3.0.conv2", "3.1.conv1", "3.1.conv2"]),
        ("resnet18", {(64, 64)}, ["4.0.conv1", "4.0.conv2", "4.1.conv1", "4.1.conv2"]),
        ("resnet18", {(96, 96)}, ["4.0.conv2", "4.1.conv1", "4.1.conv2"]),  # 3x3 of 512 channels
        ("resnet18", {(224, 224)}, []),
        ("resnet18", {(28, 28), (224, 224)}, []),  # of all images
        ("resnext50_32x4d", {(32, 32)}, []),  # all that are not of one pixel are in groups
        ("densenet121", {(32, 32)}, []),  # all give 32 channels
        ("mobilenet_v3_small", {(32, 32)}, []),
    ],
)
def test_which_convolutions(name: str, sizes: set[Size], expected: list[str]) -> None:
    """Those of more than one pixel, with many channels for each of the few pixels they give.

    Where weights lie tap by tap, so do their gradients as they are computed.
    """
    torch.manual_seed(0)
    net = getattr(torchvision.models, name)(num_classes=2)
    inputs = input_sizes(copy.deepcopy(net).to("meta"), sizes)
    fit_kernels(net, inputs)
    use_kernel_maps(net, inputs, torch.contiguous_format)
    assert multiplied(net) == [f"layer{at}" for at in expected]
    weights = [net.get_parameter(f"layer{at}.weight") for at in expected]
    seen: list[bool] = []
    for weight in weights:
        assert weight.permute(2, 3, 1, 0).is_contiguous()
        weight.register_hook(lambda g: seen.append(g.permute(2, 3, 1, 0).is_contiguous()))  # type: ignore[no-untyped-call]  # torch does not type it
    if expected:
        [(height, width)] = sizes
        net(torch.zeros(2, 3, height, width)).sum().backward()
    assert seen == [True] * len(expected)
